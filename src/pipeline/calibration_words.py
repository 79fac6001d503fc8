"""What both kinds of calibration print first and last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from ..evaluation.comparison import Comparison


def opening_lines(
    what: str, trained: Sequence[date], comparison: Comparison, sample: str
) -> Iterator[str]:
    """Yield what was proposed, what it was learnt from and what it was tried on.

    sample: what is said of the users it was learnt from; empty where they are all users.
    """
    test = comparison.tests[-1]
    n, positives = comparison.sizes[test]
    yield (
        f"{what}: learnt from {len(trained)} snapshots until {trained[-1]}, tried on {test}: "
        f"{n:,} users, {positives:,} positive"
    )
    if sample:
        yield sample


def intervals_line(comparison: Comparison) -> str:
    """Say which intervals those of a comparison are."""
    level = f"{100 * comparison.level:g}%"
    return f"intervals {level}, bootstrap over users, {comparison.n_boot:,} times"


def closing_line(kind: str, written: Path | None) -> str:
    """Say whether the new spec was written, and what comes next; kind: calibrated or shaped."""
    if written is None:
        return "nothing is written: review the diff, then --apply FILE"
    return f"{kind} spec written to {written}: review it, then pass it with --spec"
