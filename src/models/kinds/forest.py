"""Random forest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..fitted import SklearnModel
from .base import Params
from .trees import TreeKind

_FEW = 10_000  # rows, of which each tree sees all


class Forest(TreeKind):
    """A random forest (scikit-learn); it has no monotone constraints."""

    name = "forest"
    models = {"sklearn": SklearnModel}
    libraries = (("scikit-learn",),)
    defaults = {
        "n_estimators": 150,
        "max_depth": 8,
        "min_samples_leaf": 100,
        "max_features": 0.4,
        "max_samples": 0.3,
    }
    least_rows = "min_samples_leaf"

    def estimator(self, params: Params, monotone: Sequence[int] | None, seed: int) -> Any:
        """Return a RandomForestClassifier."""
        from sklearn.ensemble import RandomForestClassifier

        del monotone
        return RandomForestClassifier(n_jobs=-1, random_state=seed, **params)

    def model_of(self, fitted: Any) -> SklearnModel:
        """Return the forest."""
        fitted.n_jobs = 1  # what is saved does not depend on this machine
        return SklearnModel(fitted)

    def effective_params(
        self, params: Params | None, *, rows: int, positives: int
    ) -> dict[str, Any]:
        """Return params over `defaults`; of few rows each tree sees all."""
        found = super().effective_params(params, rows=rows, positives=positives)
        if "max_samples" in found and rows < _FEW:
            found["max_samples"] = None
        return found
