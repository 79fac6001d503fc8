"""The table of runs: what failed or was cut off is told from what is done, model by model."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.findings import found
from whyrank.errors import DataError, WarehouseError
from whyrank.events.synthetic.saas import generate_saas
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.spec.model import Spec
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.runs import now

pytestmark = [pytest.mark.commands, pytest.mark.usefixtures("dbt")]
HEADER = "user_id,event_time,event_name\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(warehouse: Warehouse, kind: str) -> list[tuple[str, datetime, float, int, int, str]]:
    with warehouse.connect() as con:
        return con.execute(
            "select name, started_at, seconds, rows_in, rows_out, status from saas_landing.runs "
            "where kind = ? order by started_at",
            [kind],
        ).fetchall()


def test_a_load_that_fails_is_written_down_and_told(saas: Spec, tmp_path: Path) -> None:
    store = open_warehouse("duckdb:///w.duckdb")
    bad, good = tmp_path / "bad.csv", tmp_path / "good.csv"
    bad.write_text("user_id,event_time\nana,2026-03-01T10:00:00Z\n")
    good.write_text(HEADER + "ana,2026-03-01T10:00:00Z,page_view\n")
    began = now()
    with pytest.raises(DataError, match="no column 'event_name'"):
        ingest(saas, store, events=bad)
    ((name, started_at, seconds, rows_in, rows_out, status),) = rows(store, "load")
    assert (name, rows_in, rows_out, status) == (str(bad), None, None, "failed")
    assert began <= started_at <= started_at + timedelta(seconds=seconds) <= now()
    (said,) = [
        text for text in found("warning", "saas", "duckdb:///w.duckdb") if "the load" in text
    ]
    assert said.startswith(f"the load of {bad}, {started_at:%Y-%m-%d %H:%M} UTC, failed; ")
    assert "run `whyrank ingest FILE` again" in said
    ingest(saas, store, events=good)
    assert [row[-1] for row in rows(store, "load")] == ["failed", "done"]
    assert not any("failed" in text for text in found("warning", "saas", "duckdb:///w.duckdb"))


def test_each_model_has_its_own_start_and_the_rows_of_what_it_reads(
    saas: Spec, tmp_path: Path
) -> None:
    store = open_warehouse("duckdb:///w.duckdb")
    world = generate_saas(tmp_path / "e.csv", users=30, seed=3)
    loads = ingest(saas, store, events=world.events, users=world.users)
    began = now()
    made = build(saas, store)
    ended = now()
    ((_, build_start, build_seconds, *_),) = rows(store, "build")
    models = {name: told for name, *told in rows(store, "model")}
    assert set(models) == {node.name for node in made.models}
    end = build_start + timedelta(seconds=build_seconds)
    for started_at, seconds, rows_in, _, status in models.values():
        assert began <= build_start < started_at
        assert started_at + timedelta(seconds=seconds) <= end <= ended
        assert seconds > 0
        assert rows_in is not None
        assert status == "done"
    # One thread builds them one after the other, each beginning when the one before is done.
    spans = sorted((start, start + timedelta(seconds=took)) for start, took, *_ in models.values())
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    accepted = {load.kind: load.accepted for load in loads}
    assert models["daily_events"][2] == models["stg_events"][2] == accepted["events"]
    # A view reads through to its tables: events, and who is whom.
    who = models["identities"][3]
    assert models["user_events"][2] == accepted["events"] + who
    assert models["stg_events"][3] is None
    assert models["user_features"][3] == 30


def test_a_build_that_cannot_publish_failed(saas: Spec, tmp_path: Path) -> None:
    store = open_warehouse("duckdb:///w.duckdb")
    events = tmp_path / "e.csv"
    events.write_text(HEADER + "ana,2026-03-01T10:00:00Z,page_view\n")
    ingest(saas, store, events=events)
    in_the_way = store.files / "saas" / "published"
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("no folder")
    with pytest.raises(WarehouseError, match="publishing to"):
        build(saas, store)
    assert [row[-1] for row in rows(store, "build")] == ["failed"]
    assert any("the build of" in text and "failed; run `whyrank build` again" in text
               for text in found("warning", "saas", "duckdb:///w.duckdb"))  # fmt: skip
    in_the_way.unlink()
    build(saas, store)
    assert [row[-1] for row in rows(store, "build")] == ["failed", "done"]
