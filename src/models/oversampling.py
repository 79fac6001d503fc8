"""SMOTE on the columns that models are fitted on: logarithms, filled and scaled, nulls beside them.

Synthetic positives lie between a positive and one of its nearest neighbours (Chawla et al. 2002).
Near is told on scaled logarithms, where amounts spread over decades are comparable; a linear model
is fitted there, and trees on the same rows mapped back to amounts, nulls included.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Floats
from .encoding import Matrix
from .fitted import signed_log

SMOTE_RATIO = 0.2  # positives for each negative after oversampling
_NEIGHBOURS = 5
_ROUNDING = 1e-9


class ScaledLogs:
    """Columns as signed logarithms with mean 0 and deviation 1, then indicators of nulls.

    center, scale: of the logarithms, (k,). share: of nulls, (k,). A null counts as the mean, and
    its indicator is centred, so that an average user stands at zero everywhere. A column that is
    constant, or null throughout, is zero throughout. weights: of the rows, (n,): two count as a row
    that is there twice.
    """

    def __init__(self, matrix: Matrix, weights: Floats | None = None) -> None:
        if weights is not None:
            matrix, weights = matrix[weights > 0], weights[weights > 0]
        logs = signed_log(matrix)
        unknown = np.isnan(logs)
        known = ~unknown.all(axis=0)
        self.center = np.zeros(logs.shape[1])
        self.scale = np.ones(logs.shape[1])
        if weights is None:
            self.center[known] = np.nanmean(logs[:, known], axis=0)
            self.scale[known] = np.nanstd(logs[:, known], axis=0)
            self.share = unknown.mean(axis=0)
        else:
            counted = np.ma.masked_invalid(logs[:, known])
            self.center[known] = np.ma.average(counted, axis=0, weights=weights)
            away = (counted - self.center[known]) ** 2
            self.scale[known] = np.sqrt(np.ma.average(away, axis=0, weights=weights))
            self.share = np.average(unknown, axis=0, weights=weights)
        # Of a constant, sums leave a last bit that is no spread.
        self.scale[self.scale <= _ROUNDING * (1 + np.abs(self.center))] = 1.0
        # Of a column that is never null, or always, the indicator would say nothing.
        self.told = np.flatnonzero((self.share > 0) & (self.share < 1))

    def columns(self, matrix: Matrix) -> Floats:
        """Return the scaled logarithms and then the indicators, shape (n, k + told)."""
        logs = signed_log(matrix)
        unknown = np.isnan(logs)
        scaled = np.where(unknown, 0.0, (logs - self.center) / self.scale)
        return np.hstack([scaled, (unknown - self.share)[:, self.told]])

    def back(self, columns: Floats) -> Matrix:
        """Return the amounts behind columns, (n, k): `columns` turned round, nulls included.

        A synthetic row lacks a value where the nearer of its two parents does. Where the further
        one does, it takes the value of the nearer: the mean that stands for a null is no value.
        """
        k = len(self.center)
        lacking = np.zeros((len(columns), k))
        lacking[:, self.share == 1] = 1.0
        lacking[:, self.told] = columns[:, k:] + self.share[self.told]
        known = lacking <= 0.5  # noqa: PLR2004 - nearer to a parent that knows
        # A null is at zero: what is left of the known parent's value is 1 - lacking of it.
        scaled = columns[:, :k] / np.where(known, 1 - lacking, 1.0)
        logs = scaled * self.scale + self.center
        amounts = np.sign(logs) * np.expm1(np.abs(logs))
        return np.where(known, amounts, np.nan).astype(np.float32)


def oversampled(
    estimator: Any,
    columns: Floats,
    codes: NDArray[np.intp],
    *,
    back: ScaledLogs | None,
    seed: int,
) -> None:
    """Fit an estimator on columns with synthetic positives added, up to SMOTE_RATIO.

    columns: of `ScaledLogs`. codes: 0 or 1, (n,). back: mapped back by this first; None for an
    estimator that reads the columns themselves. With one positive, which has no neighbour, or
    enough of them already, nothing is added.
    """
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    positives = int(codes.sum())
    steps: list[tuple[str, Any]] = []
    if 1 < positives < int(SMOTE_RATIO * (len(codes) - positives)):
        neighbours = min(_NEIGHBOURS, positives - 1)
        smote = SMOTE(sampling_strategy=SMOTE_RATIO, k_neighbors=neighbours, random_state=seed)
        steps.append(("smote", smote))
    if back is not None:
        steps.append(("back", FunctionTransformer(back.back)))
    Pipeline([*steps, ("classifier", estimator)]).fit(columns, codes)
