"""Estimates and paired differences from shared bootstrap replicates, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..stats.bootstrap import check_replicates, max_t_critical_value, percentiles
from ..types import Floats

Points = Mapping[str, Mapping[str, float]]
PROFIT = "at_cost/profit"
WORDS = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "lift": "lift",
    "precision": "precision",
    "ndcg": "NDCG",
    "brier": "Brier score",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
    PROFIT: "profit per user",
}
LOWER_IS_BETTER = frozenset({"brier", "log_loss", "calibration_error"})
_FIGURES = {"brier": 5, "log_loss": 5, "calibration_error": 4}


@dataclass(frozen=True)
class Estimate:
    """A number and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Difference:
    """The difference of two scorers by one metric: first minus second.

    Attributes:
        metric: The metric.
        first: The scorer subtracted from.
        second: The scorer subtracted.
        value: The difference.
        interval: The percentile bootstrap interval.
        family: The simultaneous interval, which covers all `family_size` comparisons of the family
            jointly (single-step max-t of the same replicates, Romano & Wolf 2005). It equals
            `interval` if the size is 1.
        family_size: The number of comparisons in the family.
        lower_is_better: Whether lower is better, for a custom metric. For the others their names
            say it.
    """

    metric: str
    first: str
    second: str
    value: float
    interval: tuple[float, float]
    family: tuple[float, float]
    family_size: int
    lower_is_better: bool = False

    @property
    def detected(self) -> bool:
        """Whether the simultaneous interval excludes zero."""
        return self.family[0] > 0 or self.family[1] < 0

    @property
    def better(self) -> bool:
        """Whether the value favours the first scorer. For some metrics lower is better."""
        lower = self.lower_is_better or self.metric in LOWER_IS_BETTER
        return (self.value < 0) if lower else (self.value > 0)

    def reversed(self) -> Difference:
        """Return the reversed difference: second minus first."""
        return Difference(
            self.metric,
            self.second,
            self.first,
            -self.value,
            (-self.interval[1], -self.interval[0]),
            (-self.family[1], -self.family[0]),
            self.family_size,
            self.lower_is_better,
        )

    def numbers(self) -> str:
        """Return the value and the simultaneous interval, as text."""
        # Money has no scale of its own.
        n = "4g" if self.metric == PROFIT else f"{_FIGURES.get(self.metric, 3)}f"
        return f"{self.value:+.{n}} [{self.family[0]:+.{n}}, {self.family[1]:+.{n}}]"

    def words(self) -> str:
        """Return the difference in words."""
        tail = f"({self.numbers()})"
        if not self.detected:
            return f"no detectable difference between {self.first} and {self.second} {tail}"
        if self.metric == PROFIT:
            return (
                f"{self.first} earns {'more' if self.better else 'less'} than {self.second} {tail}"
            )
        how = "better" if self.better else "worse"
        if self.metric not in WORDS:
            return f"{self.first} is {how} than {self.second} by {self.metric} {tail}"
        does = f"gives {how} probabilities" if self.metric in LOWER_IS_BETTER else f"ranks {how}"
        return f"{self.first} {does} than {self.second} {tail}"


@dataclass(frozen=True)
class BootstrapSample:
    """Replicates of every scorer's metrics on one fold, or of their means over folds.

    Attributes:
        names: The scorers.
        metrics: The metrics.
        points: Values as scorer -> metric -> value.
        values: Replicates, (replicates, scorers, metrics), without NaN.
        n_boot: Replicates drawn. Those of one class only are not in `values`.
        level: The confidence level of intervals.
        lower: The custom metrics for which lower is better.
    """

    names: Sequence[str]
    metrics: Sequence[str]
    points: Points
    values: Floats
    n_boot: int
    level: float
    lower: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check_replicates(len(self.values), self.n_boot)

    def estimates(self) -> dict[str, dict[str, Estimate]]:
        """Return every scorer's metrics with percentile intervals."""
        low, high = percentiles(self.values, self.level)
        return {
            name: {
                metric: Estimate(self.points[name][metric], float(low[i, m]), float(high[i, m]))
                for m, metric in enumerate(self.metrics)
            }
            for i, name in enumerate(self.names)
        }

    def differences(self, bases: Sequence[str]) -> tuple[Difference, ...]:
        """Return the differences of all pairs of scorers by all metrics.

        Args:
            bases: Scorers that all others are compared with. The differences to a base by one
                metric are one family. A pair of two bases is in the first one's family.
        """
        found = []
        places = {name: place for place, name in enumerate(self.names)}
        for m, metric in enumerate(self.metrics):
            drawn = self.values[:, :, m]
            joint = {
                base: max_t_critical_value(drawn - drawn[:, [places[base]]], self.level)
                for base in bases
            }
            for i, first in enumerate(self.names):
                low, high = percentiles(drawn[:, [i]] - drawn, self.level)
                for j in range(i + 1, len(self.names)):
                    second = self.names[j]
                    value = self.points[first][metric] - self.points[second][metric]
                    interval = (float(low[j]), float(high[j]))
                    base = next((b for b in bases if b in {first, second}), None)
                    family, size = interval, 1
                    if base is not None:
                        errors, reach = joint[base]
                        wide = reach * float(errors[j if base == first else i])
                        family, size = (value - wide, value + wide), len(self.names) - 1
                    found.append(
                        Difference(
                            metric, first, second, value, interval, family, size,
                            metric in self.lower,
                        )
                    )  # fmt: skip
        return tuple(found)

    def family(
        self, pairs: Sequence[tuple[str, str]], metrics: Sequence[str]
    ) -> tuple[Difference, ...]:
        """Return the differences of some pairs by some metrics, all as one family."""
        asked = [(pair, metric) for pair in pairs for metric in metrics]
        if not asked:
            return ()
        places = {name: place for place, name in enumerate(self.names)}
        columns = [
            self.values[:, places[first], self.metrics.index(metric)]
            - self.values[:, places[second], self.metrics.index(metric)]
            for (first, second), metric in asked
        ]
        away = np.column_stack(columns)
        low, high = percentiles(away, self.level)
        errors, reach = max_t_critical_value(away, self.level)
        found = []
        for place, ((first, second), metric) in enumerate(asked):
            value = self.points[first][metric] - self.points[second][metric]
            wide = reach * float(errors[place])
            found.append(
                Difference(
                    metric, first, second, value, (float(low[place]), float(high[place])),
                    (value - wide, value + wide), len(asked),
                )
            )  # fmt: skip
        return tuple(found)
