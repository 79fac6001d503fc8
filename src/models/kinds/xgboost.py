"""XGBoost: the fitted model, and how it is fitted and tuned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ...types import Floats
from ..encoding import Matrix
from .base import Params, Tunable
from .trees import TreeKind

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class XgboostModel:
    """An XGBoost booster. Contributions are its exact TreeSHAP values (Lundberg et al. 2020)."""

    booster: Any

    def raw_score(self, matrix: Matrix) -> Floats:
        """Return log-odds, shape (n,)."""
        found = self.booster.inplace_predict(matrix, predict_type="margin", validate_features=False)
        return np.asarray(found, dtype=np.float64)

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        """Return TreeSHAP values, (n, k), and the expected raw score."""
        from xgboost import DMatrix

        found = self.booster.predict(
            DMatrix(matrix, nthread=-1), pred_contribs=True, validate_features=False
        )
        values = np.asarray(found, dtype=np.float64)
        return values[:, :-1], float(values[0, -1]) if len(values) else 0.0

    def save(self, folder: Path) -> None:
        """Write booster.ubj."""
        self.booster.save_model(folder / "booster.ubj")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read booster.ubj."""
        from xgboost import Booster

        return cls(Booster(model_file=folder / "booster.ubj"))


class Xgboost(TreeKind, Tunable):
    """Gradient boosting by XGBoost, with monotone constraints."""

    name = "xgboost"
    models = {"xgboost": XgboostModel}
    libraries = (("xgboost-cpu", "xgboost"),)
    defaults = {
        "n_estimators": 300,
        "max_depth": 4,
        "learning_rate": 0.02,
        "subsample": 0.5,
        "colsample_bytree": 0.3,
        "min_child_weight": 5.0,
        "reg_lambda": 10.0,
    }

    def estimator(self, params: Params, monotone: Sequence[int] | None, seed: int) -> Any:
        """Return an XGBClassifier."""
        from xgboost import XGBClassifier

        signs = {} if monotone is None else {"monotone_constraints": tuple(monotone)}
        return XGBClassifier(random_state=seed, tree_method="hist", **params, **signs)

    def model_of(self, fitted: Any) -> XgboostModel:
        """Return the booster."""
        return XgboostModel(fitted.get_booster())

    def effective_params(
        self, params: Params | None, *, rows: int, positives: int
    ) -> dict[str, Any]:
        """Return the parameters, with `min_child_weight` at most an eighth of the positives.

        >>> Xgboost().effective_params({}, rows=2000, positives=8)["min_child_weight"]
        1.0
        """
        found = super().effective_params(params, rows=rows, positives=positives)
        found["min_child_weight"] = min(found["min_child_weight"], positives / 8)
        return found

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return a trial's parameters."""
        return {
            "n_estimators": trial.suggest_int("n_estimators", 100, 400, step=50),
            "max_depth": trial.suggest_int("max_depth", 2, 5),
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.1, log=True),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
            "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 50.0, log=True),
            "reg_lambda": trial.suggest_float("reg_lambda", 1.0, 100.0, log=True),
        }
