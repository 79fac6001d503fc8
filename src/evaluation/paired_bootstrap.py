"""Every metric of every scorer on bootstrap replicates of the users, the same for all of them.

Users are drawn with replacement from all who stand in any test, and one draw counts in every test.
What a metric needs of a draw are sums over users: counts at each score for those of the ranking,
terms for those of the probabilities. So a batch of draws is a matrix, and the sums are matrix
products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..types import Floats, Progress
from .custom_metrics import CustomMetrics
from .probability_metrics import calibration_groups, log_loss_terms
from .ranking_metrics import Groups, metrics_of_groups
from .thresholds import Costs, TargetingDecision

if TYPE_CHECKING:
    from .fold_scores import FoldScores

RANKING = ("roc_auc", "average_precision", "lift", "precision", "ndcg")
PROBABILITY_METRICS = ("brier", "log_loss", "calibration_error")
_BATCH = 50  # draws


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
) -> Floats:
    """Return metrics of bootstrap replicates: (n_boot, tests, scorers, metrics).

    metrics: all of RANKING, then all of CHANCES or none, then any that are custom or acting has. A
    replicate in which a test has one class only is NaN there, for all scorers; where it draws
    nobody who is acted upon, a precision alone is. progress: called with how many are done, of how
    many. custom: metrics that know no sums: each is computed on every replicate's users one by one.
    """
    population = 1 + max(int(fold.users.max()) for fold in folds)
    present = np.zeros(population, dtype=bool)
    for fold in folds:
        present[fold.users] = True
    codes = np.cumsum(present) - 1
    everyone = int(present.sum())
    names = list(folds[0].raw_scores)
    with_chances = set(PROBABILITY_METRICS) <= set(metrics)
    sums = [_sums(fold, names, capacity, costs, with_chances=with_chances) for fold in folds]
    found = np.empty((n_boot, len(folds), len(names), len(metrics)))
    for start in range(0, n_boot, _BATCH):
        progress(start, n_boot)
        draws = min(_BATCH, n_boot - start)
        counts = np.empty((everyone, draws))
        for draw in range(draws):
            drawn = rng.integers(0, everyone, everyone)
            counts[:, draw] = np.bincount(drawn, minlength=everyone)
        for place, fold in enumerate(folds):
            drawn_here = counts[codes[fold.users]]
            measured = sums[place].measured(drawn_here)
            if custom is not None and custom.metrics:
                for name, values in _custom(custom, fold, names, drawn_here).items():
                    measured[name] |= values
            for column, name in enumerate(names):
                for position, metric in enumerate(metrics):
                    found[start : start + draws, place, column, position] = measured[name][metric]
    found[np.isnan(found[..., : len(RANKING)]).any(axis=(2, 3))] = np.nan
    return found


def _custom(
    custom: CustomMetrics, fold: FoldScores, names: Sequence[str], drawn: Floats
) -> dict[str, dict[str, Floats]]:
    """Return scorer -> custom metric -> (draws,); drawn: how often each user is drawn, (n, draws).

    NaN where one class only was drawn, and for a metric that failed.
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


@dataclass(frozen=True)
class _Sums:
    """The sums that one test's metrics need, as matrices over its users.

    cells: per scorer, users and positives by cell, (cells, n). groups: per scorer, probability
    minus label by calibration group, (groups, n). terms: Brier and log loss terms, (n, 2 ·
    scorers).
    """

    capacity: float
    cells: Mapping[str, tuple[csr_array, csr_array]]
    groups: Mapping[str, csr_array]
    terms: Floats
    acting: TargetingDecision

    def measured(self, drawn: Floats) -> dict[str, dict[str, Floats]]:
        """Return scorer -> metric -> (draws,); drawn: how often each user is drawn, (n, draws)."""
        found = {}
        acting = self.acting.measured(drawn)
        total = drawn.sum(axis=0)
        means = (self.terms.T @ drawn) / total if self.groups else np.empty((0, 0))
        for place, (name, (users, positives)) in enumerate(self.cells.items()):
            won = np.ascontiguousarray((positives @ drawn).T)
            lost = np.ascontiguousarray((users @ drawn).T) - won
            found[name] = metrics_of_groups(Groups(won, lost), self.capacity)
            if self.groups:
                off = np.abs(self.groups[name] @ drawn).sum(axis=0) / total
                brier, loss = means[2 * place : 2 * place + 2]
                found[name] |= {"brier": brier, "log_loss": loss, "calibration_error": off}
            found[name] |= acting.get(name, {})
        return found


def _sums(
    fold: FoldScores,
    names: Sequence[str],
    capacity: float,
    costs: Costs | None,
    *,
    with_chances: bool,
) -> _Sums:
    came = fold.labels.nonzero()[0]
    cells, groups, terms = {}, {}, []
    for name in names:
        cell, size = cells_of(fold.raw_scores[name], fold.labels)
        everyone = np.arange(len(cell))
        shape = (size, len(cell))
        cells[name] = (
            csr_array((np.ones(len(cell)), (cell, everyone)), shape=shape),
            csr_array((np.ones(len(came)), (cell[came], came)), shape=shape),
        )
        if with_chances:
            probability = fold.probabilities[name]
            group = calibration_groups(probability)
            away = probability - fold.labels
            shape = (int(group.max()) + 1, len(cell))
            groups[name] = csr_array((away, (group, everyone)), shape=shape)
            terms += [away**2, log_loss_terms(probability, fold.labels)]
    by_user = np.column_stack(terms) if terms else np.empty((0, 0))
    return _Sums(capacity, cells, groups, by_user, TargetingDecision.on(fold, costs))


def cells_of(raw_score: Floats, labels: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """Return each user's cell, from the highest raw score down, and how many cells there are.

    Neighbouring raw scores without positives are one cell: no metric here can tell them apart, as
    each counts negatives between positives. So a cell count of twice the positives is the most.
    """
    _, place = np.unique(-raw_score, return_inverse=True)
    holds = np.bincount(place, weights=labels) > 0
    starts = holds | np.concatenate([[True], holds[:-1]])
    cell = np.cumsum(starts) - 1
    return cell[place], int(cell[-1]) + 1
