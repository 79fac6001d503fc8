"""Rolling-origin backtest folds, and the training snapshots of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from ..errors import DataError


@dataclass(frozen=True)
class Fold:
    """A backtest fold: its cutoff, and the dates of its training snapshots, oldest first.

    Scorers are evaluated on the users as of the cutoff. `rolling_folds` keeps an embargo, so that
    every training outcome is known at the cutoff: train + horizon <= cutoff. A leakage check
    verifies this in every training.
    """

    cutoff: date
    train: tuple[date, ...]

    def __post_init__(self) -> None:
        if not self.train or max(self.train) >= self.cutoff:
            raise DataError(
                f"fold of {self.cutoff}: it needs training dates, all before the cutoff"
            )


def rolling_folds(
    last: date,
    *,
    horizon_days: int,
    every_days: int,
    snapshots: int,
    folds: int,
    first_event: date,
) -> tuple[Fold, ...]:
    """Return folds, oldest first, one horizon apart; the last one has the cutoff `last`.

    A fold's latest training snapshot is one horizon before its cutoff. The others are `every_days`
    apart before that, as far back as there are events. So no two folds' outcomes overlap, and the
    outcomes of a fold are known at the cutoff of the next one. Fewer folds are returned if the log
    does not reach back far enough.

    Args:
        last: The cutoff of the last fold.
        horizon_days: The horizon of outcomes.
        every_days: Days between training snapshots.
        snapshots: Training snapshots of a fold, at most.
        folds: Folds, at most.
        first_event: The date of the first event.

    Raises:
        DataError: The log does not reach back far enough for a single fold.

    >>> found = rolling_folds(date(2018, 6, 1), horizon_days=60, every_days=30, snapshots=2,
    ...                       folds=2, first_event=date(2017, 1, 1))
    >>> [str(fold.cutoff) for fold in found]
    ['2018-04-02', '2018-06-01']
    >>> [str(day) for day in found[1].train]
    ['2018-03-03', '2018-04-02']
    """
    horizon, every = timedelta(days=horizon_days), timedelta(days=every_days)
    found: list[Fold] = []
    for place in range(folds):
        cutoff = last - place * horizon
        days = [cutoff - horizon - step * every for step in reversed(range(snapshots))]
        known = tuple(day for day in days if day > first_event)
        if not known:
            break
        found.append(Fold(cutoff, known))
    if not found:
        raise DataError(
            f"a fold as of {last} over {horizon_days} days needs a training snapshot as of "
            f"{last - horizon}, and the first event is of {first_event}: load older events, or "
            "shorten the horizon"
        )
    return tuple(reversed(found))
