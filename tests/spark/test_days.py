"""Builds of what changed: whole days are replaced, and the tables are those of DuckDB's builds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from tests.features.worlds import Event, frame, tiny_spec
from tests.parity import check_rows, rows_of
from tests.spark.cluster import Cluster, free_port
from whyrank.errors import WarehouseError
from whyrank.pipeline.build import build, is_built
from whyrank.pipeline.ingest import ingest
from whyrank.warehouse.engine import Warehouse, open_warehouse
from whyrank.warehouse.published import read_published

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark")]
SPEC = tiny_spec()
DATES = [date(2026, 3, 6), date(2026, 3, 9)]
USERS = 120
FIRST_DAY = "user_days/day=2026-03-01"
ROOT = Path(__file__).parents[2]
BUILD = """
import sys
from tests.spark.test_days import DATES, SPEC
from whyrank.pipeline.build import build
from whyrank.warehouse.engine import open_warehouse
build(SPEC, open_warehouse(sys.argv[1]), as_of=DATES)
"""
# Halves of the gap of half an hour: sessions touch, join and just do not join, over midnight too.
STEP = timedelta(minutes=15)


def random_events(seed: int) -> list[Event]:
    """A log of many small users, around midnights, some rows with nothing but a time and a name."""
    rng = np.random.default_rng(seed)
    made = []
    for user in range(USERS):
        for number in range(int(rng.integers(1, 9))):
            day = date(2026, 3, 2) + timedelta(days=int(rng.integers(0, 6)))
            start = datetime.combine(day, datetime.min.time()) + timedelta(hours=23)
            made.append(
                Event(
                    event_id=f"e{user}-{number}",
                    user_id=f"u{user}",
                    event_time=start + STEP * int(rng.integers(0, 9)),
                    event_name=str(rng.choice(["view", "click", "buy"])),
                    value=None if rng.random() < 0.3 else float(rng.integers(1, 40)) / 4,
                    device=[None, "phone", "desk"][int(rng.integers(0, 3))],
                    color=[None, "red"][int(rng.integers(0, 2))],
                )
            )
    return made


def loads(seed: int) -> list[list[Event]]:
    """The log in three loads: one that has a first day of its own, and two with late events."""
    rng = np.random.default_rng([seed, 1])
    noon = datetime(2026, 3, 1, 12)
    founder = [
        Event("founder", f"first-{name}", noon + STEP * number, name, 1.0, "desk", "red")
        for number, name in enumerate(("view", "click", "buy"))
    ]
    parts: list[list[Event]] = [founder, [], []]
    for event in random_events(seed):
        # The last two days come in the last load alone; what is older may come in any.
        late = event.event_time >= datetime(2026, 3, 6)
        parts[2 if late else int(rng.integers(0, 3))].append(event)
    return parts


def modes(warehouse: Warehouse) -> list[str]:
    with warehouse.reading() as con:
        rows = con.execute(
            "select name from tiny_landing.runs where kind = 'build' order by started_at"
        ).fetchall()
    return [row[0] for row in rows]


@dataclass(frozen=True)
class World:
    """One log in two warehouses, loaded in three parts and built after each.

    Spark's folder moved to another path after the first build.
    """

    here: Warehouse
    there: Warehouse
    url: str
    marts: Path
    first_day: set[int]  # the files that the first build made of a day

    def load(self, path: Path) -> None:
        for warehouse in (self.here, self.there):
            ingest(SPEC, warehouse, events=path)


@pytest.fixture(scope="module")
def world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("days")
    here = open_warehouse(f"duckdb:///{folder}/here.duckdb")

    def at(name: str, first_day: set[int]) -> World:
        url, marts = f"{cluster.master}?folder={folder}/{name}", folder / name / "marts"
        return World(here, open_warehouse(url), url, marts / "tiny_marts", first_day)

    made = at("spark", set())
    for number, part in enumerate(loads(7)):
        path = folder / f"load{number}.parquet"
        frame(part).to_parquet(path)
        made.load(path)
        for warehouse in (made.here, made.there):
            build(SPEC, warehouse, as_of=DATES)
        if number == 0:
            (folder / "spark").rename(folder / "moved")
            made = at("moved", inodes(folder / "moved/marts/tiny_marts" / FIRST_DAY))
    return made


def test_days_that_changed_are_replaced(world: World) -> None:
    assert modes(world.there) == ["full", "touched", "touched"]
    assert world.first_day
    assert inodes(world.marts / FIRST_DAY) == world.first_day
    assert check_marts(world.here, world.marts) > 12


def test_a_build_that_cannot_start_costs_nothing(world: World) -> None:
    gone = open_warehouse(f"spark://127.0.0.1:{free_port()}?folder={world.there.files}")
    before = read_published(world.there, SPEC.name)
    with pytest.raises(WarehouseError, match="no Spark master answers"):
        build(SPEC, gone, as_of=DATES)
    assert is_built(SPEC, world.there, before)
    build(SPEC, world.there, as_of=DATES)
    assert modes(world.there)[3:] == ["snapshots"]
    check_marts(world.here, world.marts)


def test_a_driver_that_is_killed_while_days_are_put_aside(world: World, tmp_path: Path) -> None:
    """What was published stays, and the next build makes all anew, equal to DuckDB's."""
    late = replace(random_events(8)[0], event_id="late", event_time=datetime(2026, 3, 4, 12))
    frame([late]).to_parquet(tmp_path / "late.parquet")
    world.load(tmp_path / "late.parquet")
    before = read_published(world.there, SPEC.name)
    day = world.marts / "sessions" / "session_start_day=2026-03-04"
    old = inodes(day)
    assert old
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD, world.url], start_new_session=True, cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not inodes(day) - old:  # until the day was put aside, and written anew
        assert process.poll() is None, process.communicate()[1][-2000:]
        assert time.monotonic() < deadline
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    os.killpg(process.pid, signal.SIGKILL)  # with dbt and the JVM: a machine that lost its power
    process.communicate()
    assert read_published(world.there, SPEC.name) == before
    assert before.snapshot(DATES[0]).exists()
    build(SPEC, world.here, as_of=DATES, full=True)
    build(SPEC, world.there, as_of=DATES)
    assert modes(world.there)[-2:] == ["touched", "full"]
    check_marts(world.here, world.marts)


def inodes(day: Path) -> set[int]:
    """Return the files of a day's folder, which may be put aside meanwhile."""
    with suppress(FileNotFoundError):
        return {file.stat().st_ino for file in day.glob("*.parquet")}
    return set()


def check_marts(here: Warehouse, marts: Path) -> int:
    """Compare every table of Spark's with DuckDB's; return how many there are."""
    with here.reading() as duck, duckdb.connect() as con:
        assert isinstance(duck, duckdb.DuckDBPyConnection)
        tables = duck.execute(
            "select table_name from information_schema.tables "
            "where table_schema = 'tiny_marts' and table_type = 'BASE TABLE'"
        ).fetchall()
        con.execute("set timezone = 'UTC'")
        for (name,) in sorted(tables):
            files = marts / name / "**" / "*.parquet"
            con.execute(
                f"create view {name} as select * from "
                f"read_parquet('{files}', hive_partitioning = true)"
            )
            columns = [row[0] for row in duck.execute(f"describe tiny_marts.{name}").fetchall()]
            check_rows(
                name, rows_of(duck, f"tiny_marts.{name}", columns), rows_of(con, name, columns)
            )
    return len(tables)
