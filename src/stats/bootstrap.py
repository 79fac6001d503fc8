"""The bootstrap over users: how often each is drawn, percentile intervals, and joint ones.

Drawing n of n users with replacement gives each user a count. Users that a metric cannot tell
apart (same scores, same label) are one cell, and the counts of cells are multinomial with the
cells' shares (Efron & Tibshirani 1993, section 6.2 on multinomial resampling). Drawing cells is
exact, and much cheaper than drawing users where scores are tied.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..types import Floats

Counts = NDArray[np.int64]
BATCH_CELLS = 4_000_000


def resampled_counts(
    sizes: Counts | int, n_boot: int, rng: np.random.Generator, *, batch: int | None = None
) -> Iterator[Counts]:
    """Yield batches, shape (b, cells), of how often each cell is drawn; n_boot rows in all.

    Args:
        sizes: Users in each cell, shape (cells,), or how many users there are if each is a cell
            of its own. Every replicate draws as many users as there are, with replacement.
        n_boot: Replicates.
        rng: Draws the same counts whatever the batch.
        batch: Replicates in a batch; about BATCH_CELLS counts if None.

    Scorers compared on the same users share one call, and so the same replicates.

    Raises:
        DataError: There is no user, or n_boot is below 1.

    >>> batch = next(resampled_counts(np.array([3, 1]), 5, np.random.default_rng(0)))
    >>> batch.shape, set(batch.sum(axis=1).tolist())
    ((5, 2), {4})
    >>> [part.shape for part in resampled_counts(4, 5, np.random.default_rng(0), batch=3)]
    [(3, 4), (2, 4)]
    """
    total = sizes if isinstance(sizes, int) else int(sizes.sum())
    if total < 1 or n_boot < 1:
        raise DataError(f"bootstrap of {total} users, {n_boot} times: both must be at least 1")
    cells = sizes if isinstance(sizes, int) else len(sizes)
    rows = batch or max(1, BATCH_CELLS // cells)
    for start in range(0, n_boot, rows):
        draws = min(rows, n_boot - start)
        if isinstance(sizes, int):
            # One number for each user: a multinomial over single users is many times slower.
            drawn = (rng.integers(0, total, total) for _ in range(draws))
            yield np.stack([np.bincount(users, minlength=total) for users in drawn])
        else:
            yield rng.multinomial(total, sizes / total, size=draws)


def percentile_interval(replicates: Floats, level: float) -> tuple[float, float]:
    """Return the percentile interval of replicates, shape (n_boot,), leaving NaN ones out.

    Percentile rather than normal: metrics of rankings are bounded and skewed when positives are
    few, and the interval then stays within bounds.

    Raises:
        DataError: The level is not between 0 and 1, or fewer than half of the replicates are
            numbers: the interval would describe luck.

    >>> low, high = percentile_interval(np.arange(101.0), 0.90)
    >>> round(low, 6), round(high, 6)
    (5.0, 95.0)
    """
    known = replicates[~np.isnan(replicates)]
    check_replicates(len(known), len(replicates))
    low, high = percentiles(known, level)
    return float(low), float(high)


def percentiles(replicates: Floats, level: float) -> tuple[Floats, Floats]:
    """Return the lower and upper ends of percentile intervals of replicates, (n_boot, ...).

    No replicate may be NaN. Raises DataError if the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise DataError(f"level = {level}: must lie between 0 and 1, such as 0.95")
    tail = (1 - level) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail], axis=0)
    return low, high


def check_replicates(valid: int, n_boot: int) -> None:
    """Raise DataError if fewer than half of the replicates drew both classes."""
    if 2 * valid < n_boot:
        raise DataError(
            f"{n_boot - valid} of {n_boot} bootstrap replicates drew one class only: there are too "
            "few positives (or negatives) to say anything"
        )


def max_t_critical_value(replicates: Floats, level: float) -> tuple[Floats, float]:
    """Return the standard errors of several estimates, and how many of them cover all at once.

    replicates: shape (n_boot, estimates), none of them NaN. Every estimate, its standard error
    times the reach either way, is covered together with all others at `level`: single-step max-t
    (Romano & Wolf 2005). An estimate that never varies has the error 0.

    >>> replicates = np.random.default_rng(0).normal(size=(20_000, 10)) * np.arange(1, 11)
    >>> errors, reach = max_t_critical_value(replicates, 0.95)
    >>> bool(np.allclose(errors, np.arange(1, 11), rtol=0.05)), round(reach, 1)  # 1.96 for one
    (True, 2.8)
    """
    errors: Floats = replicates.std(axis=0)
    known = errors > 0
    if not known.any():
        return errors, 0.0
    centered = (replicates - replicates.mean(axis=0))[:, known] / errors[known]
    return errors, float(np.quantile(np.abs(centered).max(axis=1), level))
