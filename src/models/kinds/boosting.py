"""Histogram gradient boosting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...types import Floats
from ..catalogue import Imbalance
from ..encoding import Matrix
from ..fitted import Model, SklearnModel
from .base import Params
from .trees import TreeKind


class Boosting(TreeKind):
    """Histogram gradient boosting (scikit-learn), with monotone constraints."""

    name = "boosting"
    models = {"sklearn": SklearnModel}
    libraries = (("scikit-learn",),)
    defaults = {
        "max_iter": 150,
        "learning_rate": 0.04,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 200,
        "l2_regularization": 10.0,
    }
    least_rows = "min_samples_leaf"

    def fit_classes(
        self,
        matrix: Matrix,
        codes: NDArray[np.intp],
        weights: Floats | None,
        *,
        params: Params,
        imbalance: Imbalance,
        monotone: Sequence[int] | None,
        seed: int,
    ) -> Model:
        """Fit on a matrix, (n, k); a column of nulls only has no bins to cut it into."""
        known = np.where(np.isnan(matrix).all(axis=0), np.float32(0), matrix)
        return super().fit_classes(
            known, codes, weights,
            params=params, imbalance=imbalance, monotone=monotone, seed=seed,
        )  # fmt: skip

    def estimator(self, params: Params, monotone: Sequence[int] | None, seed: int) -> Any:
        """Return a HistGradientBoostingClassifier."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            random_state=seed,
            early_stopping=False,
            monotonic_cst=None if monotone is None else list(monotone),
            **params,
        )

    def model_of(self, fitted: Any) -> SklearnModel:
        """Return the ensemble."""
        return SklearnModel(fitted)
