"""How good expected spend is: its ranking, its total, and its deciles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..stats.bootstrap import percentile_interval, resampled_counts
from ..types import Floats

LEVEL = 0.95


@dataclass(frozen=True)
class SpendReport:
    """Expected against actual spend on one test.

    gini: normalised, 1 for the perfect order, 0 for chance. top_decile: share of all spend
    that the tenth with the highest expectations brought. top_decile_interval: of that, by bootstrap
    over users. total_ratio: expected over actual total. deciles: mean expected and mean actual
    spend, the highest tenth first.
    """

    gini: float
    top_decile: float
    top_decile_interval: tuple[float, float]
    total_ratio: float
    deciles: tuple[tuple[float, float], ...]


def spend_report(
    expected: Floats,
    actual: Floats,
    *,
    rng: np.random.Generator,
    n_boot: int = 1000,
    level: float = LEVEL,
) -> SpendReport:
    """Measure expected spend, shape (n,), against what came, shape (n,).

    Raises DataError when nobody spent anything.

    >>> rng = np.random.default_rng(0)
    >>> report = spend_report(np.arange(20.0), np.arange(20.0), rng=rng)
    >>> report.gini, round(report.top_decile, 3), report.total_ratio
    (1.0, 0.195, 1.0)
    """
    if not actual.sum() > 0:
        raise DataError("nobody spent anything within the horizon: spend cannot be measured")
    order = np.argsort(-expected, kind="stable")
    tenth = int(np.ceil(len(order) / 10))
    parts = [part for part in np.array_split(order, 10) if len(part)]
    return SpendReport(
        gini=float(np.round(_gini(expected, actual) / _gini(actual, actual), 12)),
        top_decile=float(actual[order[:tenth]].sum() / actual.sum()),
        top_decile_interval=_interval(actual[order], tenth, n_boot, level, rng),
        total_ratio=float(expected.sum() / actual.sum()),
        deciles=tuple((float(expected[p].mean()), float(actual[p].mean())) for p in parts),
    )


def _interval(
    actual: Floats, tenth: int, n_boot: int, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the interval of what the first `tenth` of users in order brought.

    Those who spent nothing between two who did are one cell of the bootstrap: wherever the tenth
    ends among them, it brings the same.
    """
    spent = actual > 0
    cell = np.cumsum(spent) + np.concatenate([[0], np.cumsum(spent)[:-1]])
    sizes = np.bincount(cell)
    amount = np.bincount(cell, weights=actual) / np.maximum(sizes, 1)
    shares = []
    for counts in resampled_counts(sizes, n_boot, rng):
        first = np.clip(tenth - (np.cumsum(counts, axis=1) - counts), 0, counts)
        total = counts @ amount
        known = total > 0  # a replicate in which nobody spent says nothing
        shares.append((first @ amount)[known] / total[known])
    found = np.concatenate(shares)
    return percentile_interval(found, level) if len(found) else (0.0, 1.0)


def _gini(by: Floats, amount: Floats) -> float:
    """Return the area between the concentration curve of `amount` by `by` and the diagonal.

    Users with equal expectations share their amounts, so that the order of rows says nothing.
    """
    values, place = np.unique(-by, return_inverse=True)
    size = np.bincount(place, minlength=len(values)).astype(np.float64)
    mass = np.bincount(place, weights=amount, minlength=len(values))
    ends = np.concatenate([[0.0], np.cumsum(mass) / amount.sum()])
    width = size / size.sum()
    return float(((ends[:-1] + ends[1:]) / 2 * width).sum() - 0.5)
