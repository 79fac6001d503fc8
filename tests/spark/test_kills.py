"""A driver is killed in the middle of a build; a worker in one of a build, training and scoring.

What was under way ends well or says in one line what happened; the next run ends well; and what it
makes is what an undisturbed run made. What is disturbed are commands, with drivers and a cluster of
their own; what they are compared with, and the run after them, share a session on another cluster.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest

from tests.features.worlds import frame
from tests.parity import check_rows, in_order
from whyrank.features.matrix import Snapshot
from whyrank.models.learned import LearnedScorer
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.warehouse.engine import open_warehouse
from whyrank.warehouse.published import read_published

from .cluster import Cluster, running
from .days import DATES, SPEC, check_marts, inodes, loads, modes, random_events
from .running import COMMAND
from .sharing import sharing, whyrank

pytestmark = [
    pytest.mark.spark,
    pytest.mark.xdist_group("spark-processes"),
    pytest.mark.usefixtures("calm_session"),
]
TRAIN = ("train", "--candidates", "recency,xgboost", "--folds", "1")
ROOT = Path(__file__).parents[2]
BUILD = """
import sys
from tests.spark.days import DATES, SPEC
from whyrank.pipeline.build import build
from whyrank.warehouse.engine import open_warehouse
build(SPEC, open_warehouse(sys.argv[1]), as_of=DATES)
"""


@pytest.fixture(scope="module")
def calm_session(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Share a session on the cluster that nothing happens to."""
    with sharing(cluster, tmp_path_factory.mktemp("calm-session")):
        yield


@pytest.fixture(scope="module")
def own(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give a cluster whose workers may be killed, for commands."""
    with running(tmp_path_factory.mktemp("own")) as found:
        yield found


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    whyrank(folder, "generate", "--spec", "saas", "--users", "3000", "--days", "150",
            "--out", "log.parquet")  # fmt: skip
    return folder / "log.parquet"


def until(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Wait until a point is reached, which must be before the process ends."""
    while not reached():
        assert process.poll() is None, process.communicate()[1][-2000:]
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    assert process.poll() is None, "the point was reached too late"


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
    until(process, reached)
    cluster.kill_worker()
    _, said = process.communicate()
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
    cluster: Cluster, own: Cluster, log: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    calm, stormy = tmp_path_factory.mktemp("calm"), tmp_path_factory.mktemp("stormy")
    users = log.with_name("log_users.parquet")

    def words(on: Cluster, folder: Path, *verb: str) -> tuple[str, ...]:
        return (*verb, "--spec", "saas", "--warehouse", f"{on.master}?folder={folder}/spark")

    def disturbed(verb: tuple[str, ...], reached: Callable[[], bool]) -> bool:
        return killed_at(own, stormy, words(own, stormy, *verb), reached)

    # Both are scored by the scorer that was trained undisturbed.
    score = ("score", "--scorer", "xgboost", "--top", "5", "--out", "top.csv")
    score += ("--tracking", f"sqlite:///{calm}/mlflow/mlflow.db")
    for folder in (calm, stormy):
        load = ("ingest", str(log), "--users-file", str(users))
        whyrank(folder, *words(cluster, folder, *load))
    for verb in (("build",), TRAIN, score):
        whyrank(calm, *words(cluster, calm, *verb))

    marts = stormy / "spark" / "marts" / "saas_marts"
    disturbed(("build",), (marts / "sessions").exists)
    whyrank(stormy, *words(cluster, stormy, "build"))
    kept = stormy / "spark" / "saas" / "training"
    # The floor is kept: the next one is being fitted.
    disturbed(TRAIN, lambda: bool(list(kept.glob("*/test-*/recency"))))
    whyrank(stormy, *words(cluster, stormy, *TRAIN))
    parts = stormy / "spark" / "saas" / "scores"
    ended = disturbed(score, lambda: bool(list(parts.glob("written/*/*"))))
    if ended:  # in spite of it
        assert scores(stormy) == scores(calm)
    whyrank(stormy, *words(cluster, stormy, *score))

    here, there = (
        published(f"{cluster.master}?folder={folder}/spark") for folder in (calm, stormy)
    )
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


def test_a_driver_is_killed_while_days_are_put_aside(
    cluster: Cluster, own: Cluster, tmp_path: Path
) -> None:
    """What was published stays, and the next build makes all anew, equal to DuckDB's."""
    here = open_warehouse(f"duckdb:///{tmp_path}/here.duckdb")
    there = open_warehouse(f"{cluster.master}?folder={tmp_path}/spark")
    late = replace(random_events(8)[0], event_id="late", event_time=datetime(2026, 3, 4, 12))
    log = [event for part in loads(7) for event in part]
    for name, part in (("log", log), ("late", [late])):
        frame(part).to_parquet(tmp_path / f"{name}.parquet")
        for warehouse in (here, there):
            ingest(SPEC, warehouse, events=tmp_path / f"{name}.parquet")
        if name == "log":
            build(SPEC, there, as_of=DATES)
    before = read_published(there, SPEC.name)
    marts = tmp_path / "spark" / "marts" / "tiny_marts"
    day = marts / "sessions" / "session_start_day=2026-03-04"
    old = inodes(day)
    assert old
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD, f"{own.master}?folder={tmp_path}/spark"], cwd=ROOT, text=True,
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**os.environ, **own.settings},
    )  # fmt: skip
    until(process, lambda: bool(inodes(day) - old))  # the day was put aside, and is written anew
    os.killpg(process.pid, signal.SIGKILL)  # with dbt and the JVM: a machine that lost its power
    process.communicate()
    assert read_published(there, SPEC.name) == before
    assert before.snapshot(DATES[0]).exists()
    build(SPEC, here, as_of=DATES, full=True)
    build(SPEC, there, as_of=DATES)
    assert modes(there)[-2:] == ["touched", "full"]
    check_marts(here, marts)


def trained(folder: Path) -> LearnedScorer:
    fits = (folder / "spark" / "saas" / "training").glob("*/test-*/xgboost")
    return LearnedScorer.load(max(fits, key=lambda fit: fit.parent.name))


def last_snapshot(folder: Path) -> Path:
    url = f"spark://local?folder={folder}/spark"
    return read_published(open_warehouse(url), "saas").snapshot()
