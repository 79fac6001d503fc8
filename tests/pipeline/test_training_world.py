"""Worlds are generated when asked for, and never over events or files of one's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.purchases import SPEC
from whyrank.errors import DataError, UsageError
from whyrank.pipeline.build import build
from whyrank.pipeline.generate import generate
from whyrank.pipeline.ingest import ingest
from whyrank.pipeline.train import train
from whyrank.pipeline.training_world import make_training_world
from whyrank.spec.load import parse_spec
from whyrank.spec.model import Spec
from whyrank.tracking import open_store
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.publish import read_published
from whyrank.warehouse.synthetic_claim import claim, end_claim

HEADER = "user_id,event_time,event_name\n"


def loaded(warehouse: Warehouse) -> dict[str, int]:
    """Return the files that were loaded, and how many rows of each were accepted."""
    with warehouse.connect() as con:
        found = con.execute("select file, accepted from saas_landing.loads").fetchall()
        (rows,) = con.execute("select count(*) from saas_landing.events").fetchone() or (0,)
    names = {Path(file).name: int(count) for file, count in found}
    return {**names, "events": int(rows)}


def as_a_demo(spec: Spec, warehouse: Warehouse, folder: Path) -> None:
    """Load what `demo` does, in its name, without its build and its tests of data."""
    events = folder / "raw_events.csv"
    users = events.with_name("raw_events_users.csv")
    assert claim(spec, warehouse, [events, users])
    made = generate(spec, events, users=20)
    assert (made.events, made.users) == (events, users)
    ingest(spec, warehouse, events=events, users=users, own=False)
    end_claim(spec, warehouse)


def make(spec: Spec, warehouse: Warehouse) -> tuple[bool, list[str]]:
    said: list[str] = []
    return make_training_world(spec, warehouse, users=150, days=60, log=said.append), said


def test_a_demo_makes_room_for_a_world_that_is_made_once(saas: Spec, tmp_path: Path) -> None:
    warehouse = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    as_a_demo(saas, warehouse, tmp_path)
    assert "raw_events.csv" in loaded(warehouse)
    made, said = make(saas, warehouse)
    assert made
    assert said[0] == "generating 150 users to learn from"
    known = loaded(warehouse)
    assert set(known) == {"training_events.parquet", "training_events_users.parquet", "events"}
    assert known["events"] == known["training_events.parquet"] > 150
    build = read_published(warehouse, "saas").info.build_id
    assert make(saas, warehouse) == (False, [])
    assert loaded(warehouse) == known
    assert read_published(warehouse, "saas").info.build_id == build
    # Events of one's own beside it stay, and so does the world.
    own = tmp_path / "own.csv"
    own.write_text(HEADER + "ana,2026-01-05T10:00:00Z,page_view\n", encoding="utf-8")
    ingest(saas, warehouse, events=own)
    assert make(saas, warehouse) == (False, [])
    assert loaded(warehouse) == {**known, "own.csv": 1, "events": known["events"] + 1}


@pytest.mark.parametrize("after_demo", [False, True])
def test_events_of_ones_own_are_never_touched(saas: Spec, tmp_path: Path, after_demo: bool) -> None:
    warehouse = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    if after_demo:
        as_a_demo(saas, warehouse, tmp_path)
    own = tmp_path / "own.csv"
    own.write_text(HEADER + "ana,2026-01-05T10:00:00Z,page_view\n", encoding="utf-8")
    ingest(saas, warehouse, events=own)
    before = loaded(warehouse)
    with pytest.raises(UsageError, match="not the demo's: leave --demo out"):
        make(saas, warehouse)
    assert loaded(warehouse) == before


def test_ones_own_file_by_the_demos_name_is_ones_own(saas: Spec, tmp_path: Path) -> None:
    """README's example loads data/raw_events.csv: after a demo, and where one was cut off."""
    for whole in (True, False):
        folder = tmp_path / str(whole)
        folder.mkdir()
        warehouse = open_warehouse(f"duckdb:///{folder}/w.duckdb")
        events = folder / "raw_events.csv"
        if whole:
            as_a_demo(saas, warehouse, folder)
        else:
            assert claim(saas, warehouse, [events])
        events.write_text(HEADER + "ana,2026-01-05T10:00:00Z,page_view\n", encoding="utf-8")
        ingest(saas, warehouse, events=events)
        before = loaded(warehouse)
        with pytest.raises(UsageError, match="not the demo's"):
            make(saas, warehouse)
        assert not claim(saas, warehouse, [events])
        assert loaded(warehouse) == before


def test_a_demos_claim_ends_with_its_warehouse(saas: Spec, tmp_path: Path) -> None:
    """Loads of a new file by the old one's name bear the numbers that the demo's had."""
    warehouse = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    as_a_demo(saas, warehouse, tmp_path)
    (tmp_path / "w.duckdb").unlink()
    events = tmp_path / "raw_events.csv"
    events.write_text(HEADER + "ana,2026-01-05T10:00:00Z,page_view\n", encoding="utf-8")
    ingest(saas, warehouse, events=events)
    before = loaded(warehouse)
    assert not claim(saas, warehouse, [events])
    assert loaded(warehouse) == before


def test_a_spec_without_a_generator_has_no_demo(tmp_path: Path) -> None:
    warehouse = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    with pytest.raises(UsageError, match="spec 'shop' has no generator of events"):
        make(parse_spec(SPEC, "shop.toml"), warehouse)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spec", ["saas", "olist"])
def test_a_training_of_nothing_says_what_to_run_and_makes_nothing(
    tmp_path: Path, spec: str
) -> None:
    done = processes.whyrank(["train", "--spec", spec], tmp_path, os.environ)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: no events are loaded for spec '{spec}' in data/whyrank.duckdb")
    assert "run `whyrank ingest` on your events" in line
    assert ("`whyrank train --demo`" in line) == (spec == "saas")  # which alone has a generator
    assert not list(tmp_path.iterdir())


def test_a_training_leaves_a_small_demo_alone(saas: Spec, tmp_path: Path) -> None:
    warehouse = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    as_a_demo(saas, warehouse, tmp_path)
    build(saas, warehouse)
    before = loaded(warehouse)
    store = open_store(home=tmp_path / "mlflow")
    with pytest.raises(DataError, match="; only the demo's users are loaded: `whyrank train --"):
        train(saas, warehouse, store, candidates=["recency"])
    assert loaded(warehouse) == before
    # Of one's own events nothing is said of a demo.
    own = tmp_path / "own.csv"
    own.write_text(HEADER + "ana,2026-01-05T10:00:00Z,page_view\n", encoding="utf-8")
    ingest(saas, warehouse, events=own)
    with pytest.raises(DataError) as found:
        train(saas, warehouse, store, candidates=["recency"])
    assert "--demo" not in str(found.value)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("spec", ["saas", "media"])
def test_generate_replaces_only_what_it_wrote(tmp_path: Path, spec: str) -> None:
    def run(*words: object) -> tuple[int, str]:
        named = ["generate", "--spec", spec, "--out", "log.csv", "--days", "9", *map(str, words)]
        done = processes.whyrank(named, tmp_path, os.environ)
        return done.returncode, done.stderr

    assert run("--users", 5) == (0, "generating 5 users …\n")
    first = files(tmp_path)
    assert run("--users", 4)[0] == 0, "a world takes an earlier one's place"
    second = files(tmp_path)
    assert second.keys() == first.keys()
    assert second["log.csv"] != first["log.csv"]
    for name in sorted(second.keys() - {"log_generated.json"}):
        # The same number of bytes: the size alone does not tell.
        edited = second[name][:-2] + b"~" + second[name][-1:]
        (tmp_path / name).write_bytes(edited)
        code, said = run("--users", 5)
        assert code == 2
        assert f"error: {name}: was not generated, or has changed since" in said
        assert files(tmp_path) == second | {name: edited}
        (tmp_path / name).write_bytes(second[name])
    (tmp_path / "log_generated.json").write_text("[]", encoding="utf-8")
    assert "log_generated.json: was not generated" in run("--users", 5)[1]
    (tmp_path / "log_generated.json").unlink()
    assert run("--users", 5)[0] == 2, "nothing says that these were generated"
    assert run("--users", 5, "--force")[0] == 0
    assert files(tmp_path) == first


@pytest.mark.parametrize("name", ["raw_events.csv", "user_features.csv", "reasons.csv"])
def test_a_demo_replaces_no_file_that_is_not_its_own(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text("user_id,event_time\n", encoding="utf-8")
    done = processes.whyrank(["demo"], tmp_path, os.environ)
    assert done.returncode == 2
    assert f"error: data/{name}: " in done.stderr
    assert "or say --force" in done.stderr
    # Before anything is generated, loaded or dropped.
    assert files(tmp_path / "data") == {name: b"user_id,event_time\n"}
