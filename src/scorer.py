"""What every scorer is: named features in; a score, contributions and reasons out.

The scorecard and the learned models share this module and nothing else.
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
    """How much each part moved each score: base + the row's sum = the score, on `scale`.

    names: k parts, in the order of the columns. values: shape (n, k); on the points scale whole
    hundredths of a point (int64), so that sums are exact. base: the score of an empty row.
    """

    names: tuple[str, ...]
    values: NDArray[np.int64] | Floats
    base: float
    scale: Scale


@dataclass(frozen=True)
class ModelMetadata:
    """Where a scorer comes from: enough to say whether it fits a spec, and how it was made."""

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
    """Whatever ranks users: the scorecard, a learned scorer, the average of several.

    A raw score is what users are ordered by, the highest first: hundredths of points (int64), or a
    learned scorer's log-odds. All that is shown of a user follows from it.
    """

    @property
    def name(self) -> str:
        """The name that stands in outputs, such as "scorecard"."""
        ...

    @property
    def scale(self) -> Scale:
        """The scale on which contributions add up."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """The features it reads."""
        ...

    @property
    def explains(self) -> bool:
        """Whether contributions are known; only then may it be champion."""
        ...

    @property
    def about(self) -> ModelMetadata | None:
        """What it was trained on; None for the scorecard, which is the spec's own."""
        ...

    def raw_score(self, table: FeatureTable) -> RawScores:
        """Return what users are ordered by, shape (n,)."""
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
        """Return what made each score, on `scale`; raises DataError where that is not known."""
        ...

    def save(self, folder: Path) -> None:
        """Write it to a new folder; raises DataError for one that cannot be saved."""
        ...


@dataclass(frozen=True)
class Reason:
    """A contribution said in words."""

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
    """A learned scorer's contribution said in words: what was seen of the user, and its direction.

    log_odds: of the probability shown. raises: whether it raised the score.
    """

    part: str
    text: str
    log_odds: float
    raises: bool

    @property
    def amount(self) -> float:
        """The log-odds, by the name that points have in a `Reason`."""
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

    value: as it was built, None where it is not known. points: of the terms on it; log_odds: its
    contribution to the probability. Both are None where that account does not read it.
    """

    name: str
    value: object
    unit: str
    points: float | None
    log_odds: float | None


@dataclass(frozen=True)
class Attribution:
    """What one feature, or a group of correlated ones, did to one user's points and log-odds.

    observed: what was seen of the user, in words. points, log_odds: None where that account does
    not read it. reason: the scorecard's words, empty where it gave no points. stable: whether the
    model's part is large and stable enough to be given as a reason. raises: its direction, None
    where the model does not read it. features: the same feature by feature, whose points and
    log-odds add up to those of the part; none for what belongs to no feature, as a cap.
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
class Account:
    """What a probability is made of: base plus all contributions = log_odds = its logit."""

    base: float
    log_odds: float

    @property
    def probability(self) -> float:
        """The probability, 0 to 1.

        >>> Account(base=-1.0, log_odds=0.0).probability
        0.5
        """
        return float(1 / (1 + np.exp(-self.log_odds)))


def grouped(reasons: Sequence[ModelReason]) -> str:
    """Say reasons as one text, first what raised the score, then what lowered it.

    >>> up, down = ModelReason("a", "signed up", 1.0, True), ModelReason("b", "no demo", -1, False)
    >>> grouped([down, up])
    'raises: signed up | lowers: no demo'
    """
    sides = (("raises", True), ("lowers", False))
    said = [(side, [r.text for r in reasons if r.raises is raises]) for side, raises in sides]
    return " | ".join(f"{side}: {'; '.join(texts)}" for side, texts in said if texts)


def signed(amount: float) -> str:
    """Write points with a sign and no needless decimals.

    >>> signed(14.0), signed(-2.5), signed(0.07)
    ('+14', '-2.5', '+0.07')
    """
    return f"{amount:+.2f}".rstrip("0").rstrip(".")
