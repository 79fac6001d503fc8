"""What a kind of model is: how it is fitted, what it leaves, and what its fits depend on.

No module of this package imports a library that fits before it fits: the command line lists the
candidates without any.
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
HUGE = 1e30  # XGBoost sums squares in 32 bits


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
        from ...scoring.shaped_card import LabelledRows

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
        """Return 1, -1 or 0 for each column; categories are free."""
        signs = [
            (n in self.monotone_increasing) - (n in self.monotone_decreasing) for n in self.numeric
        ]
        return (*signs, *(0 for _ in self.categorical))


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves. params: those that the library was given. unsaved: why the model cannot
    be saved; empty where it can.
    """

    encoding: Encoding
    model: Model
    params: Params = field(default_factory=dict)
    unsaved: str = ""


class Training(Protocol):
    """What a kind learns from; `candidates.Trainer` is one, and shares what kinds share."""

    @property
    def plan(self) -> FitSpec:
        """What may be read and must be respected."""
        ...

    @property
    def data(self) -> TrainingData:
        """The rows and labels."""
        ...

    def matrix(self) -> tuple[Encoding, Matrix]:
        """Return the encoding of all features and the matrix to train on, (n, k)."""
        ...

    def member(self, name: str, params: Params | None) -> Fitted:
        """Return a candidate as one of several that rank together, fitted once."""
        ...


class Kind(ABC):
    """A kind of model; `models.catalogue` has its candidates.

    models: what its fits leave, by the name under which they are kept. libraries: distributions
    whose version a fit depends on; of a row the first that is installed.
    """

    name: str
    models: ClassVar[Mapping[str, type[Model]]] = {}
    libraries: ClassVar[tuple[tuple[str, ...], ...]] = ()
    defaults: ClassVar[dict[str, Any]] = {}

    @abstractmethod
    def fit(self, training: Training, imbalance: Imbalance, params: Params | None) -> Fitted:
        """Fit on a training's data; params go over `defaults`.

        Raises CannotFitError where this kind alone cannot learn from the data.
        """

    def identity(self) -> list[str]:
        """Return what fits depend on beside data, params, libraries and whyrank's own source."""
        return []


class ClassifierKind(Kind):
    """A kind that learns two classes from the matrix of all features, nulls (NaN) included."""

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
        """Fit on a matrix, (n, k), and codes 0 and 1, (n,).

        weights: of the rows, (n,), none below 0. params: as `effective_params` returns them.
        monotone: for each column 1 (can only raise), -1 (can only lower) or 0.
        """

    def effective_params(
        self, params: Params | None, *, rows: int, positives: int
    ) -> dict[str, Any]:
        """Return what the library is given: params over `defaults`, eased where rows are few.

        rows, positives: of the data as they are; synthetic ones are no evidence for smaller leaves.
        """
        del rows, positives
        return {**self.defaults, **(params or {})}


class Searched(ABC):
    """What a kind of classifier is besides, where `--tune` searches for its params."""

    @abstractmethod
    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return a trial's params: the few that matter, within ranges that make sense."""


def class_weights(
    codes: NDArray[np.intp], given: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return weights of rows by which both classes weigh the same, over those that were given."""
    each = np.ones(len(codes)) if given is None else given
    totals = np.bincount(codes, weights=each, minlength=2)
    found: NDArray[np.float64] = each * (each.sum() / (2.0 * totals))[codes]
    return found
