"""What is measured: the scores of several scorers on one backtest fold, and its outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..types import Floats


@dataclass(frozen=True)
class FoldScores:
    """One backtest fold: its users, their outcomes, and each scorer's scores of them.

    name: of the fold, its as_of. users: integers that name users across folds, (n,). labels: bool
    (n,). raw_scores: what each scorer ranks by, (n,) each. probabilities: calibrated probabilities,
    (n,) each, for those that have them. thresholds: the raw score of each scorer at which the
    capacity was reached in the fold before; those without one, or with None, have no threshold.
    """

    name: str
    users: NDArray[np.int64]
    labels: NDArray[np.bool_]
    raw_scores: Mapping[str, Floats]
    probabilities: Mapping[str, Floats] = field(default_factory=dict)
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
