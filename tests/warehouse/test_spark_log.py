"""The log as files for Spark's machines: what is loaded, whatever became of the files meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from tests.support.tiny_log import Event, frame, tiny_spec
from whyrank.pipeline.ingest import ingest
from whyrank.warehouse.engines.spark.landing_export import export_landing
from whyrank.warehouse.engines.spark.warehouse import SparkWarehouse
from whyrank.warehouse.open import open_warehouse

SPEC = tiny_spec()


@pytest.fixture
def warehouse(tmp_path: Path) -> SparkWarehouse:
    """Give a catalog, for which no Spark is needed."""
    found = open_warehouse(f"spark://local?folder={tmp_path}/shared")
    assert isinstance(found, SparkWarehouse)
    return found


def load(warehouse: SparkWarehouse, number: int) -> None:
    """Load four events, half of them on the days of the load before."""
    noon = datetime(2026, 3, 1, 12) + timedelta(days=number)
    log = [
        Event("ana", f"{number}-{n}", noon + timedelta(hours=12 * n), "view", None, None, None)
        for n in range(4)
    ]
    path = warehouse.files.with_name(f"load{number}.parquet")
    frame(log).to_parquet(path)
    ingest(SPEC, warehouse, events=path)


def send(warehouse: SparkWarehouse) -> tuple[list[str], list[str]]:
    """Send it; return the ids of events that are loaded, and of those in the files of their day."""
    with warehouse.connect() as con:
        folders = export_landing(con, SPEC, warehouse.files / "landing")
        loaded = con.execute("select event_id from tiny_landing.events order by 1").fetchall()
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        files = f"{folders['events']}/*/*.parquet"
        sent = con.execute(
            f"select event_id from read_parquet('{files}', hive_partitioning = true) "
            "where day = cast(event_time as date) order by 1"
        ).fetchall()
        (loads,) = con.execute(
            f"select count(*) from '{folders['loads']}/*.parquet'"
        ).fetchone() or (0,)
    assert loads == len({row[0][0] for row in loaded})
    return [row[0] for row in loaded], [row[0] for row in sent]


def lost(landing: Path) -> None:
    shutil.rmtree(landing)


def without_a_day(landing: Path) -> None:
    shutil.rmtree(landing / "events" / "day=2026-03-01")


def without_a_table(landing: Path) -> None:
    shutil.rmtree(landing / "loads")


def half_written(landing: Path) -> None:
    """As after a kill in the middle of the very first time."""
    (landing / "sent").unlink()
    shutil.rmtree(landing / "events" / "day=2026-03-02")


def of_a_newer_catalog(landing: Path) -> None:
    """As when a backup of the catalog was put back."""
    (landing / "sent").write_text("9\n")
    shutil.rmtree(landing / "events" / "day=2026-03-02")


BECAME = [None, lost, without_a_day, without_a_table, half_written, of_a_newer_catalog]


@pytest.mark.parametrize("became", BECAME)
@pytest.mark.parametrize("more", [False, True])
def test_the_files_hold_what_is_loaded(
    warehouse: SparkWarehouse, became: Callable[[Path], None] | None, more: bool
) -> None:
    """Sent, then lost in one way or another, and sent again with a further load or without."""
    load(warehouse, 0)
    load(warehouse, 1)
    loaded, sent = send(warehouse)
    assert sent == loaded
    assert len(loaded) == 8
    if became is not None:
        became(warehouse.files / "landing" / "tiny_landing")
    if more:
        load(warehouse, 2)
    loaded, sent = send(warehouse)
    assert sent == loaded
    assert len(loaded) == (12 if more else 8)


def test_days_that_no_load_touched_stay_as_they_are(warehouse: SparkWarehouse) -> None:
    load(warehouse, 0)
    send(warehouse)
    events = warehouse.files / "landing" / "tiny_landing" / "events"
    before = {file: file.stat().st_ino for file in events.glob("*/*.parquet")}
    load(warehouse, 1)
    send(warehouse)
    stayed = {file for file, inode in before.items() if file.stat().st_ino == inode}
    assert {file.parent.name for file in stayed} == {"day=2026-03-01"}
    assert len(before) == 3
