"""What the kinds that grow trees share: fits, and leaves eased where rows are few."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...types import Floats
from ..catalogue import Imbalance
from ..encoding import Matrix
from ..fitted import Model
from ..oversampling import ScaledLogs, oversampled
from .base import HUGE, ClassifierKind, Params, class_weights

_SHARED = 50_000  # rows, below which a second thread does not pay


class TreeKind(ClassifierKind):
    """Trees of a library that has scikit-learn's interface.

    Few positives and weak signals ask for shallow trees, strong shrinkage, rows and columns drawn
    at random for each tree: many trees that differ, none of which decides alone.
    """

    least_rows: ClassVar[str] = ""  # the param that says how many rows a leaf has at least

    @abstractmethod
    def estimator(self, params: Params, monotone: Sequence[int] | None, seed: int) -> Any:
        """Return the library's estimator, not fitted; it may use every core."""

    @abstractmethod
    def model_of(self, fitted: Any) -> Model:
        """Return what a fitted estimator leaves."""

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
        """Fit on a matrix, (n, k), and codes 0 and 1, (n,); see `ClassifierKind.fit_classes`."""
        from threadpoolctl import threadpool_limits

        matrix = np.clip(matrix, -HUGE, HUGE)
        trees = self.estimator(params, monotone, seed)
        threads = threads_for(len(matrix))
        if threads and "n_jobs" in trees.get_params():
            trees.set_params(n_jobs=1)
        with threadpool_limits(threads, user_api="openmp"):
            if imbalance == "smote":
                logs = ScaledLogs(matrix)
                oversampled(trees, logs.columns(matrix), codes, back=logs, seed=seed)
            else:
                weights = class_weights(codes, weights) if imbalance == "weights" else weights
                trees.fit(matrix, codes, sample_weight=weights)
        return self.model_of(trees)

    def effective_params(
        self, params: Params | None, *, rows: int, positives: int
    ) -> dict[str, Any]:
        """Return params over `defaults`, with leaves of a fiftieth of the rows at most."""
        found = super().effective_params(params, rows=rows, positives=positives)
        if self.least_rows in found:
            found[self.least_rows] = max(1, min(found[self.least_rows], rows // 50))
        return found


def threads_for(rows: int) -> int | None:
    """Return 1 where threads would wait for each other longer than they work, None for all."""
    return 1 if rows < _SHARED else None
