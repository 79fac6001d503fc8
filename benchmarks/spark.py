"""The same events on DuckDB and on a Spark cluster of this machine: one worker, and two.

    python -m benchmarks.spark [--users 100000] [--rounds 1] [--one] [--train] [--folder DIR]
    python -m benchmarks.spark --skew     # one user with a fifth of all events, against none
    python -m benchmarks.spark --day [--train]        # two workers: all days, then one more

Workers have a core and 4 GiB each; a driver has Spark's own 1 GiB. 100,000 users are about 10
million events, 1,000,000 are about 100 million. The memory of a driver is that of all its processes
together.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import psutil

from benchmarks.processes import interleaved
from benchmarks.warehouse import Media
from tests.spark.cluster import Cluster, running

COMMAND = [sys.executable, "-m", "whyrank.cli"]
DEFAULTS = "spark.executor.memory 4g\n"
Case = Callable[[], tuple[float, float]]


def timed(words: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Run a command; return its seconds and the peak memory of all its processes, in GiB."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [*COMMAND, *words], env={**os.environ, **env}, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    peak = 0
    ended = threading.Event()

    def look() -> None:
        nonlocal peak
        while not ended.wait(0.2):
            peak = max(peak, _memory(process.pid))

    watcher = threading.Thread(target=look)
    watcher.start()
    said = process.stderr.read() if process.stderr else ""
    code = process.wait()
    seconds = time.perf_counter() - start
    ended.set()
    watcher.join()
    if code:
        raise RuntimeError(f"{words}: {said[-2000:]}")
    return seconds, peak / (1 << 30)


def _memory(pid: int) -> int:
    """Return the bytes that a process and all below it hold; shared pages count for each."""
    total = 0
    try:
        root = psutil.Process(pid)
        for each in [root, *root.children(recursive=True)]:
            total += each.memory_info().rss
    except psutil.Error:
        pass
    return total


class Place:
    """A warehouse, and the cluster that it needs, which runs only while it works."""

    def __init__(self, folder: Path, name: str, workers: int) -> None:
        self.folder, self.name, self.workers = folder, name, workers

    def run(self, *words: str) -> tuple[float, float]:
        """Run a verb on it."""
        more = ["--spec", "media", "--warehouse"]
        if not self.workers:
            return timed([*words, *more, f"duckdb:///{self.folder}/{self.name}.duckdb"], {})
        home = Path(tempfile.mkdtemp(prefix="cluster-", dir=self.folder))
        try:
            with running(home, self.workers, defaults=DEFAULTS, memory="5g") as cluster:
                return timed([*words, *more, self._url(cluster)], cluster.settings)
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def build(self, *options: str) -> tuple[float, float]:
        """Build, and say what each model took."""
        found = self.run("build", *options)
        path = f"{self.name}/catalog.duckdb" if self.workers else f"{self.name}.duckdb"
        with duckdb.connect(self.folder / path, read_only=True) as con:
            costs = con.execute(
                "select name, seconds from media_landing.runs where kind = 'model' and started_at "
                ">= (select max(started_at) from media_landing.runs where kind = 'build') "
                "order by seconds desc limit 12"
            ).fetchall()
        told = ", ".join(f"{name} {seconds:.1f}" for name, seconds in costs)
        print(f"  {self}, seconds by model: {told}", file=sys.stderr, flush=True)
        return found

    def train(self) -> tuple[float, float]:
        """Train the floor and XGBoost on one test; no fit of an earlier run is taken over."""
        files = self.folder / self.name / "media"
        shutil.rmtree(files / "training", ignore_errors=True)
        store = f"sqlite:///{self.folder}/mlflow.db"
        return self.run(
            "train", "--candidates", "recency,xgboost", "--folds", "1", "--tracking", store
        )

    def __str__(self) -> str:
        return f"Spark, {self.workers} workers" if self.workers else "DuckDB"

    def _url(self, cluster: Cluster) -> str:
        return f"{cluster.master}?folder={self.folder}/{self.name}"


def compare(folder: Path, users: int, rounds: int, *, one: bool, train: bool) -> None:
    """Time loading, building, scoring and training on DuckDB and on Spark, interleaved."""
    world = Media(folder, users)
    places = [Place(folder, "here", 0), Place(folder, "spark", 2)]
    if one:
        places.append(Place(folder, "spark", 1))
    for place in places[:2]:
        seconds, peak = place.run(
            "ingest", str(world.events), "--users-file", str(world.attributes)
        )
        print(f"ingest, {place.name}: {seconds:.1f} s, {peak:.2f} GiB", flush=True)
    cases: dict[str, Case] = {}
    for place in places:
        cases[f"build, {place}"] = partial(place.build, "--full-refresh")
        out = str(folder / "lists" / "top.csv")
        cases[f"score, {place}"] = partial(place.run, "score", "--out", out)
    for place in places if train else ():
        # On one machine all snapshots are in memory: 3 GiB of 100,000 users, and growing.
        if place.workers or users < 500_000:
            cases[f"train, {place}"] = place.train
    found = interleaved(cases, rounds)
    print(f"\n{world.count:,} events of {users:,} users, medians of {rounds}, interleaved")
    for name, measured in found.items():
        print(f"  {name:<28} {measured}")


def one_more_day(folder: Path, users: int, *, train: bool) -> None:
    """Build all days but the last on two workers, then with the last one; train with snapshots."""
    world = Media(folder, users)
    place = Place(folder, "spark", 2)
    steps: dict[str, Case] = {
        "ingest, all days but one": partial(
            place.run, "ingest", str(world.before_the_last_day()),
            "--users-file", str(world.attributes),
        ),
        "build, all days but one": place.build,
        "ingest, the last day": partial(place.run, "ingest", str(world.the_last_day())),
        "build, the last day": place.build,
    }  # fmt: skip
    if train:
        steps["train, snapshots to build"] = place.train
    for name, step in steps.items():
        seconds, peak = step()
        print(f"{name}: {seconds:.1f} s, driver {peak:.2f} GiB", flush=True)


def skew(folder: Path, users: int) -> None:
    """Build a log in which one user has a fifth of all events, and the log without that."""
    world = Media(folder, users)
    heavy = folder / "heavy.parquet"
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        # Every fifth event becomes one user's, whose days and sessions are then full.
        con.execute(
            f"copy (select * replace (case when hash(event_id) % 5 = 0 then 'heavy' "
            f"else user_id end as user_id) from '{world.events}') "
            f"to '{heavy}' (format parquet, compression zstd)"
        )
    for name, events in (("even", world.events), ("heavy", heavy)):
        place = Place(folder, name, 2)
        place.run("ingest", str(events), "--users-file", str(world.attributes))
        seconds, peak = place.run("build")
        print(f"build, {name}: {seconds:.1f} s, driver {peak:.2f} GiB", flush=True)


def main() -> None:
    """Run the benchmark that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", action="store_true", help="with one worker as well")
    parser.add_argument("--train", action="store_true", help="train as well")
    parser.add_argument("--skew", action="store_true")
    parser.add_argument("--day", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whyrank-bench-") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if given.skew:
            skew(folder, given.users)
        elif given.day:
            one_more_day(folder, given.users, train=given.train)
        else:
            compare(folder, given.users, given.rounds, one=given.one, train=given.train)


if __name__ == "__main__":
    main()
