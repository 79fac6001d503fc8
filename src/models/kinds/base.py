"""The base classes of the kinds of model, and what they share.

Modules of this package import a fitting library only when they fit, so that the command line can
list the candidates without any.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...scorer import FeatureTable, ModelMetadata
from ...spec.model import Spec
from ..catalogue import Imbalance
from ..encoding import Encoding, Matrix
from ..fitted import Model

if TYPE_CHECKING:
    import optuna

    from ...scoring.shaped_card import LabelledRows

Params = Mapping[str, Any]
HUGE = 1e30  # values are clipped to it, since XGBoost sums squares in 32 bits


class CannotFitError(DataError):
    """A candidate cannot learn from the data and is left out; other candidates may still learn."""

    def __init__(self, candidate: str, why: str) -> None:
        super().__init__(f"candidate {candidate!r} is left out: {why}")
        self.candidate = candidate


@dataclass(frozen=True)
class TrainingData:
    """Training snapshots concatenated: one row per user and as_of date, the latest date last.

    Attributes:
        table: The features of the n rows.
        labels: Whether the user reached the target, (n,).
        users: Integer codes of the users, (n,).
        latest: Whether a row is of the latest date, (n,).
        late: Whether a row is of the later half of the dates, (n,); the same as `latest` when None.
    """

    table: FeatureTable
    labels: NDArray[np.bool_]
    users: NDArray[np.int64]
    latest: NDArray[np.bool_]
    late: NDArray[np.bool_] | None = None

    def rows(self) -> LabelledRows:
        """Return the same data in the form that a scorecard learns from."""
        from ...scoring.shaped_card import LabelledRows

        late = self.latest if self.late is None else self.late
        return LabelledRows(self.table, self.labels, self.users, late, self.latest)

    def check(self) -> None:
        """Raise DataError if there is nothing to learn: no rows, or only one class."""
        positives = int(self.labels.sum())
        if positives in {0, len(self.labels)}:
            what = "nobody reached" if positives == 0 else "everybody reached"
            raise DataError(
                f"{what} the target in the training snapshots ({len(self.labels):,} rows): a "
                "scorer learns from both classes; load more history, lengthen the horizon, or "
                "choose a later --as-of"
            )


@dataclass(frozen=True)
class FitSpec:
    """The features and constraints of a training, the same for all its candidates.

    Attributes:
        numeric: The numeric and boolean features.
        categorical: The categorical features.
        monotone_increasing: Features that can only raise the score.
        monotone_decreasing: Features that can only lower the score.
        recency: The feature that the recency baseline reads.
        purchases: The features that BG/NBD reads: repeat purchases, days since the first purchase,
            days since the last.
        about: The metadata that all candidates share.
        custom: Custom candidates by name.
        spec: The spec whose scorecard the shaped scorecard starts from.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    monotone_increasing: frozenset[str]
    monotone_decreasing: frozenset[str]
    recency: str | None
    purchases: tuple[str, str, str] | None
    about: ModelMetadata
    custom: Mapping[str, Kind] = field(default_factory=dict)
    spec: Spec | None = None

    def monotone(self) -> tuple[int, ...]:
        """Return each column's monotone constraint: 1, -1 or 0. Categorical features have none."""
        signs = [
            (n in self.monotone_increasing) - (n in self.monotone_decreasing) for n in self.numeric
        ]
        return (*signs, *(0 for _ in self.categorical))


@dataclass(frozen=True)
class Fitted:
    """The result of a fit.

    Attributes:
        encoding: The encoding of features as columns.
        model: The fitted model.
        params: The parameters that the library was given.
        unsaved: Why the model cannot be saved; empty if it can.
    """

    encoding: Encoding
    model: Model
    params: Params = field(default_factory=dict)
    unsaved: str = ""


class Training(Protocol):
    """The data and features that a kind fits on; `candidates.Trainer` implements it."""

    @property
    def plan(self) -> FitSpec:
        """The features and constraints."""
        ...

    @property
    def data(self) -> TrainingData:
        """The rows and labels."""
        ...

    def matrix(self) -> tuple[Encoding, Matrix]:
        """Return the encoding of all features and the matrix to train on, (n, k)."""
        ...

    def member(self, name: str, params: Params | None) -> Fitted:
        """Return a candidate fitted as a member of an ensemble; each is fitted once."""
        ...


class Kind(ABC):
    """A kind of model; `models.catalogue` lists the candidates of each kind.

    Attributes:
        name: The kind's name.
        models: The classes of its fitted models, by the name under which they are saved.
        libraries: The distributions whose versions a fit depends on. Of each tuple, the first one
            that is installed counts.
        defaults: The library's parameters, unless given.
    """

    name: str
    models: ClassVar[Mapping[str, type[Model]]] = {}
    libraries: ClassVar[tuple[tuple[str, ...], ...]] = ()
    defaults: ClassVar[dict[str, Any]] = {}

    @abstractmethod
    def fit(self, training: Training, imbalance: Imbalance, params: Params | None) -> Fitted:
        """Fit on a training's data.

        Args:
            training: The data, features and constraints.
            imbalance: How to treat rare positives.
            params: Parameters that override `defaults`.

        Raises:
            CannotFitError: This kind cannot learn from the data; others may.
        """

    def identity(self) -> list[str]:
        """Return what fits depend on besides data, params, libraries and whyrank's own source."""
        return []


class ClassifierKind(Kind):
    """A binary classifier of the matrix of all features, nulls (NaN) included."""

    def fit(self, training: Training, imbalance: Imbalance, params: Params | None) -> Fitted:
        """Fit on the matrix of all features."""
        encoding, matrix = training.matrix()
        labels, plan = training.data.labels, training.plan
        given = self.effective_params(params, rows=len(labels), positives=int(labels.sum()))
        model = self.fit_classes(
            matrix, labels.astype(np.intp), None,
            params=given, imbalance=imbalance, monotone=plan.monotone(), seed=plan.about.seed,
        )  # fmt: skip
        return Fitted(encoding, model, given)

    @abstractmethod
    def fit_classes(
        self,
        matrix: Matrix,
        codes: NDArray[np.intp],
        weights: NDArray[np.float64] | None,
        *,
        params: Params,
        imbalance: Imbalance,
        monotone: Sequence[int] | None,
        seed: int,
    ) -> Model:
        """Fit on a matrix of features.

        Args:
            matrix: The features, (n, k).
            codes: The classes, 0 or 1, (n,).
            weights: Non-negative sample weights, (n,).
            params: The parameters that `effective_params` returned.
            imbalance: How to treat rare positives.
            monotone: Each column's constraint: 1 (can only raise the score), -1 (can only lower
                it) or 0.
            seed: The random seed.
        """

    def effective_params(
        self, params: Params | None, *, rows: int, positives: int
    ) -> dict[str, Any]:
        """Return the library's parameters: `defaults`, overridden by params, adapted to small data.

        Args:
            params: Parameters that override `defaults`.
            rows: Rows of the data before oversampling.
            positives: Positives among them.
        """
        del rows, positives
        return {**self.defaults, **(params or {})}


class Tunable(ABC):
    """A kind whose parameters `--tune` searches."""

    @abstractmethod
    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return a trial's parameters: the few that matter, each within a sensible range."""


def class_weights(
    codes: NDArray[np.intp], given: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return sample weights by which both classes weigh the same, multiplied by the given ones."""
    each = np.ones(len(codes)) if given is None else given
    totals = np.bincount(codes, weights=each, minlength=2)
    found: NDArray[np.float64] = each * (each.sum() / (2.0 * totals))[codes]
    return found
