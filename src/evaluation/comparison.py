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
from .chances import brier, calibration_error, log_loss
from .differences import Difference, Drawn, Estimate
from .ranking import group_by_score, lift_at, metrics_of_groups
from .replicates import CHANCES, RANKING, replicate

Floats = NDArray[np.float64]
Estimates = Mapping[str, Mapping[str, Estimate]]
TWINS_BY = ("roc_auc", "calibration_error")


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
class Comparison:
    """Every scorer's metrics, by test and pooled, and the differences.

    floors: simple scorers that, as the reference, all others are set against in a family of their
    own. judged: the tests that nothing was tuned on, which alone are pooled: all, unless parameters
    were searched. folds: test -> scorer -> metric -> value. by_test: test -> scorer -> metric ->
    estimate. pooled: scorer -> metric -> estimate of the mean over the judged tests. differences:
    on the last test ("tested") and of those means ("pooled"); the first name of a pair is the one
    that comes first among the scorers. twins: each pair asked for, one family. chosen: the best
    scorer that explains itself, by the tests before the last. counted: bootstrap replicates that
    drew both classes, on each test and pooled; the others are left out.
    """

    reference: str
    floors: tuple[str, ...]
    level: float
    n_boot: int
    capacity: float
    tests: tuple[str, ...]
    judged: tuple[str, ...]
    sizes: Mapping[str, tuple[int, int]]
    folds: Mapping[str, Mapping[str, Mapping[str, float]]]
    by_test: Mapping[str, Estimates]
    pooled: Estimates
    differences: Mapping[str, tuple[Difference, ...]]
    twins: tuple[Difference, ...]
    chosen: str | None
    counted: Mapping[str, int]
    notes: tuple[str, ...] = field(default=())

    @property
    def tested(self) -> Estimates:
        """Estimates on the last test."""
        return self.by_test[self.tests[-1]]

    def difference(self, where: str, metric: str, first: str, second: str) -> Difference:
        """Return one difference; where: "tested" or "pooled". Raises KeyError without it."""
        for found in self.differences[where]:
            if found.metric == metric and {found.first, found.second} == {first, second}:
                return found if found.first == first else found.turned()
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
        return (
            f"{self.chosen}, {how}, against {self.reference}, {self.where()}: by ROC AUC "
            f"{pooled.words()}; by lift at {self.capacity:.0%} {lift.words()}"
        )

    def where(self) -> str:
        """Say on which tests differences are judged, in a few words."""
        if len(self.judged) < len(self.tests):
            return f"on the tests that nothing was tuned on ({', '.join(self.judged)})"
        return f"over {len(self.tests)} tests" if len(self.tests) > 1 else "on one test"


def compare(
    folds: Sequence[FoldScores],
    *,
    reference: str,
    eligible: Sequence[str] = (),
    floors: Sequence[str] = (),
    twins: Sequence[tuple[str, str]] = (),
    tuned_on: Sequence[str] = (),
    capacity: float = 0.10,
    n_boot: int = 1000,
    level: float = 0.95,
    rng: np.random.Generator,
) -> Comparison:
    """Compare scorers on one or more tests, oldest first.

    reference: the scorer that all others are set against. eligible: those that may be chosen; the
    choice is made on the tests before the last (on the only one, when there is one, which the
    notes then say). floors: simple scorers that all others are set against as well. twins: pairs
    of scorers set against each other by TWINS_BY. tuned_on: tests that parameters were searched
    on; they are told, and judge nothing. capacity: the share of users at which lift, precision and
    NDCG are told.

    Raises DataError when a test has one class only, when scorers differ between tests, or when
    most bootstrap replicates have one class only.
    """
    names = list(folds[0].margins)
    for fold in folds:
        if set(fold.margins) != set(names):
            raise DataError(f"test {fold.name}: its scorers are not those of {folds[0].name}")
    judged = [place for place, fold in enumerate(folds) if fold.name not in tuned_on]
    if not judged:
        raise DataError("every test was tuned on: none is left to judge by")
    with_chances = all(set(fold.chances) >= set(names) for fold in folds)
    metrics = (*RANKING, *CHANCES) if with_chances else RANKING
    points = {fold.name: {n: _metrics(fold, n, capacity) for n in names} for fold in folds}
    draws = _recentred(replicate(folds, metrics, capacity, n_boot, rng), folds, metrics, points)

    def drawn(where: Sequence[int]) -> Drawn:
        tests = [points[folds[place].name] for place in where]
        means = {n: {m: float(np.mean([t[n][m] for t in tests])) for m in metrics} for n in names}
        values = draws[:, where].mean(axis=1)
        known = values[~np.isnan(values).any(axis=(1, 2))]
        return Drawn(names, metrics, means, known, n_boot, level)

    tests = {fold.name: drawn([place]) for place, fold in enumerate(folds)}
    last, pooled = tests[folds[-1].name], drawn(judged)
    bases = [reference, *(name for name in floors if name in names)]
    before = folds[:-1] or folds
    aucs = {n: np.mean([points[f.name][n]["roc_auc"] for f in before]) for n in eligible}
    return Comparison(
        reference=reference,
        floors=tuple(bases[1:]),
        level=level,
        n_boot=n_boot,
        capacity=capacity,
        tests=tuple(fold.name for fold in folds),
        judged=tuple(folds[place].name for place in judged),
        sizes={fold.name: (len(fold.labels), int(fold.labels.sum())) for fold in folds},
        folds=points,
        by_test={name: found.estimates() for name, found in tests.items()},
        pooled=pooled.estimates(),
        differences={"tested": last.differences(bases), "pooled": pooled.differences(bases)},
        twins=pooled.family(twins, TWINS_BY) if with_chances else (),
        chosen=max(aucs, key=lambda n: aucs[n]) if aucs else None,
        counted={n: len(d.values) for n, d in (*tests.items(), ("pooled", pooled))},
        notes=() if len(folds) > 1 else ("chosen on the only test: the choice flatters itself",),
    )


def _recentred(
    draws: Floats,
    folds: Sequence[FoldScores],
    metrics: Sequence[str],
    points: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> Floats:
    """Return the replicates, those of the calibration error moved to lie around its value.

    It is a mean of distances, which resampling only adds noise to: as they come, its replicates
    would all lie above what was measured.
    """
    if "calibration_error" not in metrics:
        return draws
    place = metrics.index("calibration_error")
    for test, fold in enumerate(folds):
        for column, name in enumerate(fold.margins):
            values = draws[:, test, column, place]
            if not np.isnan(values).all():
                excess = np.nanmean(values) - points[fold.name][name]["calibration_error"]
                draws[:, test, column, place] = np.maximum(values - excess, 0.0)
    return draws


def _metrics(fold: FoldScores, name: str, capacity: float) -> dict[str, float]:
    margin, labels = fold.margins[name], fold.labels
    measured = metrics_of_groups(group_by_score(margin, labels), capacity)
    found = {metric: float(value) for metric, value in measured.items()}
    found |= {
        "lift_at_5pct": lift_at(margin, labels, 0.05),
        "lift_at_20pct": lift_at(margin, labels, 0.20),
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


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON can hold it."""
    return asdict(comparison)


def from_dict(raw: Mapping[str, Any]) -> Comparison:
    """Return the comparison that `to_dict` wrote; raises DataError for another version's."""

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

    try:
        return Comparison(
            **{
                **raw,
                "floors": tuple(raw["floors"]),
                "tests": tuple(raw["tests"]),
                "judged": tuple(raw["judged"]),
                "notes": tuple(raw["notes"]),
                "sizes": {test: (int(s[0]), int(s[1])) for test, s in raw["sizes"].items()},
                "by_test": {test: estimates(found) for test, found in raw["by_test"].items()},
                "pooled": estimates(raw["pooled"]),
                "differences": {w: differences(d) for w, d in raw["differences"].items()},
                "twins": differences(raw["twins"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise DataError(
            f"this comparison was written by another version of whyrank ({error}): train again"
        ) from None
