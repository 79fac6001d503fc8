"""The bootstrap over users, as multinomial counts of cells, and percentile intervals.

Drawing n of n users with replacement gives each user a count; users that a metric cannot tell
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


def resampled_counts(sizes: Counts, n_boot: int, rng: np.random.Generator) -> Iterator[Counts]:
    """Yield batches, shape (b, cells), of how often each cell is drawn; n_boot rows in all.

    sizes: users in each cell, shape (cells,); every replicate draws their sum with replacement.
    Scorers compared on the same users share one call, and so the same replicates.

    Raises DataError when there is no user, or n_boot is below 1.

    >>> batch = next(resampled_counts(np.array([3, 1]), 5, np.random.default_rng(0)))
    >>> batch.shape, set(batch.sum(axis=1).tolist())
    ((5, 2), {4})
    """
    total = int(sizes.sum())
    if total < 1 or n_boot < 1:
        raise DataError(f"bootstrap of {total} users, {n_boot} times: both must be at least 1")
    shares = sizes / total
    rows = max(1, BATCH_CELLS // len(sizes))
    for start in range(0, n_boot, rows):
        yield rng.multinomial(total, shares, size=min(rows, n_boot - start))


def percentile_interval(replicates: Floats, level: float) -> tuple[float, float]:
    """Return the percentile interval of replicates, shape (n_boot,), leaving NaN ones out.

    Percentile rather than normal: metrics of rankings are bounded and skewed when positives are
    few, and the interval then stays within bounds. Raises DataError when fewer than half of the
    replicates are numbers, as the interval would describe luck.

    >>> low, high = percentile_interval(np.arange(101.0), 0.90)
    >>> round(low, 6), round(high, 6)
    (5.0, 95.0)
    """
    if not 0 < level < 1:
        raise DataError(f"level = {level}: must lie between 0 and 1, such as 0.95")
    known = replicates[~np.isnan(replicates)]
    if 2 * len(known) < len(replicates):
        raise DataError(
            f"{len(replicates) - len(known)} of {len(replicates)} bootstrap replicates drew one "
            "class only: there are too few positives (or negatives) to say anything"
        )
    tail = (1 - level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def max_t_critical_value(away: Floats, level: float) -> tuple[Floats, float]:
    """Return the standard errors of several estimates, and how many of them cover all at once.

    away: replicates, shape (n_boot, estimates), none of them NaN. Every estimate, its standard
    error times the reach either way, is covered together with all others at `level`: single-step
    max-t (Romano & Wolf 2005). An estimate that never varies has the error 0.

    >>> away = np.random.default_rng(0).normal(size=(20_000, 10)) * np.arange(1, 11)
    >>> errors, reach = max_t_critical_value(away, 0.95)
    >>> bool(np.allclose(errors, np.arange(1, 11), rtol=0.05)), round(reach, 1)  # 1.96 for one
    (True, 2.8)
    """
    errors: Floats = away.std(axis=0)
    known = errors > 0
    if not known.any():
        return errors, 0.0
    centred = (away - away.mean(axis=0))[:, known] / errors[known]
    return errors, float(np.quantile(np.abs(centred).max(axis=1), level))
