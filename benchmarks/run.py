"""make bench: whyrank against hand-written DuckDB, pandas and NumPy, in whole processes.

    python -m benchmarks.run [--users 100000] [--rounds 5] [--folder DIR] [--only NAME] [--hundred]

100,000 users are about 10 million events. --hundred runs 1,000,000 users (100 million events) once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb

from benchmarks.processes import Measured, fresh, interleaved, run
from whyrank.scoring.scorecard import Scorecard
from whyrank.spec.load import load_spec
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.publish import read_published

HERE = Path(__file__).parent
WHYRANK = [sys.executable, "-m", "whyrank.cli"]
AS_OF = "2026-04-01"
MORE_DATES = ("2026-02-01", "2026-02-15", "2026-03-01", "2026-03-15")
Case = Callable[[], tuple[float, float]]


class World:
    """A generated world and the processes that work on it."""

    def __init__(self, folder: Path, users: int) -> None:
        self.folder = folder
        self.events = folder / f"saas{users}.parquet"
        self.users = folder / f"saas{users}_users.parquet"
        self.database = folder / f"w{users}.duckdb"
        if not self.events.exists():
            run([*WHYRANK, "generate", "--users", str(users), "--out", self.events])
        with duckdb.connect() as con:
            found = con.execute(f"select count(*) from '{self.events}'").fetchone()
        self.count = int(found[0]) if found else 0

    @property
    def url(self) -> str:
        """The warehouse's URL."""
        return f"duckdb:///{self.database}"

    def ingest(self) -> tuple[float, float]:
        """Load everything into an empty warehouse."""
        fresh(self.database, self.database.with_suffix(""))
        return run(
            [*WHYRANK, "ingest", self.events, "--users-file", self.users, "--warehouse", self.url]
        )

    def build(self, *dates: str) -> tuple[float, float]:
        """Build everything, for some snapshot dates."""
        chosen = [word for day in dates for word in ("--as-of", day)]
        return run([*WHYRANK, "build", "--full", *chosen, "--warehouse", self.url])

    def reference(self, script: str, target: str) -> tuple[float, float]:
        """Run a reference script on the same files."""
        out = self.folder / target
        fresh(out)
        return run([sys.executable, HERE / script, self.events, self.users, AS_OF, out])


def bench_build(folder: Path, users: int, rounds: int) -> None:
    """From events to user_features: against DuckDB by hand, and against pandas."""
    world, tiny = World(folder, users), World(folder, 10)
    tiny.ingest()
    cases: dict[str, Case] = {
        "duckdb by hand": lambda: world.reference("reference_duckdb.py", "reference.duckdb"),
        "ingest": world.ingest,
        "build": lambda: world.build(AS_OF),
        "build, 5 dates": lambda: world.build(AS_OF, *MORE_DATES),
        "fixed cost": lambda: tiny.build(AS_OF),
        "pandas": lambda: world.reference("reference_pandas.py", "reference.parquet"),
    }
    found = interleaved(cases, rounds)
    print(f"\n{world.count:,} events, medians of {rounds}, interleaved")
    for name, measured in found.items():
        print(f"  {name:<16} {measured}")
    _ratios(found)


def _ratios(found: dict[str, Measured]) -> None:
    fixed = found["fixed cost"].seconds
    by_hand = found["duckdb by hand"].seconds
    build = found["build"].seconds - fixed
    whole = found["ingest"].seconds + found["build"].seconds
    further = (found["build, 5 dates"].seconds - found["build"].seconds) / len(MORE_DATES)
    print(f"  build without the fixed cost / by hand          {build / by_hand:.2f} (at most 2)")
    share = (whole - fixed) / by_hand
    print(f"  ingest + build without the fixed cost / by hand {share:.2f} (at most 3)")
    print(
        f"  pandas / (ingest + build)                       {found['pandas'].seconds / whole:.2f}"
    )
    print(f"  a further date / first build                    {further / build:.1%} (under 20%)")
    peak = max(found["ingest"].peak, found["build"].peak, found["build, 5 dates"].peak)
    print(f"  fixed cost {fixed:.2f} s (at most 8), peak {peak:.2f} GiB (under 4)")


def bench_score(folder: Path, users: int, rounds: int) -> None:
    """Scoring and exporting the top 1,000 of a million users, against reading and one sort."""
    world = World(folder, users)
    if not world.database.exists():
        world.ingest()
    world.build(AS_OF)
    published = read_published(open_warehouse(world.url), "saas")
    snapshot = published.snapshot()
    copies = -(-1_000_000 // published.info.users)
    big = folder / "million.parquet"
    with duckdb.connect() as con:
        con.execute(
            f"copy (select * replace (user_id || '-' || lpad(n::varchar, 3, '0') as user_id) "
            f"from '{snapshot}', range({copies}) as r(n) order by user_id limit 1000000) "
            f"to '{big}' (format parquet, compression zstd)"
        )
    big.replace(snapshot)
    columns = Scorecard(load_spec("saas").scorecard).features
    out = folder / "top.csv"
    found = interleaved(
        {
            "read and sort": lambda: run(
                [sys.executable, HERE / "reference_sort.py", snapshot, *columns]
            ),
            "score": lambda: run(
                [*WHYRANK, "score", "--population", "all", "--top", "1000", "--out", out,
                 "--warehouse", world.url]
            ),
        },
        rounds,
    )  # fmt: skip
    print(f"\n1,000,000 users, {len(columns)} columns, top 1,000, medians of {rounds}, interleaved")
    for name, measured in found.items():
        print(f"  {name:<16} {measured}")
    ratio = found["score"].seconds / found["read and sort"].seconds
    print(f"  score / read and sort  {ratio:.2f} (at most 2)")


def bench_start(rounds: int) -> None:
    """`whyrank --help` against a bare interpreter."""
    found = interleaved(
        {
            "bare": lambda: run([sys.executable, "-c", "pass"]),
            "help": lambda: run([Path(sys.executable).with_name("whyrank"), "--help"]),
        },
        4 * rounds + 1,
    )
    ratio = found["help"].seconds / found["bare"].seconds
    print(f"\nwhyrank --help / python -c pass  {ratio:.1f} (at most 12)")


def bench_hundred(folder: Path, users: int) -> None:
    """Ten times the events, once, after one run of the smaller world."""
    times = {}
    for size in (users, 10 * users):
        world = World(folder, size)
        ingest, build = world.ingest(), world.build(AS_OF)
        times[size] = ingest[0] + build[0]
        peak = max(ingest[1], build[1])
        print(
            f"\n{world.count:,} events once: ingest {ingest[0]:.1f} s, build {build[0]:.1f} s, "
            f"peak {peak:.2f} GiB"
        )
    print(f"  ten times the events take {times[10 * users] / times[users]:.1f} times (at most 12)")


def main() -> None:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", choices=["build", "score", "start"])
    parser.add_argument("--hundred", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whyrank-bench-") as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if given.hundred:
            bench_hundred(folder, given.users)
            return
        if given.only in {None, "start"}:
            bench_start(given.rounds)
        if given.only in {None, "build"}:
            bench_build(folder, given.users, given.rounds)
        if given.only in {None, "score"}:
            bench_score(folder, given.users, given.rounds)


if __name__ == "__main__":
    main()
