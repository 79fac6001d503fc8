"""Which scorer ranks better, by how much, and whether the difference is more than chance.

Scorers are compared on the same users of the same tests; differences get their intervals from a
bootstrap over users that is shared by all scorers (paired) and by all tests (a user who stands in
several tests is drawn once for all of them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..stats.bootstrap import percentile_interval
from .chances import brier, calibration_error, log_loss
from .ranking import (
    Groups,
    average_precision,
    lift_at,
    ndcg_at,
    precision_at,
    roc_auc,
)
from .ranking import metrics_of_groups as _measured
from .ranking import sum_by as _sum_by

Floats = NDArray[np.float64]
_METRICS = ("roc_auc", "average_precision", "lift")


@dataclass(frozen=True)
class FoldScores:
    """One test: who, what came, and what each scorer said.

    name: of the test, its as_of. users: integers that name users across tests, (n,). labels: bool
    (n,). margins: what each scorer ranks by, (n,) each. chances: calibrated probabilities, (n,)
    each, for those that have them. thresholds: the margin of each scorer at which the capacity
    was reached in the test before, None where there was none.
    """

    name: str
    users: NDArray[np.int64]
    labels: NDArray[np.bool_]
    margins: Mapping[str, Floats]
    chances: Mapping[str, Floats]
    thresholds: Mapping[str, float | None]


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
    """One scorer against another, on one metric: first minus second.

    interval: percentile bootstrap, of the level asked for. family: for a difference with the
    reference, the interval widened so that all `family_size` of them are covered together at that
    level (single-step max-t of the same replicates, Romano & Wolf 2005); else the same interval.
    """

    metric: str
    first: str
    second: str
    value: float
    interval: tuple[float, float]
    family: tuple[float, float]
    family_size: int

    @property
    def detected(self) -> bool:
        """Whether the widened interval leaves zero out."""
        return self.family[0] > 0 or self.family[1] < 0

    def words(self) -> str:
        """Say the difference in words."""
        tail = f"{self.value:+.3f} [{self.family[0]:+.3f}, {self.family[1]:+.3f}]"
        if not self.detected:
            return f"no detectable difference between {self.first} and {self.second} ({tail})"
        better = "better" if self.value > 0 else "worse"
        return f"{self.first} ranks {better} than {self.second} ({tail})"


@dataclass(frozen=True)
class Comparison:
    """Every scorer's metrics, by test and pooled, and the differences.

    folds: test -> scorer -> metric -> value. tested: scorer -> metric -> estimate on the last
    test. pooled: the same for the mean over tests. differences: on the last test and pooled.
    chosen: the best scorer that explains itself, by the tests before the last.
    """

    reference: str
    level: float
    n_boot: int
    capacity: float
    tests: tuple[str, ...]
    sizes: Mapping[str, tuple[int, int]]
    folds: Mapping[str, Mapping[str, Mapping[str, float]]]
    tested: Mapping[str, Mapping[str, Estimate]]
    pooled: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[str, tuple[Difference, ...]]
    chosen: str | None
    notes: tuple[str, ...] = field(default=())

    def difference(self, where: str, metric: str, first: str, second: str) -> Difference:
        """Return one difference; where: "tested" or "pooled". Raises KeyError without it."""
        for found in self.differences[where]:
            if (found.metric, found.first, found.second) == (metric, first, second):
                return found
        raise KeyError((where, metric, first, second))

    def verdict(self) -> str:
        """Say in words whether the chosen scorer ranks better than the reference."""
        if self.chosen is None:
            return f"nothing was chosen: no learned scorer can say why; {self.reference} stays"
        pooled = self.difference("pooled", "roc_auc", self.chosen, self.reference)
        lift = self.difference("pooled", "lift", self.chosen, self.reference)
        how = (
            "the best on the tests before the last"
            if len(self.tests) > 1
            else "the best of them on this very test"
        )
        over = f"over {len(self.tests)} tests" if len(self.tests) > 1 else "on one test"
        return (
            f"{self.chosen}, {how}, against {self.reference}, {over}: by ROC AUC {pooled.words()}; "
            f"by lift at {self.capacity:.0%} {lift.words()}"
        )


def compare(
    folds: Sequence[FoldScores],
    *,
    reference: str,
    eligible: Sequence[str] = (),
    capacity: float = 0.10,
    n_boot: int = 1000,
    level: float = 0.95,
    rng: np.random.Generator,
) -> Comparison:
    """Compare scorers on one or more tests, oldest first.

    reference: the scorer that all others are set against. eligible: those that may be chosen; the
    choice is made on the tests before the last (on the only one, when there is one, which the
    notes then say). capacity: the share of users at which lift and precision are told.

    Raises DataError when a test has one class only or scorers differ between tests.
    """
    names = list(folds[0].margins)
    for fold in folds:
        if set(fold.margins) != set(names):
            raise DataError(f"test {fold.name}: its scorers are not those of {folds[0].name}")
    points = {fold.name: {n: _metrics(fold, n, capacity) for n in names} for fold in folds}
    draws = _replicates(folds, names, capacity, n_boot, rng)
    last = draws[:, -1]
    mean = draws.mean(axis=1)
    tested, tested_differences = _summed_up(
        {n: points[folds[-1].name][n] for n in names}, names, last, reference, level
    )
    means = {
        n: {m: float(np.mean([points[f.name][n][m] for f in folds])) for m in _METRICS}
        for n in names
    }
    pooled, pooled_differences = _summed_up(means, names, mean, reference, level)
    before = folds[:-1] or folds
    aucs = {n: np.mean([points[f.name][n]["roc_auc"] for f in before]) for n in eligible}
    return Comparison(
        reference=reference,
        level=level,
        n_boot=n_boot,
        capacity=capacity,
        tests=tuple(fold.name for fold in folds),
        sizes={fold.name: (len(fold.labels), int(fold.labels.sum())) for fold in folds},
        folds=points,
        tested=tested,
        pooled=pooled,
        differences={"tested": tested_differences, "pooled": pooled_differences},
        chosen=max(aucs, key=lambda n: aucs[n]) if aucs else None,
        notes=() if len(folds) > 1 else ("chosen on the only test: the choice flatters itself",),
    )


def _metrics(fold: FoldScores, name: str, capacity: float) -> dict[str, float]:
    margin, labels = fold.margins[name], fold.labels
    found = {
        "roc_auc": roc_auc(margin, labels),
        "average_precision": average_precision(margin, labels),
        "lift": lift_at(margin, labels, capacity),
        "lift_at_5pct": lift_at(margin, labels, 0.05),
        "lift_at_20pct": lift_at(margin, labels, 0.20),
        "precision": precision_at(margin, labels, capacity),
        "ndcg": ndcg_at(margin, labels, capacity),
        "base_rate": float(labels.mean()),
    }
    chance = fold.chances.get(name)
    if chance is not None:
        found["brier"] = brier(chance, labels)
        found["log_loss"] = log_loss(chance, labels)
        found["calibration_error"] = calibration_error(chance, labels)
        found["mean_probability"] = float(chance.mean())
    threshold = fold.thresholds.get(name)
    if threshold is not None:
        flagged = margin >= threshold
        found["flagged_share"] = float(flagged.mean())
        found["threshold_precision"] = float(labels[flagged].mean()) if flagged.any() else 0.0
        found["threshold_recall"] = float(flagged[labels].mean())
    return found


def _replicates(
    folds: Sequence[FoldScores],
    names: Sequence[str],
    capacity: float,
    n_boot: int,
    rng: np.random.Generator,
) -> Floats:
    """Return metrics of bootstrap replicates: (n_boot, tests, scorers, metrics)."""
    population = 1 + max(int(fold.users.max()) for fold in folds)
    present = np.zeros(population, dtype=bool)
    for fold in folds:
        present[fold.users] = True
    codes = np.cumsum(present) - 1
    everyone = int(present.sum())
    cells = [{n: _cells(fold.margins[n], fold.labels) for n in names} for fold in folds]
    found = np.empty((n_boot, len(folds), len(names), len(_METRICS)))
    for draw in range(n_boot):
        counts = np.bincount(rng.integers(0, everyone, everyone), minlength=everyone)
        for place, fold in enumerate(folds):
            drawn = counts[codes[fold.users]].astype(np.float64)
            came = fold.labels.nonzero()[0]
            for column, name in enumerate(names):
                cell, n_cells = cells[place][name]
                won = _sum_by(cell[came], drawn[came], n_cells)
                groups = Groups(won, _sum_by(cell, drawn, n_cells) - won)
                found[draw, place, column] = _measured(groups, capacity)
    return found


def _cells(margin: Floats, labels: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """Return each user's cell, from the highest margin down, and how many cells there are.

    Neighbouring margins without positives are one cell: no metric here can tell them apart, as
    each counts negatives between positives. So a cell count of twice the positives is the most.
    """
    _, place = np.unique(-margin, return_inverse=True)
    holds = np.bincount(place, weights=labels) > 0
    starts = holds | np.concatenate([[True], holds[:-1]])
    cell = np.cumsum(starts) - 1
    return cell[place], int(cell[-1]) + 1


def _summed_up(
    points: Mapping[str, Mapping[str, float]],
    names: Sequence[str],
    draws: Floats,
    reference: str,
    level: float,
) -> tuple[dict[str, dict[str, Estimate]], tuple[Difference, ...]]:
    estimates = {
        name: {
            metric: Estimate(
                points[name][metric], *percentile_interval(draws[:, column, place], level)
            )
            for place, metric in enumerate(_METRICS)
        }
        for column, name in enumerate(names)
    }
    differences = []
    base = names.index(reference)
    for place, metric in enumerate(_METRICS):
        drawn = draws[:, :, place]
        spread = (drawn - drawn[:, [base]]).std(axis=0)
        reach = _joint_reach(drawn, base, spread, level)
        for i, first in enumerate(names):
            for j, second in enumerate(names):
                if i == j:
                    continue
                value = points[first][metric] - points[second][metric]
                interval = percentile_interval(drawn[:, i] - drawn[:, j], level)
                joint = base in {i, j}
                wide = reach * float(spread[i] + spread[j])  # the reference's own is zero
                differences.append(
                    Difference(
                        metric=metric,
                        first=first,
                        second=second,
                        value=value,
                        interval=interval,
                        family=(value - wide, value + wide) if joint else interval,
                        family_size=len(names) - 1 if joint else 1,
                    )
                )
    return estimates, tuple(differences)


def _joint_reach(drawn: Floats, base: int, spread: Floats, level: float) -> float:
    """Return how many standard errors cover all differences with the reference at once."""
    away = drawn - drawn[:, [base]]
    away -= away.mean(axis=0)
    known = spread > 0
    if not known.any():
        return 0.0
    return float(np.quantile(np.abs(away[:, known] / spread[known]).max(axis=1), level))


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON can hold it."""
    return asdict(comparison)


def from_dict(raw: Mapping[str, Any]) -> Comparison:
    """Return the comparison that `to_dict` wrote."""

    def estimates(part: Mapping[str, Any]) -> dict[str, dict[str, Estimate]]:
        return {n: {m: Estimate(**e) for m, e in found.items()} for n, found in part.items()}

    def differences(part: Sequence[Mapping[str, Any]]) -> tuple[Difference, ...]:
        return tuple(
            Difference(
                **{
                    **d,
                    "interval": (float(d["interval"][0]), float(d["interval"][1])),
                    "family": (float(d["family"][0]), float(d["family"][1])),
                }
            )
            for d in part
        )

    return Comparison(
        **{
            **raw,
            "tests": tuple(raw["tests"]),
            "notes": tuple(raw["notes"]),
            "sizes": {test: (int(s[0]), int(s[1])) for test, s in raw["sizes"].items()},
            "tested": estimates(raw["tested"]),
            "pooled": estimates(raw["pooled"]),
            "differences": {w: differences(d) for w, d in raw["differences"].items()},
        }
    )
