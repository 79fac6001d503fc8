"""Recency alone: the baseline that anything learned has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ...types import Floats
from ..catalogue import Imbalance
from ..encoding import Encoding, Matrix
from .base import Fitted, Kind, Params, Training

_NEVER = 36_500.0  # days: a user who was never seen comes last


@dataclass(frozen=True)
class RecencyModel:
    """Ranks by one column of days since somebody was last seen, fewest first."""

    def raw_score(self, matrix: Matrix) -> Floats:
        """Return minus the days, shape (n,): an order, no probability."""
        return -np.nan_to_num(matrix[:, 0].astype(np.float64), nan=_NEVER)

    def contributions(self, matrix: Matrix) -> None:
        """Return None: days are no log-odds."""
        del matrix

    def save(self, folder: Path) -> None:
        """Write nothing: there is nothing to keep."""
        del folder

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the model."""
        del folder
        return cls()


class Recency(Kind):
    """The feature that the spec names as `training.recency`, as it is."""

    name = "recency"
    models = {"recency": RecencyModel}

    def fit(self, training: Training, imbalance: Imbalance, params: Params | None) -> Fitted:
        """Return the model: nothing is learnt."""
        del imbalance, params
        return Fitted(Encoding((training.plan.recency or "",)), RecencyModel())
