"""A world to learn from is generated where nothing else is, and never over events of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.purchases import SPEC
from whyrank.pipeline.claims import claim, end_claim
from whyrank.pipeline.generate import generate
from whyrank.pipeline.ingest import ingest
from whyrank.pipeline.training_world import make_world_if_needed
from whyrank.spec.load import parse_spec
from whyrank.spec.model import Spec
from whyrank.warehouse.engine import Warehouse, open_warehouse
from whyrank.warehouse.published import read_published

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
    return make_world_if_needed(spec, warehouse, users=150, days=60, say=said.append), said


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
    assert make(saas, warehouse) == (False, [])
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
        assert make(saas, warehouse) == (False, [])
        assert not claim(saas, warehouse, [events])
        assert loaded(warehouse) == before


def test_a_spec_without_a_generator_is_left_alone(tmp_path: Path) -> None:
    warehouse = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    assert make(parse_spec(SPEC, "shop.toml"), warehouse) == (False, [])
    assert not list(tmp_path.glob("shop*"))
