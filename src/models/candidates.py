"""How each learned candidate of the catalogue becomes a scorer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..scorer import FeatureTable, ModelMetadata
from ..scoring.shape_fit import Limits
from ..scoring.shaped_card import LabelledRows, shape_card
from ..spec.model import Spec
from ..types import Floats
from .catalogue import CANDIDATES, MEMBERS, RANK_AVERAGE, Candidate
from .classifier import RankingClassifier
from .custom import CustomCandidate
from .encoding import Encoding, Matrix, fit_encoding
from .fitted import Model
from .learned import LearnedScorer, reference_of
from .points import fit_points
from .purchase_fits import BgNbd
from .purchases import PurchaseModel, purchase_histories
from .recency import RecencyModel
from .storage import BlendModel

POSITIVES_BY_TERM = 10  # rows, at least, to shape a term by (Peduzzi et al. 1996)


class CannotFitError(DataError):
    """A candidate cannot learn from these data, though others may: it is left out."""

    def __init__(self, candidate: str, why: str) -> None:
        super().__init__(f"candidate {candidate!r} is left out: {why}")
        self.candidate = candidate


@dataclass(frozen=True)
class TrainingData:
    """Stacked snapshots to learn from: one row per user and as_of date, the latest date last.

    users: who each row is, as integers, shape (n,). latest: rows of the latest date, bool (n,).
    late: rows of the later half of the dates, bool (n,); None where only the latest is told apart.
    """

    table: FeatureTable
    labels: NDArray[np.bool_]
    users: NDArray[np.int64]
    latest: NDArray[np.bool_]
    late: NDArray[np.bool_] | None = None

    def rows(self) -> LabelledRows:
        """Return the same as a scorecard is learnt from."""
        late = self.latest if self.late is None else self.late
        return LabelledRows(self.table, self.labels, self.users, late, self.latest)

    def check(self) -> None:
        """Raise DataError when there is nothing to learn: no rows, or one class only."""
        positives = int(self.labels.sum())
        if positives in {0, len(self.labels)}:
            what = "nobody reached" if positives == 0 else "everybody reached"
            raise DataError(
                f"{what} the target in the training snapshots ({len(self.labels):,} rows): a "
                "scorer learns from both kinds; load more history, lengthen the horizon, or choose "
                "a later --as-of"
            )


@dataclass(frozen=True)
class FitSpec:
    """What a candidate may read and must respect; the same for every candidate of a run.

    numbers, texts: features read, by type. monotone_increasing, monotone_decreasing: the monotone
    ones. purchases: features of repeats, days since the first and since the last purchase. about:
    the fixed part of it. custom: candidates from outside, by name. spec: whose scorecard is shaped;
    None where none is.
    """

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    monotone_increasing: frozenset[str]
    monotone_decreasing: frozenset[str]
    recency: str | None
    purchases: tuple[str, str, str] | None
    about: ModelMetadata
    custom: Mapping[str, CustomCandidate] = field(default_factory=dict)
    spec: Spec | None = None

    def monotone(self) -> tuple[int, ...]:
        """Return 1, -1 or 0 for each column; categories are free."""
        signs = [
            (n in self.monotone_increasing) - (n in self.monotone_decreasing) for n in self.numbers
        ]
        return (*signs, *(0 for _ in self.texts))


class Trainer:
    """Fits candidates on one set of training data; what they share is computed once."""

    def __init__(self, plan: FitSpec, data: TrainingData) -> None:
        data.check()
        self._plan = plan
        self._data = data
        self._shared: tuple[Encoding, Matrix] | None = None
        self._members: dict[str, tuple[Model, Mapping[str, Any]]] = {}

    def fit(self, name: str, params: Mapping[str, Any] | None = None) -> LearnedScorer:
        """Fit a candidate; its calibrator is still the identity.

        params: of its library, over the defaults; of the blend, by member.

        Raises CannotFitError where this candidate alone cannot learn from the data.
        """
        custom = self._plan.custom.get(name)
        if custom is not None:
            return self._custom(custom)
        candidate = CANDIDATES[name]
        given: Mapping[str, Any] = {}
        if candidate.kind == "recency":
            encoding: Encoding = Encoding((self._plan.recency or "",))
            model: Model = RecencyModel()
        elif candidate.kind == "bg_nbd":
            encoding, model = self._purchases()
        elif candidate.kind == "blend":
            encoding, model, given = self._blend(params or {})
        elif candidate.kind == "shape":
            encoding, model, given = self._shaped(name)
        else:
            encoding, model, given = self._classifier(candidate, params)
            if name in MEMBERS:
                self._members[name] = (model, given)
        matrix = encoding.matrix(self._data.table)[self._data.latest]
        return LearnedScorer(
            encoding=encoding,
            model=model,
            reference=reference_of(model.raw_score(matrix)),
            about=self._about(name, given),
        )

    def matrix(self) -> tuple[Encoding, Matrix]:
        """Return the encoding of all features and the matrix to train on."""
        if self._shared is None:
            self._shared = fit_encoding(
                self._data.table,
                self._data.labels,
                self._data.users,
                numbers=self._plan.numbers,
                texts=self._plan.texts,
            )
        return self._shared

    def _classifier(
        self, candidate: Candidate, params: Mapping[str, Any] | None
    ) -> tuple[Encoding, Model, Mapping[str, Any]]:
        encoding, matrix = self.matrix()
        fitted = RankingClassifier(
            candidate.kind,
            candidate.imbalance,
            params,
            self._plan.monotone(),
            self._plan.about.seed,
        ).fit(matrix, self._data.labels)
        return encoding, fitted.model_, fitted.params_

    def _custom(self, candidate: CustomCandidate) -> LearnedScorer:
        encoding, matrix = self.matrix()
        model = candidate.fit(matrix, self._data.labels, self._plan.about.seed)
        return LearnedScorer(
            encoding=encoding,
            model=model,
            reference=reference_of(model.raw_score(matrix[self._data.latest])),
            about=self._about(candidate.name, candidate.params()),
            unsaved=model.unsaved(),
        )

    def _blend(self, params: Mapping[str, Any]) -> tuple[Encoding, Model, Mapping[str, Any]]:
        """Take the members that were fitted here already, and fit the others."""
        for name in MEMBERS:
            if name not in self._members:
                _, model, given = self._classifier(CANDIDATES[name], params.get(name))
                self._members[name] = (model, given)
        models = tuple(self._members[name][0] for name in MEMBERS)
        return self.matrix()[0], BlendModel(models), {n: dict(self._members[n][1]) for n in MEMBERS}

    def _purchases(self) -> tuple[Encoding, Model]:
        encoding = Encoding(self._plan.purchases or ())
        matrix = encoding.matrix(self._data.table)[self._data.latest]
        places = (0, 1, 2)
        horizon = float(self._plan.about.horizon_days)
        fitted = BgNbd(horizon).fit(np.column_stack(purchase_histories(matrix, places)))
        params = (fitted.r_, fitted.alpha_, fitted.a_, fitted.b_)
        return encoding, PurchaseModel(places, horizon, params)

    def _shaped(self, name: str) -> tuple[Encoding, Model, Mapping[str, Any]]:
        """Learn the scorecard's shape, as `calibrate --shape` does without options."""
        spec, data = self._plan.spec, self._data
        if spec is None:
            raise CannotFitError(name, "there is no scorecard whose shape could be learnt")
        positives, terms = int(data.labels.sum()), len(spec.scorecard.terms)
        if positives < POSITIVES_BY_TERM * terms:
            raise CannotFitError(
                name,
                f"{positives:,} training rows reached the target, and the shapes of {terms} terms "
                f"are learnt from {POSITIVES_BY_TERM * terms:,} at least",
            )
        seed = self._plan.about.seed
        try:
            made = shape_card(spec, self._plan.numbers, data.rows(), Limits(), seed=seed)
        except DataError as error:
            raise CannotFitError(name, str(error)) from error
        per_point = made.points.terms[0].effect.per_point
        encoding, model = fit_points(made.card, made.bands, per_point, data.table, data.labels)
        return encoding, model, made.changes()

    def _about(self, name: str, params: Mapping[str, Any]) -> ModelMetadata:
        about = self._plan.about
        return ModelMetadata(
            **{
                **about.__dict__,
                "candidate": name,
                "params": dict(params),
                "users": len(self._data.labels),
                "positives": int(self._data.labels.sum()),
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
