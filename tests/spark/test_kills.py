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
import numpy as np
import pytest

from tests.parity import check_rows, in_order
from whyrank.features.matrix import Snapshot
from whyrank.models.learned import LearnedScorer
from whyrank.warehouse.engine import open_warehouse
from whyrank.warehouse.published import read_published

from .cluster import Cluster, running
from .running import COMMAND, whyrank

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark")]
TRAIN = ("train", "--candidates", "recency,xgboost", "--folds", "1")


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
) -> bool:
    """Run a command, kill a worker when a point is reached; return whether it ended well.

    If not, it has to say why in one line.
    """
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
    return process.returncode == 0


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
            "select * exclude (run_id) "
            f"from '{folder}/spark/saas/scores/*.parquet/*.parquet' order by rank"
        ).fetchall()


def test_a_worker_is_lost(
    own: Cluster, log: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    calm, stormy = tmp_path_factory.mktemp("calm"), tmp_path_factory.mktemp("stormy")
    users = log.with_name("log_users.parquet")

    def words(folder: Path, *verb: str) -> tuple[str, ...]:
        return (*verb, "--spec", "saas", "--warehouse", f"{own.master}?folder={folder}/spark")

    # Both are scored by the scorer that was trained undisturbed.
    score = ("score", "--scorer", "xgboost", "--top", "5", "--out", "top.csv")
    score += ("--tracking", f"sqlite:///{calm}/mlflow/mlflow.db")
    for folder in (calm, stormy):
        load = words(folder, "ingest", str(log), "--users-file", str(users))
        whyrank(folder, *load, env=own.settings)
    for verb in (("build",), TRAIN, score):
        whyrank(calm, *words(calm, *verb), env=own.settings)

    marts = stormy / "spark" / "marts" / "saas_marts"
    disturbed(own, stormy, words(stormy, "build"), (marts / "sessions").exists)
    train = words(stormy, *TRAIN)
    kept = stormy / "spark" / "saas" / "training"
    # The floor is kept: the next one is being fitted.
    disturbed(own, stormy, train, lambda: bool(list(kept.glob("*/test-*/recency"))))
    parts = stormy / "spark" / "saas" / "scores"
    ended = killed_at(
        own, stormy, words(stormy, *score), lambda: bool(list(parts.glob("written/*/*")))
    )
    if ended:  # in spite of it
        assert scores(stormy) == scores(calm)
    whyrank(stormy, *words(stormy, *score), env=own.settings)

    here, there = (published(f"{own.master}?folder={folder}/spark") for folder in (calm, stormy))
    assert here.keys() == there.keys()
    for name, rows in here.items():
        check_rows(name, rows, there[name])
    one, other = scores(calm), scores(stormy)
    assert len(one) > 1000
    assert one == other
    fits = [trained(folder) for folder in (calm, stormy)]
    assert fits[0].about == fits[1].about
    table = Snapshot.read(last_snapshot(calm), fits[0].features)
    ranks = [np.argsort(np.argsort(fit.margin(table), kind="stable")) for fit in fits]
    # Two trainings add up in another order; other seeds give 0.979 and more (test_learned).
    assert np.corrcoef(ranks[0], ranks[1])[0, 1] > 0.97


def disturbed(
    cluster: Cluster, folder: Path, words: tuple[str, ...], reached: Callable[[], bool]
) -> None:
    """Run a command with a worker killed in the middle, and then undisturbed."""
    killed_at(cluster, folder, words, reached)
    whyrank(folder, *words, env=cluster.settings)


def trained(folder: Path) -> LearnedScorer:
    fits = (folder / "spark" / "saas" / "training").glob("*/test-*/xgboost")
    return LearnedScorer.load(max(fits, key=lambda fit: fit.parent.name))


def last_snapshot(folder: Path) -> Path:
    url = f"spark://local?folder={folder}/spark"
    return read_published(open_warehouse(url), "saas").snapshot()
