"""A user with a fifth of all events, in a log in which nobody took a funnel's second step."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.support.marts_log import Event, World, frames, tiny_spec
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.warehouse.open import open_warehouse

from .cluster import Cluster
from .days import check_marts

pytestmark = [
    pytest.mark.spark,
    pytest.mark.xdist_group("spark-heavy-user"),
    pytest.mark.usefixtures("shared"),
]
SPEC = tiny_spec()
EVENTS = 100_000


@pytest.mark.parametrize("check", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_heavy_user_does_not_sink_a_build(cluster: Cluster, tmp_path: Path, check: bool) -> None:
    """On workers of 1 GiB; `benchmarks.spark --skew` does the same with ten million events."""
    rng = np.random.default_rng(4)
    users = np.where(rng.random(EVENTS) < 0.2, 0, rng.integers(1, 2000, EVENTS))
    seconds = np.sort(rng.integers(0, 20 * 86_400, EVENTS))
    names = rng.choice(["view", "ask"], EVENTS).tolist()
    log = [
        Event(
            f"u{user}", datetime(2026, 3, 1) + timedelta(seconds=int(at)), name, 1.5,
            "e1" if user % 3 == 0 else None, "ab"[user % 2] if user % 3 == 0 else None,
        )
        for user, at, name in zip(users.tolist(), seconds.tolist(), names, strict=True)
    ]  # fmt: skip
    assert 0.19 < sum(event.user_id == "u0" for event in log) / EVENTS < 0.21
    frames(World(log))["events"].to_parquet(tmp_path / "log.parquet")
    here = open_warehouse(f"duckdb:///{tmp_path}/here.duckdb")
    there = open_warehouse(f"{cluster.master}?folder={tmp_path}/spark")
    tests = []
    for warehouse in (here, there):
        ingest(SPEC, warehouse, events=tmp_path / "log.parquet")
        made = build(SPEC, warehouse, as_of=[date(2026, 3, 15)], check=check)
        tests.append({test.name for test in made.tests})
    assert tests[0] == tests[1]
    assert any("experiment" in name for name in tests[1]) == check
    marts = tmp_path / "spark" / "marts" / "tiny_marts"
    # Its data tests passed although it has no rows, and it is compared with DuckDB's.
    assert not list(marts.glob("funnel_days/day=*"))
    assert check_marts(here, marts) > 12
