"""Time whole processes: wall seconds and peak memory, interleaved, medians."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """Median wall seconds and highest peak memory (GiB, of the largest process) of some runs."""

    seconds: float
    low: float
    high: float
    peak: float

    def __str__(self) -> str:
        return f"{self.seconds:7.2f} s [{self.low:.2f}, {self.high:.2f}]  peak {self.peak:.2f} GiB"


def run(arguments: Sequence[str | Path]) -> tuple[float, float]:
    """Run a process to its end; return its wall seconds and peak memory in GiB, children's too.

    Raises RuntimeError with what it printed when it fails.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(a) for a in arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments}: {said.decode()}")
    return seconds, usage.ru_maxrss / (1 << 20)


def interleaved(
    cases: Mapping[str, Callable[[], tuple[float, float]]], rounds: int
) -> dict[str, Measured]:
    """Run every case once a round, in turn, so that a machine's moods hit all alike."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for number in range(rounds):
        for name, case in cases.items():
            seen[name].append(case())
            seconds, peak = seen[name][-1]
            print(f"  round {number + 1}: {name} {seconds:.2f} s {peak:.2f} GiB", file=sys.stderr)
    return {
        name: Measured(
            statistics.median(s for s, _ in runs),
            min(s for s, _ in runs),
            max(s for s, _ in runs),
            max(p for _, p in runs),
        )
        for name, runs in seen.items()
    }


def fresh(*paths: Path) -> None:
    """Remove what an earlier run left."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
