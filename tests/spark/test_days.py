"""Builds of what changed: whole days are replaced, and the tables are those of DuckDB's builds.

The last test kills a driver, a real one on a cluster of its own, while days are put aside.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.tiny_log import frame
from whyrank.errors import WarehouseError
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.builds import is_built
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.publish import read_published

from .cluster import Cluster, free_port, running
from .days import DATES, SPEC, check_marts, inodes, loads, modes, random_events

pytestmark = [
    pytest.mark.spark,
    pytest.mark.xdist_group("spark-days"),
    pytest.mark.usefixtures("shared"),
]
FIRST_DAY = "user_days/day=2026-03-01"
ROOT = Path(__file__).parents[2]
BUILD = """
import sys
from tests.spark.days import DATES, SPEC
from whyrank.pipeline.build import build
from whyrank.warehouse.open import open_warehouse
build(SPEC, open_warehouse(sys.argv[1]), as_of=DATES)
"""


@dataclass(frozen=True)
class World:
    """One log in two warehouses, loaded in two parts and built after each.

    Spark's folder moved to another path after the first build.
    """

    here: Warehouse
    there: Warehouse
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
        there = open_warehouse(f"{cluster.master}?folder={folder}/{name}")
        return World(here, there, folder / name / "marts" / "tiny_marts", first_day)

    made = at("spark", set())
    first, second, third = loads(7)
    for number, part in enumerate((first, second + third)):
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
    assert modes(world.there) == ["full", "touched"]
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
    assert modes(world.there)[2:] == ["snapshots"]
    check_marts(world.here, world.marts)


def test_a_driver_is_killed_while_days_are_put_aside(
    cluster: Cluster, world: World, tmp_path: Path
) -> None:
    """What was published stays, and the next build makes all anew, equal to DuckDB's.

    The driver has a worker of its own, which outlives it.
    """
    shutil.copytree(world.there.files, tmp_path / "spark")
    shutil.copy(world.here.path, tmp_path / "here.duckdb")
    here = open_warehouse(f"duckdb:///{tmp_path}/here.duckdb")
    there = open_warehouse(f"{cluster.master}?folder={tmp_path}/spark")
    late = replace(random_events(8)[0], event_id="late", event_time=datetime(2026, 3, 4, 12))
    frame([late]).to_parquet(tmp_path / "late.parquet")
    for warehouse in (here, there):
        ingest(SPEC, warehouse, events=tmp_path / "late.parquet")
    before = read_published(there, SPEC.name)
    marts = tmp_path / "spark" / "marts" / "tiny_marts"
    day = marts / "sessions" / "session_start_day=2026-03-04"
    old = inodes(day)
    assert old
    with running(tmp_path / "own", workers=1) as own:
        process = subprocess.Popen(
            [sys.executable, "-c", BUILD, f"{own.master}?folder={tmp_path}/spark"], cwd=ROOT,
            text=True, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**os.environ, **own.settings},
        )  # fmt: skip
        while not inodes(day) - old:  # the day was put aside, and is written anew
            assert process.poll() is None, process.communicate()[1][-2000:]
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        os.killpg(process.pid, signal.SIGKILL)  # with dbt and the JVM: a machine without power
        process.communicate()
        assert read_published(there, SPEC.name) == before
        assert before.snapshot(DATES[0]).exists()
        build(SPEC, here, as_of=DATES, full=True)
        build(SPEC, there, as_of=DATES)
    assert modes(there)[-2:] == ["touched", "full"]
    check_marts(here, marts)
