"""A worker is killed in the middle of a build, of training and of scoring.

What was under way ends well or says in one line what happened; the next run ends well; and what it
makes is what an undisturbed run made.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.parity import check_rows, in_order
from whyrank.warehouse.engine import open_warehouse
from whyrank.warehouse.published import read_published

from .cluster import Cluster, running
from .running import COMMAND, whyrank

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark")]
TRAIN = ("train", "--spec", "saas", "--candidates", "xgboost", "--folds", "1", "--bootstraps", "50")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Give a cluster whose workers may be killed."""
    pytest.importorskip("pyspark", reason="Spark is an extra: pip install whyrank[spark]")
    with running(tmp_path_factory.mktemp("own")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    whyrank(folder, "generate", "--spec", "saas", "--users", "3000", "--days", "150",
            "--out", "log.parquet")  # fmt: skip
    return folder / "log.parquet"


def killed_at(
    cluster: Cluster, folder: Path, words: tuple[str, ...], reached: Callable[[], bool]
) -> None:
    """Run a command, kill a worker when a point is reached, and judge how it ended."""
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, **cluster.settings},
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not reached():
        assert process.poll() is None, process.communicate()[1][-2000:]
        assert time.monotonic() < deadline
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    assert process.poll() is None, "the point was reached too late"
    cluster.kill_worker()
    _, said = process.communicate(timeout=600)
    if process.returncode:
        lines = said.strip().splitlines()
        assert "Traceback" not in said, said[-2000:]
        assert lines[-1].startswith("error: "), said[-2000:]
    cluster.add_worker()
    cluster.wait()


def published(url: str) -> dict[str, list[tuple[object, ...]]]:
    build = read_published(open_warehouse(url), "saas")
    with duckdb.connect() as con:
        return {
            path.name: in_order(con.execute(f"select * from '{path}'").fetchall())
            for path in sorted(build.folder.glob("*.parquet"))
        }


def scores(folder: Path) -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        return con.execute(
            f"select * from '{folder}/spark/saas/scores/*.parquet/*.parquet' order by rank"
        ).fetchall()


def test_a_worker_is_lost(
    own: Cluster, log: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    calm, stormy = tmp_path_factory.mktemp("calm"), tmp_path_factory.mktemp("stormy")
    users = log.with_name("log_users.parquet")

    def words(folder: Path) -> tuple[str, ...]:
        return ("--spec", "saas", "--warehouse", f"{own.master}?folder={folder}/spark")

    score = ("score", "--scorer", "xgboost", "--top", "5", "--out", "top.csv")
    for folder in (calm, stormy):
        whyrank(folder, "ingest", str(log), "--users-file", str(users), *words(folder))
    for verb in (("build",), TRAIN[:1] + TRAIN[3:], score):
        whyrank(calm, *verb, *words(calm), env=own.settings)

    marts = stormy / "spark" / "marts" / "saas_marts"
    killed_at(own, stormy, ("build", *words(stormy)), (marts / "sessions").exists)
    whyrank(stormy, "build", *words(stormy), env=own.settings)
    here = published(f"{own.master}?folder={calm}/spark")
    # Training has built more dates by now in the calm folder; the stormy one follows.
    kept = stormy / "spark" / "saas" / "training"
    train = (*TRAIN[:1], *TRAIN[3:], *words(stormy))
    killed_at(own, stormy, train, lambda: fitting(kept))
    whyrank(stormy, *train, env=own.settings)
    there = published(f"{own.master}?folder={stormy}/spark")
    assert here.keys() == there.keys()
    for name, rows in here.items():
        check_rows(name, rows, there[name])

    part = stormy / "spark" / "saas" / "scores"
    killed_at(own, stormy, (*score, *words(stormy)), lambda: bool(list(part.glob(".*.part/*"))))
    whyrank(stormy, *score, *words(stormy), env=own.settings)
    one, other = scores(calm), scores(stormy)
    assert len(one) == len(other) > 1000
    # Two trainings on a cluster add up in another order; the ranks hardly move.
    ranks = {str(row[1]): int(str(row[0])) for row in one}
    moved = [abs(ranks[str(row[1])] - int(str(row[0]))) for row in other]
    assert sum(moved) / len(moved) < 0.01 * len(one)


def fitting(kept: Path) -> bool:
    """Return whether candidates are being fitted: a fit's folder is made when the first is done."""
    return any(kept.glob("*/test-*"))
