"""Candidates fitted: how a kind of model and a set of training data become a scorer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..scorer import FeatureTable, ModelMetadata
from ..types import Floats
from .catalogue import CANDIDATES, MEMBERS, RANK_AVERAGE
from .encoding import Encoding, Matrix, fit_encoding
from .kinds import KINDS
from .kinds.base import CannotFitError, FitSpec, Fitted, Params, TrainingData
from .learned import LearnedScorer, reference_of
from .oversampling import SMOTE_RATIO


class Trainer:
    """Fits candidates on one set of training data; what they share is computed once."""

    def __init__(self, plan: FitSpec, data: TrainingData) -> None:
        data.check()
        self.plan = plan
        self.data = data
        self._shared: tuple[Encoding, Matrix] | None = None
        self._members: dict[str, Fitted] = {}

    def fit(self, name: str, params: Mapping[str, Any] | None = None) -> LearnedScorer:
        """Fit a candidate; its calibrator is still the identity.

        params: of its library, over the defaults; of the blend, by member.

        Raises CannotFitError where this candidate alone cannot learn from the data.
        """
        fitted = self._fit(name, params)
        if name in MEMBERS:
            self._members[name] = fitted
        matrix = fitted.encoding.matrix(self.data.table)[self.data.latest]
        return LearnedScorer(
            encoding=fitted.encoding,
            model=fitted.model,
            reference=reference_of(fitted.model.raw_score(matrix)),
            about=self._about(name, fitted.params),
            unsaved=fitted.unsaved,
        )

    def matrix(self) -> tuple[Encoding, Matrix]:
        """Return the encoding of all features and the matrix to train on."""
        if self._shared is None:
            self._shared = fit_encoding(
                self.data.table,
                self.data.labels,
                self.data.users,
                numeric=self.plan.numeric,
                categorical=self.plan.categorical,
            )
        return self._shared

    def member(self, name: str, params: Params | None) -> Fitted:
        """Return a member as it was fitted here already, or fit it."""
        if name not in self._members:
            self._members[name] = self._fit(name, params)
        return self._members[name]

    def _fit(self, name: str, params: Params | None) -> Fitted:
        if name in self.plan.custom:
            return self.plan.custom[name].fit(self, "none", params)
        candidate = CANDIDATES[name]
        if candidate.imbalance == "smote":
            self._check_scarce(name)
        return KINDS[candidate.kind].fit(self, candidate.imbalance, params)

    def _check_scarce(self, name: str) -> None:
        """Refuse a candidate whose oversampling would add nothing: it would equal the plain one."""
        labels = self.data.labels
        positives = int(labels.sum())
        if positives >= int(SMOTE_RATIO * (len(labels) - positives)):
            raise CannotFitError(
                name,
                f"SMOTE adds positives up to {SMOTE_RATIO:g} for each negative, and "
                f"{positives / len(labels):.0%} of the rows are positive already",
            )

    def _about(self, name: str, params: Params) -> ModelMetadata:
        about = self.plan.about
        return ModelMetadata(
            **{
                **about.__dict__,
                "candidate": name,
                "params": dict(params),
                "users": len(self.data.labels),
                "positives": int(self.data.labels.sum()),
            }
        )


@dataclass(frozen=True)
class RankAverage:
    """Several scorers as one: the mean of their percentiles. It ranks, and cannot say why."""

    members: tuple[LearnedScorer, ...]
    name: str = RANK_AVERAGE

    def raw_score(self, table: FeatureTable) -> Floats:
        """Return mean percentiles, shape (n,), 0 to 100."""
        found: Floats = np.mean([member.score(table) for member in self.members], axis=0)
        return found
