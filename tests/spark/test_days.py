"""Builds of what changed: whole days are replaced, and the tables are those of DuckDB's builds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.features.worlds import frame
from whyrank.errors import WarehouseError
from whyrank.pipeline.build import build, is_built
from whyrank.pipeline.ingest import ingest
from whyrank.warehouse.engine import Warehouse, open_warehouse
from whyrank.warehouse.published import read_published

from .cluster import Cluster, free_port
from .days import DATES, SPEC, check_marts, inodes, loads, modes

pytestmark = [
    pytest.mark.spark,
    pytest.mark.xdist_group("spark"),
    pytest.mark.usefixtures("shared"),
]
FIRST_DAY = "user_days/day=2026-03-01"


@dataclass(frozen=True)
class World:
    """One log in two warehouses, loaded in three parts and built after each.

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
