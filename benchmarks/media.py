"""The media world from arguments to finished Parquet files, on one core, one thread a library.

    python -m benchmarks.media [--users 10000 100000] [--rounds 3]

Whole processes, start of Python included: elapsed and CPU seconds, events a second of each, peak
memory. At least 400,000 events a second and at most 2 GiB are wanted, at 10 million events.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pyarrow.parquet as pq

PROGRAM = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from whyrank.events.synthetic.media.world import generate_media
    generate_media(Path(sys.argv[1]), users=int(sys.argv[2]))
""")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def measure(out: Path, users: int) -> tuple[float, float, float]:
    """Return elapsed seconds, CPU seconds and peak memory in GiB of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(out), str(users)], env={**os.environ, **ONE_THREAD}
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{users} users: exit {process.returncode}")
    seconds = time.perf_counter() - start
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (1 << 20)


def main() -> None:
    """Measure each size in turn, round by round, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    runs: dict[int, list[tuple[float, float, float]]] = {users: [] for users in given.users}
    events = {}
    with tempfile.TemporaryDirectory(prefix="whyrank-bench-") as folder:
        out = Path(folder) / "media.parquet"
        for _ in range(given.rounds):
            for users, found in runs.items():
                found.append(measure(out, users))
                events[users] = pq.ParquetFile(out).metadata.num_rows
    for users, found in runs.items():
        seconds, cpu = (statistics.median(run[at] for run in found) for at in (0, 1))
        n, peak = events[users], max(run[2] for run in found)
        print(
            f"{n:>12,} events: {seconds:.2f} s, {n / seconds:,.0f} a second; "
            f"{cpu:.2f} CPU seconds, {n / cpu:,.0f} a second; peak {peak:.2f} GiB"
        )


if __name__ == "__main__":
    main()
