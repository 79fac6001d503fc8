"""LightGBM: its models and how they are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ...errors import InstallError
from ...types import Floats
from ..encoding import Matrix
from .base import Params, Tunable
from .trees import TreeKind

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class LightgbmModel:
    """A LightGBM booster; contributions are its own TreeSHAP."""

    booster: Any

    def raw_score(self, matrix: Matrix) -> Floats:
        """Return log-odds, shape (n,)."""
        return np.asarray(self.booster.predict(matrix, raw_score=True), dtype=np.float64)

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        """Return TreeSHAP values, (n, k), and the expected raw score."""
        values = np.asarray(self.booster.predict(matrix, pred_contrib=True), dtype=np.float64)
        return values[:, :-1], float(values[0, -1]) if len(values) else 0.0

    def save(self, folder: Path) -> None:
        """Write booster.txt."""
        self.booster.save_model(folder / "booster.txt")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read booster.txt."""
        return cls(load_lightgbm().Booster(model_file=folder / "booster.txt"))


def load_lightgbm() -> Any:
    """Return the module lightgbm.

    Raises InstallError where the system lacks OpenMP, which its wheel does not bring along.
    """
    try:
        import lightgbm as found
    except OSError as error:
        raise InstallError(
            f"LightGBM cannot be loaded ({error}): install OpenMP (`apt-get install libgomp1`, "
            "`brew install libomp`), or leave lightgbm out by --candidates"
        ) from error
    return found


class Lightgbm(TreeKind, Tunable):
    """Gradient boosting by LightGBM, with monotone constraints."""

    name = "lightgbm"
    models = {"lightgbm": LightgbmModel}
    libraries = (("lightgbm",),)
    defaults = {
        "n_estimators": 300,
        "learning_rate": 0.02,
        "num_leaves": 16,
        "min_child_samples": 50,
        "subsample": 0.5,
        "subsample_freq": 1,
        "colsample_bytree": 0.3,
        "reg_lambda": 10.0,
    }
    least_rows = "min_child_samples"
    leaves: ClassVar[tuple[int, int]] = (4, 24)  # of a tree, where a search looks

    def estimator(self, params: Params, monotone: Sequence[int] | None, seed: int) -> Any:
        """Return an LGBMClassifier."""
        signs = {} if monotone is None else {"monotone_constraints": list(monotone)}
        return load_lightgbm().LGBMClassifier(
            random_state=seed, deterministic=True, force_row_wise=True, verbose=-1,
            n_jobs=-1,  # left out, it takes every core whatever OMP_NUM_THREADS says
            **params, **signs,
        )  # fmt: skip

    def model_of(self, fitted: Any) -> LightgbmModel:
        """Return the booster."""
        return LightgbmModel(fitted.booster_)

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return a trial's params."""
        return {
            "n_estimators": trial.suggest_int("n_estimators", 100, 400, step=50),
            "num_leaves": trial.suggest_int("num_leaves", *self.leaves),
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.1, log=True),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
            "min_child_samples": trial.suggest_int("min_child_samples", 20, 500, log=True),
            "reg_lambda": trial.suggest_float("reg_lambda", 1.0, 100.0, log=True),
        }
