"""Recency alone: the floor that anything learned has to clear."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ..types import Floats
from .encoding import Matrix

_NEVER = 36_500.0  # days: whoever was never seen comes last


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
