"""Gradient boosting without interactions: a sum of one curve a feature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...types import Floats
from ..catalogue import Imbalance
from ..encoding import Matrix
from ..fitted import Model
from .base import Params
from .lightgbm import Lightgbm


class Additive(Lightgbm):
    """LightGBM whose trees split by one feature each, with monotone constraints.

    The log-odds are a sum of curves, as of a generalised additive model (Lou, Caruana & Gehrke
    2012, "Intelligible models for classification and regression"): what a feature adds depends on
    its own value alone, so two users of the same value get the same contribution.
    """

    name = "additive"
    defaults = {**Lightgbm.defaults, "num_leaves": 4}
    leaves = (2, 8)  # a curve needs no depth

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
        """Fit on a matrix, (n, k), with each column a group of its own."""
        alone = [[column] for column in range(matrix.shape[1])]
        return super().fit_classes(
            matrix, codes, weights,
            params={**params, "interaction_constraints": alone},
            imbalance=imbalance, monotone=monotone, seed=seed,
        )  # fmt: skip
