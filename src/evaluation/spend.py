"""How good expected spend is: its ranking, its total, and its deciles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SpendReport:
    """Expected against actual spend on one test.

    gini: normalised, 1 for the perfect order, 0 for chance. top_decile: share of all spend that
    the tenth with the highest expectations brought. total_ratio: expected over actual total.
    deciles: mean expected and mean actual spend, the highest tenth first.
    """

    gini: float
    top_decile: float
    total_ratio: float
    deciles: tuple[tuple[float, float], ...]


def spend_report(expected: Floats, actual: Floats) -> SpendReport:
    """Measure expected spend, shape (n,), against what came, shape (n,).

    Raises DataError when nobody spent anything.

    >>> report = spend_report(np.arange(20.0), np.arange(20.0))
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
        total_ratio=float(expected.sum() / actual.sum()),
        deciles=tuple((float(expected[p].mean()), float(actual[p].mean())) for p in parts),
    )


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
