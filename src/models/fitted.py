"""What a fit leaves: raw scores, contributions, and files in the libraries' own safe formats.

A raw score is the uncalibrated log-odds of the target; users are ranked by it. No model is written
or read as a pickle: boosters have formats of their own, linear models are numbers, and the rest
goes through skops, which loads only types that are listed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from ..errors import DataError
from ..plugins import first_line
from ..types import Floats
from .encoding import Matrix

_CHANCE = 1e-9  # a forest's share of 0 or 1 is kept this far from certainty
_TRUSTED = (  # of scikit-learn, beyond what skops trusts by itself: what holds numbers only
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
)


class Model(Protocol):
    """A fitted model over a matrix of shape (n, k)."""

    def raw_score(self, matrix: Matrix) -> Floats:
        """Return log-odds, shape (n,)."""
        ...

    def contributions(self, matrix: Matrix) -> tuple[Floats, float] | None:
        """Return what each column added, (n, k), and the base; None where that is not known."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model to an existing folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...


@dataclass(frozen=True)
class SklearnModel:
    """A scikit-learn classifier without contributions of its own, kept by skops."""

    estimator: Any

    def raw_score(self, matrix: Matrix) -> Floats:
        """Return log-odds, shape (n,)."""
        # In 32 bits nothing lies between 1 - _CHANCE and certainty.
        positive = np.asarray(self.estimator.predict_proba(matrix)[:, 1], dtype=np.float64)
        probability = np.clip(positive, _CHANCE, 1 - _CHANCE)
        odds: Floats = np.log(probability / (1 - probability))
        return odds

    def contributions(self, matrix: Matrix) -> None:
        """Return None: this library gives no exact contributions."""
        del matrix

    def unsaved(self) -> str:
        """Return why it cannot be saved to be loaded again; empty where it can."""
        import skops.io

        try:
            data = skops.io.dumps(self.estimator)
            strange = sorted(set(skops.io.get_untrusted_types(data=data)) - set(_TRUSTED))
        except Exception as error:  # noqa: BLE001 - whatever an unknown class raises
            return f"skops cannot write it ({first_line(error)})"
        return f"it holds the type {strange[0]}, which is not loaded from files" if strange else ""

    def save(self, folder: Path) -> None:
        """Write estimator.skops."""
        import skops.io

        skops.io.dump(self.estimator, folder / "estimator.skops")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read estimator.skops; raises DataError when it holds a type that is not trusted."""
        import skops.io

        path = folder / "estimator.skops"
        strange = sorted(set(skops.io.get_untrusted_types(file=path)) - set(_TRUSTED))
        if strange:
            raise DataError(f"{path}: holds the type {strange[0]}, which is not trusted")
        return cls(skops.io.load(path, trusted=list(_TRUSTED)))


def signed_log(matrix: Matrix) -> Floats:
    """Return sign(x) log(1 + |x|): amounts spread over decades become comparable.

    >>> signed_log(np.array([[0.0, -np.e + 1]], dtype=np.float32)).round(3).tolist()
    [[0.0, -1.0]]
    """
    values = matrix.astype(np.float64)
    return np.sign(values) * np.log1p(np.abs(values))
