"""The blend: the mean log-odds of models that read the same matrix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np

from ...types import Floats
from ..catalogue import MEMBERS, Imbalance
from ..encoding import Matrix
from ..fitted import Model
from ..model_files import load_as, save_as
from .base import Fitted, Kind, Params, Training
from .lightgbm import Lightgbm
from .logistic import Logistic
from .xgboost import Xgboost

_MODELS: Final = {**Logistic.models, **Xgboost.models, **Lightgbm.models}


@dataclass(frozen=True)
class BlendModel:
    """The mean of models that read the same matrix.

    Each member's contributions add up to its raw score, so their means add up to the mean raw
    score: a blend says why as exactly as its members do, which a mean of ranks cannot.
    """

    members: tuple[Model, ...]

    def raw_score(self, matrix: Matrix) -> Floats:
        """Return log-odds, shape (n,)."""
        found: Floats = np.mean([member.raw_score(matrix) for member in self.members], axis=0)
        return found

    def contributions(self, matrix: Matrix) -> tuple[Floats, float] | None:
        """Return what each column added, (n, k), and the base; None where a member has none."""
        found = [member.contributions(matrix) for member in self.members]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return None
        values: Floats = np.mean([values for values, _ in known], axis=0)
        return values, float(np.mean([base for _, base in known]))

    def save(self, folder: Path) -> None:
        """Write each member to a numbered folder of its own."""
        for place, member in enumerate(self.members):
            inside = folder / f"member-{place}"
            inside.mkdir()
            save_as(_MODELS, member, inside)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read every member, in order."""
        return cls(tuple(load_as(_MODELS, inside) for inside in sorted(folder.glob("member-*"))))


class Blend(Kind):
    """Logistic regression, XGBoost and LightGBM; those that were fitted already are taken."""

    name = "blend"
    models = {"blend": BlendModel}

    def fit(self, training: Training, imbalance: Imbalance, params: Params | None) -> Fitted:
        """Fit the members; params: by member."""
        del imbalance
        members = {name: training.member(name, (params or {}).get(name)) for name in MEMBERS}
        model = BlendModel(tuple(one.model for one in members.values()))
        given = {name: dict(one.params) for name, one in members.items()}
        return Fitted(training.matrix()[0], model, given)
