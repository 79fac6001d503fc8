"""The warehouse at scale: loading, building, one more day, against DuckDB by hand.

    python -m benchmarks.warehouse [--users 100000] [--rounds 5] [--folder DIR]
    python -m benchmarks.warehouse --growth            # 1, 10 and 100 million events
    python -m benchmarks.warehouse --postgres URL      # the same log on an empty Postgres database

100,000 users over 101 days of the media world are about 11 million events.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb

from benchmarks.processes import Measured, fresh, interleaved, run

WHYRANK = [sys.executable, "-m", "whyrank.cli"]
BY_HAND = [sys.executable, "-m", "benchmarks.reference_media"]
START = date(2026, 1, 1)
DAYS = 101
Case = Callable[[], tuple[float, float]]


class Media:
    """A media world in files, cut into all days but the last, and the last."""

    def __init__(self, folder: Path, users: int, days: int = DAYS) -> None:
        self.folder = folder
        self.days = days
        self.events = folder / f"media{users}.parquet"
        self.attributes = folder / f"media{users}_users.parquet"
        self.end = START + timedelta(days=days)
        if not self.events.exists():
            words = ["--spec", "media", "--users", str(users), "--days", str(days)]
            self.generated = run([*WHYRANK, "generate", *words, "--out", self.events])
        with duckdb.connect() as con:
            found = con.execute(f"select count(*) from '{self.events}'").fetchone()
        self.count = int(found[0]) if found else 0

    def part(self, name: str, sql: str) -> Path:
        """Return a file of some of the events, written when first asked for."""
        path = self.events.with_name(f"{self.events.stem}_{name}.parquet")
        if not path.exists():
            with duckdb.connect() as con:
                con.execute("set timezone = 'UTC'")
                source = f"read_parquet('{self.events}')"
                con.execute(
                    f"copy ({sql.format(source=source)}) to '{path}' "
                    "(format parquet, compression zstd)"
                )
        return path

    def before_the_last_day(self) -> Path:
        """Return the events of all days but the last."""
        last = self.end - timedelta(days=1)
        return self.part(
            "before",
            f"select * from {{source}} where event_time < timestamptz '{last} 00:00:00+00'",
        )

    def the_last_day(self) -> Path:
        """Return the events of the last day."""
        last = self.end - timedelta(days=1)
        return self.part(
            "last", f"select * from {{source}} where event_time >= timestamptz '{last} 00:00:00+00'"
        )

    def without_ids(self) -> Path:
        """Return the events without their event_id."""
        return self.part("noid", "select * exclude (event_id) from {source}")


class Store:
    """A warehouse for a world: a DuckDB file in a folder, or any URL."""

    def __init__(self, folder: Path, name: str, url: str = "") -> None:
        self.database = folder / f"{name}.duckdb"
        self.url = url or f"duckdb:///{self.database}"

    def clear(self) -> None:
        """Forget what was loaded and built."""
        fresh(self.database, self.database.with_suffix(""))

    def ingest(self, *files: Path) -> tuple[float, float]:
        """Load a file of events, and perhaps one of users."""
        more = ["--users-file", files[1]] if len(files) > 1 else []
        where = ["--spec", "media", "--warehouse", self.url]
        return run([*WHYRANK, "ingest", files[0], *more, *where])

    def build(self, *options: str) -> tuple[float, float]:
        """Build everything, or what changed."""
        return run([*WHYRANK, "build", *options, "--spec", "media", "--warehouse", self.url])

    def save(self) -> None:
        """Keep a copy of it as it stands."""
        self._copy(self._saved, self)

    def restore(self) -> None:
        """Become again what was saved; in its own place, as dbt's cache is of one path."""
        self._copy(self, self._saved)

    @property
    def _saved(self) -> Store:
        return Store(self.database.parent / "saved", self.database.stem)

    @staticmethod
    def _copy(to: Store, of: Store) -> None:
        to.clear()
        to.database.parent.mkdir(exist_ok=True)
        shutil.copy(of.database, to.database)
        shutil.copytree(of.database.with_suffix(""), to.database.with_suffix(""))


def cases_of(world: Media, tiny: Media, folder: Path) -> dict[str, Case]:
    """Return what is timed, in the order in which one case may build on the one before."""
    by_hand, mine, ids = folder / "by_hand.duckdb", Store(folder, "mine"), Store(folder, "ids")
    more, few_more, small = Store(folder, "more"), Store(folder, "few_more"), Store(folder, "small")
    for store, media in ((more, world), (few_more, tiny)):
        store.clear()
        store.ingest(media.before_the_last_day(), media.attributes)
        store.build()
        store.save()
    small.clear()
    small.ingest(tiny.events, tiny.attributes)

    def load_by_hand(events: Path) -> tuple[float, float]:
        fresh(by_hand)
        return run([*BY_HAND, "load", events, world.attributes, by_hand])

    def emptied(store: Store, *files: Path) -> tuple[float, float]:
        store.clear()
        return store.ingest(*files)

    def one_more_day() -> tuple[float, float]:
        more.restore()
        return more.ingest(world.the_last_day())

    def one_more_day_of_few() -> tuple[float, float]:
        few_more.restore()
        return few_more.ingest(tiny.the_last_day())

    return {
        "load by hand, no event_id": lambda: load_by_hand(world.without_ids()),
        "ingest, no event_id": lambda: emptied(ids, world.without_ids(), world.attributes),
        "load by hand": lambda: load_by_hand(world.events),
        "build by hand": lambda: run([*BY_HAND, "build", str(world.end), by_hand]),
        "ingest": lambda: emptied(mine, world.events, world.attributes),
        "build": lambda: mine.build("--full-refresh"),
        "one more day: ingest": one_more_day,
        "one more day: build": more.build,
        "fixed cost: build of 10 users": lambda: small.build("--full-refresh"),
        "fixed cost: ingest of 10 users": lambda: emptied(ids, tiny.events),
        "fixed cost: one more day, ingest": one_more_day_of_few,
        "fixed cost: one more day, build": few_more.build,
    }


def bench(folder: Path, users: int, rounds: int) -> None:
    """Time all cases and print the ratios that count."""
    world, tiny = Media(folder, users), Media(folder, 10)
    found = interleaved(cases_of(world, tiny, folder), rounds)
    print(f"\n{world.count:,} events of {users:,} users, medians of {rounds}, interleaved")
    for name, measured in found.items():
        print(f"  {name:<32} {measured}")
    for line in ratios(found):
        print(f"  {line}")


def ratios(found: dict[str, Measured]) -> list[str]:
    """Return the ratios, a line each."""
    s = {name: measured.seconds for name, measured in found.items()}
    fixed = s["fixed cost: build of 10 users"]
    both = fixed + s["fixed cost: ingest of 10 users"]
    whole = s["ingest"] + s["build"] - both
    few = s["fixed cost: one more day, ingest"] + s["fixed cost: one more day, build"]
    day = s["one more day: ingest"] + s["one more day: build"] - few
    strict = s["one more day: ingest"] + s["one more day: build"] - both
    peak = max(m.peak for name, m in found.items() if "by hand" not in name)
    load = s["ingest"] / s["load by hand"]
    no_id = s["ingest, no event_id"] / s["load by hand, no event_id"]
    return [
        f"ingest / by hand                           {load:.2f} (at most 1.5)",
        f"ingest / by hand, no event_id              {no_id:.2f} (at most 2.5)",
        f"build without fixed cost / by hand         "
        f"{(s['build'] - fixed) / s['build by hand']:.2f} (at most 2)",
        f"one more day / all days, fixed costs apart {day / whole:.3f} (at most 0.1); "
        f"{strict / whole:.3f} with the fixed cost of a whole build for both",
        f"peak memory                                {peak:.2f} GiB (under 6)",
    ]


def growth(folder: Path) -> None:
    """Ten times the events, twice; the exponent of the time, fixed cost apart.

    The fewer events, the more of the time is the fixed cost, and the more often both are measured.
    """
    times: list[tuple[int, float]] = []
    fixed = statistics.median(sum(_whole(folder, 10)[:2]) for _ in range(7))
    for users, rounds in ((10_000, 7), (100_000, 3), (1_000_000, 1)):
        count = Media(folder, users).count
        runs = [_whole(folder, users) for _ in range(rounds)]
        ingest, build, score, peak = (statistics.median(each) for each in zip(*runs, strict=True))
        times.append((count, ingest + build - fixed))
        print(
            f"{count:,} events: ingest {ingest:.1f} s, build {build:.1f} s, score {score:.1f} s, "
            f"peak {peak:.2f} GiB, median of {rounds}", flush=True,
        )  # fmt: skip
        if len(times) > 1:
            (n, t), (more, longer) = times[-2:]
            print(f"  exponent {math.log(longer / t) / math.log(more / n):.3f} (at most 1.08)")


def _whole(folder: Path, users: int) -> tuple[float, float, float, float]:
    """Load, build and score a world; return the seconds of each and the peak memory in GiB."""
    world, store = Media(folder, users), Store(folder, f"g{users}")
    store.clear()
    ingest, build = store.ingest(world.events, world.attributes), store.build()
    score = run([*WHYRANK, "score", "--spec", "media", "--warehouse", store.url,
                 "--out", folder / "top.csv"])  # fmt: skip
    store.clear()
    return ingest[0], build[0], score[0], max(ingest[1], build[1], score[1])


def on_postgres(folder: Path, users: int, url: str) -> None:
    """Load and build the same log on Postgres, once."""
    world, store = Media(folder, users), Store(folder, "postgres", url)
    ingest = store.ingest(world.before_the_last_day(), world.attributes)
    build = store.build("--full-refresh")
    more, again = store.ingest(world.the_last_day()), store.build()
    print(f"Postgres, {world.count:,} events: ingest {ingest[0]:.1f} s, build {build[0]:.1f} s; ")
    print(f"  one more day: ingest {more[0]:.1f} s, build {again[0]:.1f} s")


def main() -> None:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--postgres", metavar="URL")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whyrank-bench-") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if given.growth:
            growth(folder)
        elif given.postgres:
            on_postgres(folder, given.users, given.postgres)
        else:
            bench(folder, given.users, given.rounds)


if __name__ == "__main__":
    main()
