"""Every metric of every scorer on every fold: its value, and its bootstrap replicates.

Users are drawn with replacement from all who are in any fold. All folds and all scorers share each
draw. Metrics of a draw need only sums over users: ranking metrics need counts at each score, and
probability metrics need sums of terms. So a batch of draws is a matrix, and the sums are matrix
products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..stats.bootstrap import Counts, resampled_counts
from ..types import Floats, Progress
from .custom_metrics import CustomMetrics
from .differences import PROFIT, BootstrapSample, Estimate
from .probability_metrics import (
    brier,
    calibration_error,
    calibration_groups,
    log_loss,
    log_loss_terms,
)
from .ranking_metrics import Groups, group_by_score, lift_at, metrics_at, metrics_of_groups
from .thresholds import Costs, TargetingDecision, targeting_estimates

if TYPE_CHECKING:
    from .fold_scores import FoldScores

RANKING = ("roc_auc", "average_precision", "lift", "precision", "ndcg")
PROBABILITY_METRICS = ("brier", "log_loss", "calibration_error")
Matrix = Any  # a SciPy sparse matrix or a substitute; only `@` is used
Points = Mapping[str, Mapping[str, Mapping[str, float]]]
_BATCH = 50  # replicates


@dataclass(frozen=True)
class BootstrapMetrics:
    """The metrics of one or more scorers on one or more folds, with bootstrap replicates.

    Attributes:
        names: The scorers.
        folds: The folds, oldest first.
        compared: The metrics by which scorers are compared, including profit at stated costs.
        targeting: The metrics of targeting users above a threshold.
        points: Values as fold -> scorer -> metric -> value.
        draws: Replicates, (n_boot, folds, scorers, compared and targeting metrics).
        level: The confidence level of intervals.
        lower: The custom metrics for which lower is better.
    """

    names: Sequence[str]
    folds: Sequence[str]
    compared: tuple[str, ...]
    targeting: tuple[str, ...]
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
        ks: Sequence[float] = (),
        costs: Costs | None,
        n_boot: int,
        level: float,
        rng: np.random.Generator,
        progress: Progress = lambda *_: None,
        custom: CustomMetrics | None = None,
    ) -> Self:
        """Measure all scorers; probability metrics only if every scorer has probabilities.

        Args:
            folds: What the scorers gave on each fold, oldest fold first.
            capacity: The share of users at which lift, precision and NDCG are measured.
            ks: Further shares or counts of users at which lift and precision are measured.
            costs: Costs of an action, for the profit per user.
            n_boot: Bootstrap replicates.
            level: The confidence level of intervals.
            rng: Draws the replicates.
            progress: Called with the number of replicates done and their total.
            custom: Custom metrics. One that gives no number on a fold, or on a replicate with both
                classes, is left out, and its `failed` says why.
        """
        own = custom or CustomMetrics()
        names = list(folds[0].raw_scores)
        with_probabilities = all(set(fold.probabilities) >= set(names) for fold in folds)
        by_probability = PROBABILITY_METRICS if with_probabilities else ()
        compared: tuple[str, ...] = (*RANKING, *by_probability, *metrics_at(ks))
        targeting = [TargetingDecision.on(fold, costs) for fold in folds]
        shared = tuple(
            m for m in targeting[0].names() if all(m in one.names() for one in targeting)
        )
        points = {
            fold.name: {
                name: _points(fold, name, capacity, ks)
                | own.values(name, fold.labels, fold.raw_scores[name], fold.probabilities.get(name))
                | one.points(name)
                for name in names
            }
            for fold, one in zip(folds, targeting, strict=True)
        }
        tried = own.names()
        columns = (*compared, *tried, *(metric for metric in shared if metric == PROFIT), *shared)
        draws = replicate(folds, columns, capacity, n_boot, rng, costs, progress, custom=own, ks=ks)
        kept = [place for place, name in enumerate(columns) if name not in own.failed]
        compared = tuple(columns[place] for place in kept[: len(kept) - len(shared)])
        points = {
            fold: {
                name: {metric: v for metric, v in values.items() if metric not in own.failed}
                for name, values in by_scorer.items()
            }
            for fold, by_scorer in points.items()
        }
        draws = draws if len(kept) == len(columns) else draws[..., kept]
        found = cls(names, tuple(points), compared, shared, points, draws, level, own.lower())
        found._recentre()
        return found

    def over(self, folds: Sequence[str]) -> BootstrapSample:
        """Return the compared metrics, averaged over some folds."""
        points = {name: self._means(name, self.compared, folds) for name in self.names}
        values = self._drawn(folds)[..., : len(self.compared)]
        known = values[~np.isnan(values).any(axis=(1, 2))]
        return BootstrapSample(
            self.names, self.compared, points, known, len(self.draws), self.level, self.lower
        )

    def estimates(self, folds: Sequence[str]) -> dict[str, dict[str, Estimate]]:
        """Return estimates of means over folds, with targeting: scorer -> metric -> estimate."""
        found = self.over(folds).estimates()
        drawn = self._drawn(folds)[..., len(self.compared) :]
        for place, name in enumerate(self.names):
            points = self._means(name, self.targeting, folds)
            by_metric = dict(zip(self.targeting, drawn[:, place].T, strict=True))
            found[name] |= targeting_estimates(points, by_metric, self.level)
        return found

    def _means(self, name: str, metrics: Sequence[str], folds: Sequence[str]) -> dict[str, float]:
        """Return one scorer's means over folds, for metrics that have a value on every fold."""
        values = [self.points[fold][name] for fold in folds]
        known = [metric for metric in metrics if all(metric in one for one in values)]
        return {metric: float(np.mean([one[metric] for one in values])) for metric in known}

    def _drawn(self, folds: Sequence[str]) -> Floats:
        """Return replicates of means over folds: (n_boot, scorers, compared and targeting)."""
        found: Floats = self.draws[:, [self.folds.index(fold) for fold in folds]].mean(axis=1)
        return found

    def _recentre(self) -> None:
        """Center the calibration error's replicates on its value.

        The calibration error is a mean of absolute values, which resampling noise only increases.
        Uncentered, nearly all its replicates would lie above the value.
        """
        if "calibration_error" not in self.compared:
            return
        metric = self.compared.index("calibration_error")
        for place, fold in enumerate(self.folds):
            for column, name in enumerate(self.names):
                values = self.draws[:, place, column, metric]
                if not np.isnan(values).all():
                    excess = np.nanmean(values) - self.points[fold][name]["calibration_error"]
                    self.draws[:, place, column, metric] = np.maximum(values - excess, 0.0)


def _points(fold: FoldScores, name: str, capacity: float, ks: Sequence[float]) -> dict[str, float]:
    raw_score, labels = fold.raw_scores[name], fold.labels
    groups = group_by_score(raw_score, labels)
    measured = metrics_of_groups(groups, capacity)
    measured |= {metric: measure(groups) for metric, measure in metrics_at(ks).items()}
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


def replicate(
    folds: Sequence[FoldScores],
    metrics: Sequence[str],
    capacity: float,
    n_boot: int,
    rng: np.random.Generator,
    costs: Costs | None = None,
    progress: Progress = lambda *_: None,
    *,
    custom: CustomMetrics | None = None,
    ks: Sequence[float] = (),
) -> Floats:
    """Return metrics of bootstrap replicates: (n_boot, folds, scorers, metrics).

    If a replicate has one class only on a fold, all values there are NaN. If it draws nobody who is
    targeted, only the precision of targeting is.

    Args:
        folds: What the scorers gave on each fold.
        metrics: All of RANKING, then all of PROBABILITY_METRICS or none, then any of
            `metrics_at(ks)`, of targeting or custom ones.
        capacity: The share of users at which lift, precision and NDCG are measured.
        n_boot: Replicates.
        rng: Draws them.
        costs: Costs of an action, for the profit per user.
        progress: Called with the number of replicates done and their total.
        custom: Custom metrics. They are no functions of sums, so each is computed on the users of
            every replicate.
        ks: Further shares or counts of users at which lift and precision are measured.
    """
    own = custom if custom is not None and custom.metrics else None
    units, sizes = _units(folds, own)
    names = list(folds[0].raw_scores)
    with_probabilities = set(PROBABILITY_METRICS) <= set(metrics)
    sums = [
        _sums(unit, names, capacity, ks, costs, with_probabilities=with_probabilities)
        for unit in units
    ]
    found = np.empty((n_boot, len(folds), len(names), len(metrics)))
    start = 0
    for counts in resampled_counts(sizes, n_boot, rng, batch=_BATCH):
        progress(start, n_boot)
        end = start + len(counts)
        drawn = np.ascontiguousarray(counts.T, dtype=np.float64)
        for place, unit in enumerate(units):
            drawn_here = drawn[unit.users]
            measured = sums[place].measured(drawn_here)
            if own is not None:
                for name, values in _custom(own, unit, names, drawn_here).items():
                    measured[name] |= values
            for column, name in enumerate(names):
                for position, metric in enumerate(metrics):
                    found[start:end, place, column, position] = measured[name][metric]
        start = end
    found[np.isnan(found[..., : len(RANKING)]).any(axis=(2, 3))] = np.nan
    return found


def _units(
    folds: Sequence[FoldScores], custom: CustomMetrics | None
) -> tuple[list[FoldScores], Counts | int]:
    """Return the folds with the units to draw as their users, and the users in each unit.

    A unit is a user, drawn for all folds at once. Only if a single ranking is measured on a single
    fold, a unit is a cell: all users of one score and label. No metric distinguishes them, and
    there are far fewer cells than users.
    """
    first, names = folds[0], list(folds[0].raw_scores)
    if len(folds) == 1 and len(names) == 1 and not first.probabilities and custom is None:
        groups = group_by_score(first.raw_scores[names[0]], first.labels)
        sizes = np.concatenate([groups.positives, groups.negatives]).astype(np.int64)
        places = np.arange(len(sizes))
        half = len(groups.positives)
        scores = np.tile(np.unique(first.raw_scores[names[0]])[::-1], 2)
        return [
            replace(first, users=places, labels=places < half, raw_scores={names[0]: scores})
        ], sizes
    present = np.zeros(1 + max(int(fold.users.max()) for fold in folds), dtype=bool)
    for fold in folds:
        present[fold.users] = True
    codes = np.cumsum(present) - 1
    return [replace(fold, users=codes[fold.users]) for fold in folds], int(present.sum())


def _custom(
    custom: CustomMetrics, fold: FoldScores, names: Sequence[str], drawn: Floats
) -> dict[str, dict[str, Floats]]:
    """Return custom metrics of draws: scorer -> metric -> (draws,).

    Values are NaN where only one class was drawn, and for a metric that failed.

    Args:
        custom: The metrics.
        fold: The users and scores.
        names: The scorers.
        drawn: How often each user is drawn, (n, draws).
    """
    draws = drawn.shape[1]
    tried = [metric.name for metric in custom.metrics]
    found = {name: {metric: np.full(draws, np.nan) for metric in tried} for name in names}
    for draw in range(draws):
        rows = np.repeat(np.arange(len(drawn)), drawn[:, draw].astype(np.int64))
        labels = fold.labels[rows]
        if labels.all() or not labels.any() or not custom.names():
            continue
        for name in names:
            probability = fold.probabilities.get(name)
            known = None if probability is None else probability[rows]
            values = custom.values(name, labels, fold.raw_scores[name][rows], known)
            for metric in tried:
                found[name][metric][draw] = values[metric]
    return found


class _SumsOfRows:
    """A sparse matrix of ones, (cells, n), as indices; `@` sums rows by cell.

    SciPy's sparse matrices are several times faster, but SciPy is not installed where only rankings
    are evaluated.
    """

    def __init__(self, cell: NDArray[np.intp], rows: NDArray[np.intp], size: int) -> None:
        self._order = rows[np.argsort(cell[rows], kind="stable")]
        self._cells, self._starts = np.unique(cell[self._order], return_index=True)
        self._size = size

    def __matmul__(self, drawn: Floats) -> Floats:
        found = np.zeros((self._size, drawn.shape[1]))
        found[self._cells] = np.add.reduceat(drawn[self._order], self._starts, axis=0)
        return found


@dataclass(frozen=True)
class _Sums:
    """The matrices that sum what one fold's metrics need over its n users.

    Attributes:
        capacity: The share of users at which lift, precision and NDCG are measured.
        ks: Further shares or counts of users.
        cells: By scorer, the matrices of users and of positives by cell, (cells, n).
        groups: By scorer, probability minus label by calibration group, (groups, n).
        terms: Terms of the Brier score and the log loss, (n, 2 · scorers).
        targeting: The same for metrics of targeting.
    """

    capacity: float
    ks: Sequence[float]
    cells: Mapping[str, tuple[Matrix, Matrix]]
    groups: Mapping[str, Matrix]
    terms: Floats
    targeting: TargetingDecision

    def measured(self, drawn: Floats) -> dict[str, dict[str, Floats]]:
        """Return metrics of draws: scorer -> metric -> (draws,).

        Args:
            drawn: How often each user is drawn, (n, draws).
        """
        found = {}
        targeting = self.targeting.measured(drawn)
        total = drawn.sum(axis=0)
        means = (self.terms.T @ drawn) / total if self.groups else np.empty((0, 0))
        for place, (name, (users, positives)) in enumerate(self.cells.items()):
            converted = np.ascontiguousarray((positives @ drawn).T)
            others = np.ascontiguousarray((users @ drawn).T) - converted
            groups = Groups(converted, others)
            found[name] = metrics_of_groups(groups, self.capacity)
            found[name] |= {at: measure(groups) for at, measure in metrics_at(self.ks).items()}
            if self.groups:
                error = np.abs(self.groups[name] @ drawn).sum(axis=0) / total
                brier, loss = means[2 * place : 2 * place + 2]
                found[name] |= {"brier": brier, "log_loss": loss, "calibration_error": error}
            found[name] |= targeting.get(name, {})
        return found


def _sums(
    fold: FoldScores,
    names: Sequence[str],
    capacity: float,
    ks: Sequence[float],
    costs: Costs | None,
    *,
    with_probabilities: bool,
) -> _Sums:
    positives = fold.labels.nonzero()[0]
    cells, groups, terms = {}, {}, []
    for name in names:
        cell, size = cells_of(fold.raw_scores[name], fold.labels)
        everyone = np.arange(len(cell))
        if len(names) == 1 and not with_probabilities:
            cells[name] = (_SumsOfRows(cell, everyone, size), _SumsOfRows(cell, positives, size))
            continue
        from scipy.sparse import csr_array

        shape = (size, len(cell))
        cells[name] = (
            csr_array((np.ones(len(cell)), (cell, everyone)), shape=shape),
            csr_array((np.ones(len(positives)), (cell[positives], positives)), shape=shape),
        )
        if with_probabilities:
            probability = fold.probabilities[name]
            group = calibration_groups(probability)
            residual = probability - fold.labels
            shape = (int(group.max()) + 1, len(cell))
            groups[name] = csr_array((residual, (group, everyone)), shape=shape)
            terms += [residual**2, log_loss_terms(probability, fold.labels)]
    by_user = np.column_stack(terms) if terms else np.empty((0, 0))
    return _Sums(capacity, ks, cells, groups, by_user, TargetingDecision.on(fold, costs))


def cells_of(raw_score: Floats, labels: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """Return each user's cell, numbered from the highest raw score down, and the number of cells.

    Neighbouring raw scores without positives share a cell. No metric here distinguishes them, since
    each counts negatives between positives. So there is at most one cell more than twice the
    number of positives.
    """
    _, place = np.unique(-raw_score, return_inverse=True)
    holds = np.bincount(place, weights=labels) > 0
    starts = holds | np.concatenate([[True], holds[:-1]])
    cell = np.cumsum(starts) - 1
    return cell[place], int(cell[-1]) + 1
