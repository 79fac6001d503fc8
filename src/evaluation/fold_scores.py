"""The scores of several scorers on one backtest fold, and the outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..types import Floats


@dataclass(frozen=True)
class FoldScores:
    """One backtest fold: its n users, their outcomes, and each scorer's scores of them.

    Attributes:
        name: The fold's name, which is its cutoff.
        users: Integer codes of the users, the same in all folds, (n,).
        labels: Whether a user reached the target, (n,).
        raw_scores: The raw scores by scorer, (n,) each.
        probabilities: The calibrated probabilities by scorer, (n,) each, for scorers that have
            them.
        thresholds: By scorer, the raw score at which the capacity was reached on the fold before.
            A scorer that is missing or None has no threshold.
    """

    name: str
    users: NDArray[np.int64]
    labels: NDArray[np.bool_]
    raw_scores: Mapping[str, Floats]
    probabilities: Mapping[str, Floats] = field(default_factory=dict)
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
