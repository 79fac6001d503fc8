"""Logistic regression on scaled logarithms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ...types import Floats
from ..catalogue import Imbalance
from ..encoding import Matrix
from ..fitted import signed_log
from ..oversampling import ScaledLogs, oversampled
from .base import HUGE, ClassifierKind, Params, Tunable, class_weights

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class LinearModel:
    """A logistic regression on scaled logarithms: log-odds are a sum over columns, exactly.

    A value x counts as slope · (sign(x) log(1 + |x|) - center), a null as what nulls are worth.
    """

    slope: Floats
    center: Floats
    null: Floats
    base: float

    def raw_score(self, matrix: Matrix) -> Floats:
        """Return log-odds, shape (n,)."""
        values: Floats = self.contributions(matrix)[0].sum(axis=1) + self.base
        return values

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        """Return each column's part of the log-odds, (n, k), and the base."""
        values = self.slope * (signed_log(matrix) - self.center)
        return np.where(np.isnan(values), self.null, values), self.base

    def save(self, folder: Path) -> None:
        """Write linear.json."""
        raw = {
            "slope": self.slope.tolist(),
            "center": self.center.tolist(),
            "null": self.null.tolist(),
            "base": self.base,
        }
        (folder / "linear.json").write_text(json.dumps(raw), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read linear.json."""
        raw = json.loads((folder / "linear.json").read_text(encoding="utf-8"))
        slope, center, null = (np.array(raw[key]) for key in ("slope", "center", "null"))
        return cls(slope, center, null, float(raw["base"]))


class Logistic(ClassifierKind, Tunable):
    """Logistic regression (scikit-learn's L-BFGS) with a ridge, nulls told by indicators."""

    name = "logistic"
    models = {"linear": LinearModel}
    libraries = (("scikit-learn",),)
    defaults = {"C": 0.003}

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
    ) -> LinearModel:
        """Fit on a matrix, (n, k), and codes 0 and 1, (n,); signs of slopes are free."""
        from sklearn.linear_model import LogisticRegression

        del monotone
        matrix = np.clip(matrix, -HUGE, HUGE)
        logs = ScaledLogs(matrix, weights)
        columns = logs.columns(matrix)
        fitted = LogisticRegression(max_iter=1000, random_state=seed, **params)
        if imbalance == "smote":
            oversampled(fitted, columns, codes, back=None, seed=seed)
        else:
            weights = class_weights(codes, weights) if imbalance == "weights" else weights
            fitted.fit(columns, codes, sample_weight=weights)
        slope, told = np.split(fitted.coef_[0], [len(logs.center)])
        null = np.zeros(len(logs.center))
        null[logs.told] = told
        # A null's indicator is centred, so that an average user contributes nothing; a known
        # value then carries -null · share, which belongs to the base.
        base = float(fitted.intercept_[0] - (null * logs.share).sum())
        return LinearModel(slope / logs.scale, logs.center, null, base)

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return a trial's ridge."""
        return {"C": trial.suggest_float("C", 1e-4, 1.0, log=True)}
