"""Targeting all users above a threshold: how many are reached, convert, and what it brings.

There are two rules. At capacity: users above the raw score that the best tenth, say, had on the
fold before. At cost: users with at least the break-even probability; probabilities are calibrated
on the fold before as well. docs/decisions/0020-acting-pays-from-a-chance.md says why the threshold
is not the one that earned most there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..stats.bootstrap import percentiles
from ..types import Floats
from .differences import PROFIT, Estimate

if TYPE_CHECKING:
    from .fold_scores import FoldScores

AT_CAPACITY, AT_COST = "at_capacity", PROFIT.partition("/")[0]


@dataclass(frozen=True)
class Costs:
    """The cost of one action and the value of one conversion, in one currency.

    An action is taken to win the whole value of a conversion, as if no targeted user would have
    converted anyway. Raises DataError unless 0 < action < conversion.

    >>> Costs(action=2.0, conversion=50.0).break_even
    0.04
    """

    action: float
    conversion: float

    def __post_init__(self) -> None:
        if not 0 < self.action < self.conversion < np.inf:
            raise DataError(
                f"an action costs {self.action:g} and a conversion is worth {self.conversion:g}: "
                "the cost must be above 0 and below the worth, or targeting pays for all users, or "
                "for none"
            )

    @property
    def break_even(self) -> float:
        """The probability of conversion from which an action pays, 0 to 1.

        Elkan (2001), "The Foundations of Cost-Sensitive Learning", equation 2, with nothing lost
        and nothing won without an action.
        """
        return self.action / self.conversion

    def profit(self, targeted: Floats, converted: Floats) -> Floats:
        """Return the profit of acting on so many users, so many of whom converted.

        >>> float(Costs(2.0, 50.0).profit(np.array(10.0), np.array(1.0)))
        30.0
        """
        found: Floats = converted * self.conversion - targeted * self.action
        return found


@dataclass(frozen=True)
class TargetingDecision:
    """Which users each scorer would have targeted in one test, by each of its rules.

    labels: 1.0 for who converted, (n,). rows: rule -> scorer -> two rows, who is targeted and
    who of them converted, (2, n). costs: None where none are stated.
    """

    labels: Floats
    rows: Mapping[str, Mapping[str, Floats]]
    costs: Costs | None

    @classmethod
    def on(cls, fold: FoldScores, costs: Costs | None) -> Self:
        """Return who is targeted in a test: at capacity where every scorer has a threshold.

        Raises DataError when costs are stated and a scorer has no probabilities.
        """
        upon: dict[str, dict[str, NDArray[np.bool_]]] = {}
        limits = {name: limit for name, limit in fold.thresholds.items() if limit is not None}
        if limits.keys() >= fold.raw_scores.keys():
            upon[AT_CAPACITY] = {
                n: raw_score >= limits[n] for n, raw_score in fold.raw_scores.items()
            }
        if costs is not None:
            bare = sorted(fold.raw_scores.keys() - fold.probabilities.keys())
            if bare:
                raise DataError(
                    f"test {fold.name}: {bare[0]!r} has no probabilities to set costs against"
                )
            upon[AT_COST] = {n: fold.probabilities[n] >= costs.break_even for n in fold.raw_scores}
        rows = {
            rule: {n: np.array([who, who & fold.labels], dtype=np.float64) for n, who in by.items()}
            for rule, by in upon.items()
        }
        return cls(fold.labels.astype(np.float64), rows, costs)

    def names(self) -> tuple[str, ...]:
        """Return the metrics, such as "at_capacity/precision"."""
        told = ("share", "precision", "recall", *(("profit",) if self.costs else ()))
        return tuple(f"{rule}/{what}" for rule in self.rows for what in told)

    def measured(self, drawn: Floats) -> dict[str, dict[str, Floats]]:
        """Return scorer -> metric -> (draws,); drawn: how often each user is drawn, (n, draws).

        share: of users targeted. precision: of these, the share that converted; NaN where nobody is
        targeted. recall: of all who converted, the share targeted. profit: per user of the test,
        targeted or not, in the currency of the costs.
        """
        users, positives = drawn.sum(axis=0), self.labels @ drawn
        found: dict[str, dict[str, Floats]] = {}
        for rule, scorers in self.rows.items():
            for name, rows in scorers.items():
                acted, won = rows @ drawn
                with np.errstate(divide="ignore", invalid="ignore"):
                    values = {"share": acted / users, "precision": won / acted}
                    values["recall"] = won / positives
                    if self.costs is not None:
                        values["profit"] = self.costs.profit(acted, won) / users
                found.setdefault(name, {}).update({f"{rule}/{n}": v for n, v in values.items()})
        return found

    def points(self, name: str) -> dict[str, float]:
        """Return one scorer's metrics on the test itself, without those that nobody gives."""
        measured = self.measured(np.ones((len(self.labels), 1))).get(name, {})
        return {metric: float(v[0]) for metric, v in measured.items() if not np.isnan(v[0])}


def targeting_estimates(
    points: Mapping[str, float], drawn: Mapping[str, Floats], level: float
) -> dict[str, Estimate]:
    """Return one scorer's metrics of targeting with percentile intervals.

    points: its metrics. drawn: their replicates, (n_boot,) each; NaN ones, which drew one class
    only or nobody who is targeted, are left out. A metric without a value has no estimate.
    """
    found = {}
    for metric, values in drawn.items():
        known = values[~np.isnan(values)]
        if metric in points and len(known):
            low, high = percentiles(known, level)
            found[metric] = Estimate(points[metric], float(low), float(high))
    return found
