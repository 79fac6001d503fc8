"""The interface of scorers: named features in; a score, contributions and reasons out.

This module is all that the scorecard and the learned models share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .types import Floats, Integers, RawScores

Scale = Literal["points", "log-odds", "percentile"]


class FeatureTable(Protocol):
    """Features of n users, by name; `published.snapshot.Snapshot` is one."""

    def __len__(self) -> int:
        """Return how many users there are."""
        ...

    def numeric(self, name: str) -> Floats:
        """Return a numeric or boolean feature, shape (n,), null as NaN."""
        ...

    def categorical(self, name: str) -> tuple[Integers, list[str]]:
        """Return a categorical feature: codes, shape (n,), -1 for null, and the categories."""
        ...


@dataclass(frozen=True)
class Contributions:
    """Additive contributions: the base plus a row's sum is the user's score, on `scale`.

    Attributes:
        names: The k parts, in the order of the columns.
        values: The contributions, (n, k). On the points scale they are whole hundredths of a point
            (int64), so that sums are exact.
        base: The score without any contribution.
        scale: The scale of the score.
    """

    names: tuple[str, ...]
    values: NDArray[np.int64] | Floats
    base: float
    scale: Scale


@dataclass(frozen=True)
class ModelMetadata:
    """The origin of a scorer: whether it fits a spec, and how it was trained."""

    candidate: str
    spec: str
    spec_version: str
    features_version: str
    known_until: str
    snapshots: tuple[str, ...]
    horizon_days: int
    users: int
    positives: int
    seed: int
    params: Mapping[str, Any]


class Scorer(Protocol):
    """The interface of what ranks users: the scorecard, a learned scorer, the rank average.

    Users are ordered by the raw score, highest first: hundredths of points (int64), or a learned
    scorer's log-odds. Score, label and probability follow from it.
    """

    @property
    def name(self) -> str:
        """The name shown in outputs, such as "scorecard"."""
        ...

    @property
    def scale(self) -> Scale:
        """The scale of contributions."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """The features it reads."""
        ...

    @property
    def explains(self) -> bool:
        """Whether it has contributions. Only such a scorer can be champion."""
        ...

    @property
    def about(self) -> ModelMetadata | None:
        """What it was trained on; None for the scorecard, which is the spec's own."""
        ...

    def raw_score(self, table: FeatureTable) -> RawScores:
        """Return the raw scores that users are ordered by, shape (n,)."""
        ...

    def score_of(self, raw: RawScores) -> Floats:
        """Return scores, shape (n,), 0 to 100."""
        ...

    def bands_of(self, raw: RawScores) -> Integers:
        """Return labels as positions in LABELS, shape (n,)."""
        ...

    def probability_of(self, raw: RawScores) -> Floats | None:
        """Return calibrated probabilities of the target, shape (n,), or None if it has none."""
        ...

    def contributions(self, table: FeatureTable) -> Contributions:
        """Return the contributions to each score; raises DataError for a scorer without them."""
        ...

    def save(self, folder: Path) -> None:
        """Save it to a new folder; raises DataError for a scorer that cannot be saved."""
        ...


@dataclass(frozen=True)
class Reason:
    """A contribution in words."""

    part: str
    text: str
    amount: float

    def __str__(self) -> str:
        """Write the words and the signed amount.

        >>> str(Reason("pricing", "viewed pricing 6 times in 30 days", 14.0))
        'viewed pricing 6 times in 30 days, +14'
        """
        return f"{self.text}, {signed(self.amount)}"


@dataclass(frozen=True)
class ModelReason:
    """A learned scorer's contribution in words: what was observed of the user, and its direction.

    Attributes:
        part: The feature, or the group of features.
        text: What was observed.
        log_odds: The contribution to the log-odds of the probability shown.
        raises: Whether it raised the score.
    """

    part: str
    text: str
    log_odds: float
    raises: bool

    @property
    def amount(self) -> float:
        """The log-odds; named like the points of a `Reason`."""
        return self.log_odds

    def __str__(self) -> str:
        """Write the direction and the words.

        >>> str(ModelReason("demo", "asked for 3 demos", 0.9, True))
        'raises: asked for 3 demos'
        """
        return f"{'raises' if self.raises else 'lowers'}: {self.text}"


@dataclass(frozen=True)
class FeatureValue:
    """One feature of one user as data.

    Attributes:
        name: The feature.
        value: The value in the snapshot; None if unknown.
        unit: The unit of the value.
        points: The points of the terms on it; None if the scorecard does not read it.
        log_odds: Its contribution in log-odds; None if the model does not read it.
    """

    name: str
    value: object
    unit: str
    points: float | None
    log_odds: float | None


@dataclass(frozen=True)
class Attribution:
    """The points and log-odds of one part: a feature, or a group of correlated features.

    Attributes:
        part: The feature or the group.
        observed: What was observed of the user, in words.
        points: The points; None if the scorecard does not read it.
        reason: The scorecard's reason in words; empty if it gave no points.
        log_odds: The contribution in log-odds; None if the model does not read it.
        stable: Whether the contribution is large and stable enough to be given as a reason.
        raises: Whether the contribution raises the score; None if the model does not read it.
        features: The same by feature, adding up to the part. Empty for a part that belongs to no
            feature, such as a cap.
    """

    part: str
    observed: str
    points: float | None
    reason: str
    log_odds: float | None
    stable: bool
    raises: bool | None = None
    features: tuple[FeatureValue, ...] = ()


@dataclass(frozen=True)
class LogOddsTotal:
    """The log-odds of a probability: the base, and the total with all contributions."""

    base: float
    log_odds: float

    @property
    def probability(self) -> float:
        """The probability, 0 to 1.

        >>> LogOddsTotal(base=-1.0, log_odds=0.0).probability
        0.5
        """
        return float(1 / (1 + np.exp(-self.log_odds)))


def grouped(reasons: Sequence[ModelReason]) -> str:
    """Join reasons to one text, first those that raise the score, then those that lower it.

    >>> up, down = ModelReason("a", "signed up", 1.0, True), ModelReason("b", "no demo", -1, False)
    >>> grouped([down, up])
    'raises: signed up | lowers: no demo'
    """
    sides = (("raises", True), ("lowers", False))
    said = [(side, [r.text for r in reasons if r.raises is raises]) for side, raises in sides]
    return " | ".join(f"{side}: {'; '.join(texts)}" for side, texts in said if texts)


def signed(amount: float) -> str:
    """Format points with a sign and without trailing zeros.

    >>> signed(14.0), signed(-2.5), signed(0.07)
    ('+14', '-2.5', '+0.07')
    """
    return f"{amount:+.2f}".rstrip("0").rstrip(".")
