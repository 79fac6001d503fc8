"""Every metric of every scorer on every test: its value, and its bootstrap replicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from ..types import Floats, Progress
from .custom_metrics import CustomMetrics
from .differences import PROFIT, BootstrapSample, Estimate
from .paired_bootstrap import PROBABILITY_METRICS, RANKING, replicate
from .probability_metrics import brier, calibration_error, log_loss
from .ranking_metrics import group_by_score, lift_at, metrics_of_groups
from .thresholds import Costs, TargetingDecision, targeting_estimates

if TYPE_CHECKING:
    from .fold_scores import FoldScores

Points = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class BootstrapMetrics:
    """What several scorers' metrics came to on several tests.

    compared: metrics by which scorers are compared. acting: those of acting from a threshold on,
    profit at the stated costs among the compared as well. points: test -> scorer -> metric ->
    value. draws: replicates, (n_boot, tests, scorers, compared and acting). lower: custom metrics
    that should be low.
    """

    names: Sequence[str]
    tests: Sequence[str]
    compared: tuple[str, ...]
    acting: tuple[str, ...]
    points: Points
    draws: Floats
    level: float
    lower: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        folds: Sequence[FoldScores],
        *,
        capacity: float,
        costs: Costs | None,
        n_boot: int,
        level: float,
        rng: np.random.Generator,
        progress: Progress = lambda *_: None,
        custom: CustomMetrics | None = None,
    ) -> Self:
        """Measure all scorers, by their probabilities only where every one of them has some.

        custom: metrics from outside; one that gives no number on a test, or on a replicate with
        both classes, is left out, and says so in `failed`.
        """
        own = custom or CustomMetrics()
        names = list(folds[0].raw_scores)
        with_chances = all(set(fold.probabilities) >= set(names) for fold in folds)
        compared = (*RANKING, *PROBABILITY_METRICS) if with_chances else RANKING
        acting = [TargetingDecision.on(fold, costs) for fold in folds]
        told = tuple(m for m in acting[0].names() if all(m in one.names() for one in acting))
        points = {
            fold.name: {
                name: _points(fold, name, capacity)
                | own.values(name, fold.labels, fold.raw_scores[name], fold.probabilities.get(name))
                | one.points(name)
                for name in names
            }
            for fold, one in zip(folds, acting, strict=True)
        }
        tried = own.names()
        columns = (*compared, *tried, *(metric for metric in told if metric == PROFIT), *told)
        draws = replicate(folds, columns, capacity, n_boot, rng, costs, progress, custom=own)
        kept = [place for place, name in enumerate(columns) if name not in own.failed]
        compared = tuple(columns[place] for place in kept[: len(kept) - len(told)])
        points = {
            test: {
                name: {metric: v for metric, v in one.items() if metric not in own.failed}
                for name, one in by.items()
            }
            for test, by in points.items()
        }
        draws = draws if len(kept) == len(columns) else draws[..., kept]
        found = cls(names, tuple(points), compared, told, points, draws, level, own.lower())
        found._recentre()
        return found

    def over(self, tests: Sequence[str]) -> BootstrapSample:
        """Return the means over some tests of what scorers are compared by."""
        points = {name: self._means(name, self.compared, tests) for name in self.names}
        values = self._drawn(tests)[..., : len(self.compared)]
        known = values[~np.isnan(values).any(axis=(1, 2))]
        return BootstrapSample(
            self.names, self.compared, points, known, len(self.draws), self.level, self.lower
        )

    def estimates(self, tests: Sequence[str]) -> dict[str, dict[str, Estimate]]:
        """Return scorer -> metric -> estimate of its mean over tests, those of acting included."""
        found = self.over(tests).estimates()
        drawn = self._drawn(tests)[..., len(self.compared) :]
        for place, name in enumerate(self.names):
            points = self._means(name, self.acting, tests)
            by_metric = dict(zip(self.acting, drawn[:, place].T, strict=True))
            found[name] |= targeting_estimates(points, by_metric, self.level)
        return found

    def _means(self, name: str, metrics: Sequence[str], tests: Sequence[str]) -> dict[str, float]:
        """Return one scorer's means over tests, of those metrics that have a value on each."""
        values = [self.points[test][name] for test in tests]
        known = [metric for metric in metrics if all(metric in one for one in values)]
        return {metric: float(np.mean([one[metric] for one in values])) for metric in known}

    def _drawn(self, tests: Sequence[str]) -> Floats:
        """Return replicates of the means over tests: (n_boot, scorers, compared and acting)."""
        found: Floats = self.draws[:, [self.tests.index(test) for test in tests]].mean(axis=1)
        return found

    def _recentre(self) -> None:
        """Move the calibration error's replicates to lie around its value.

        It is a mean of distances, which resampling only adds noise to: as they come, its replicates
        would all lie above what was measured.
        """
        if "calibration_error" not in self.compared:
            return
        metric = self.compared.index("calibration_error")
        for place, test in enumerate(self.tests):
            for column, name in enumerate(self.names):
                values = self.draws[:, place, column, metric]
                if not np.isnan(values).all():
                    excess = np.nanmean(values) - self.points[test][name]["calibration_error"]
                    self.draws[:, place, column, metric] = np.maximum(values - excess, 0.0)


def _points(fold: FoldScores, name: str, capacity: float) -> dict[str, float]:
    raw_score, labels = fold.raw_scores[name], fold.labels
    measured = metrics_of_groups(group_by_score(raw_score, labels), capacity)
    found = {metric: float(value) for metric, value in measured.items()}
    found |= {
        "lift_at_5pct": lift_at(raw_score, labels, 0.05),
        "lift_at_20pct": lift_at(raw_score, labels, 0.20),
        "base_rate": float(labels.mean()),
    }
    probability = fold.probabilities.get(name)
    if probability is not None:
        found["brier"] = brier(probability, labels)
        found["log_loss"] = log_loss(probability, labels)
        found["calibration_error"] = calibration_error(probability, labels)
        found["mean_probability"] = float(probability.mean())
    return found
