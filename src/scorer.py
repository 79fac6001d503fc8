"""What every scorer is: named features in; a score, contributions and reasons out.

The scorecard and the learned models share this module and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Scale = Literal["points", "log-odds"]


class FeatureTable(Protocol):
    """Features of n users, by name; features.matrix.Snapshot is one."""

    def __len__(self) -> int:
        """Return how many users there are."""
        ...

    def numbers(self, name: str) -> Floats:
        """Return a number or boolean feature, shape (n,), null as NaN."""
        ...

    def texts(self, name: str) -> tuple[Integers, list[str]]:
        """Return a text feature as codes, shape (n,), -1 for null, into a list of texts."""
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


class Scorer(Protocol):
    """Anything that ranks users and can say why."""

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

    def score(self, table: FeatureTable) -> Floats:
        """Return scores, shape (n,), 0 to 100; higher ranks first."""
        ...

    def probability(self, table: FeatureTable) -> Floats | None:
        """Return calibrated probabilities of the target, shape (n,), or None if it has none."""
        ...

    def contributions(self, table: FeatureTable) -> Contributions:
        """Return what made each score."""
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
class Influence:
    """What one feature, or a group of correlated ones, did to one user by both accounts.

    values: the user's values in words. points, log_odds: None where that account does not read
    it. reason: the scorecard's words, empty where it gave no points. steady: whether the model's
    part is large and stable enough to be given as a reason.
    """

    part: str
    values: str
    points: float | None
    reason: str
    log_odds: float | None
    steady: bool


def signed(amount: float) -> str:
    """Write points with a sign and no needless decimals.

    >>> signed(14.0), signed(-2.5), signed(0.07)
    ('+14', '-2.5', '+0.07')
    """
    return f"{amount:+.2f}".rstrip("0").rstrip(".")
