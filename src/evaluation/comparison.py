"""Which scorer ranks better, by how much, and whether the difference is more than chance.

Scorers are compared on the same users of the same backtest folds. Intervals come from one bootstrap
over users. All scorers share its draws, so that differences are paired, and so do all folds: a user
who is in several folds is drawn once for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..errors import DataError
from ..types import Progress
from .custom_metrics import CustomMetric, CustomMetrics
from .differences import Difference, Estimate
from .fold_scores import FoldScores
from .paired_bootstrap import BootstrapMetrics
from .thresholds import Costs

Estimates = Mapping[str, Mapping[str, Estimate]]
PAIRED_BY = ("roc_auc", "calibration_error")
# The names of fields in the comparison.json of earlier versions, and their names now.
_EARLIER_NAMES = {
    "tests": "fold_names",
    "folds": "fold_values",
    "by_test": "by_fold",
    "floors": "baselines",
    "judged": "evaluation_folds",
    "twins": "matched_pairs",
    "chosen": "selected",
    "counted": "valid_replicates",
}
_EARLIER_WHERE = {"tested": "last_fold"}  # the same for the keys of `differences`
_ONE_FOLD = ("selected on the only fold: the selected scorer's estimates are optimistic",)


@dataclass(frozen=True)
class Comparison:
    """Every scorer's metrics, by backtest fold and pooled, and the differences between scorers.

    Attributes:
        reference: The scorer that all others are compared with.
        baselines: Simple scorers that all others are compared with as well, each in a family of
            its own.
        level: Confidence level of the intervals.
        n_boot: Bootstrap replicates.
        capacity: The share of users at which lift, precision and NDCG are measured.
        fold_names: The folds, oldest first.
        evaluation_folds: The folds that nothing was tuned on. Only they are pooled.
        sizes: Users and positives by fold.
        fold_values: Values as fold -> scorer -> metric -> value.
        by_fold: Estimates as fold -> scorer -> metric -> estimate.
        pooled: Estimates of the mean over the evaluation folds, as scorer -> metric -> estimate.
        differences: Differences on the last fold ("last_fold") and of the means over the evaluation
            folds ("pooled"). The first scorer of a pair is the one listed first.
        matched_pairs: Differences between the pairs asked for, as one family.
        selected: The simplest selectable scorer that is not detectably worse than `best`.
        valid_replicates: Replicates that drew both classes, by fold and pooled. The others are left
            out.
        costs: Costs of an action, if stated. Profit per user is then a metric like any other.
        notes: Caveats of the comparison, in words.
        best: The selectable scorer with the highest mean ROC AUC over the folds before the last.
        custom: Custom metrics, and whether higher is better. They are compared like any other.
    """

    reference: str
    baselines: tuple[str, ...]
    level: float
    n_boot: int
    capacity: float
    fold_names: tuple[str, ...]
    evaluation_folds: tuple[str, ...]
    sizes: Mapping[str, tuple[int, int]]
    fold_values: Mapping[str, Mapping[str, Mapping[str, float]]]
    by_fold: Mapping[str, Estimates]
    pooled: Estimates
    differences: Mapping[str, tuple[Difference, ...]]
    matched_pairs: tuple[Difference, ...]
    selected: str | None
    valid_replicates: Mapping[str, int]
    costs: Costs | None
    notes: tuple[str, ...] = field(default=())
    best: str | None = None
    custom: Mapping[str, bool] = field(default_factory=dict)

    @property
    def last_fold(self) -> Estimates:
        """Estimates on the last fold."""
        return self.by_fold[self.fold_names[-1]]

    def difference(self, where: str, metric: str, first: str, second: str) -> Difference:
        """Return the difference between two scorers, first minus second.

        Args:
            where: "last_fold" or "pooled".
            metric: The metric.
            first: The scorer subtracted from.
            second: The scorer subtracted.

        Raises:
            KeyError: The two scorers were not compared by this metric.
        """
        for found in self.differences[where]:
            if found.metric == metric and {found.first, found.second} == {first, second}:
                return found if found.first == first else found.reversed()
        raise KeyError((where, metric, first, second))

    def verdict(self) -> str:
        """Return, in words, whether the selected scorer ranks better than the reference."""
        if self.selected is None:
            return f"no scorer was selected: no learned scorer can say why; {self.reference} stays"
        pooled = self.difference("pooled", "roc_auc", self.selected, self.reference)
        lift = self.difference("pooled", "lift", self.selected, self.reference)
        how = (
            "the best on the folds before the last"
            if len(self.fold_names) > 1
            else "the best of them on this same fold"
        )
        if self.best not in {None, self.selected}:
            how = f"the simplest of those that cannot be told from {self.best}, {how}"
        return (
            f"{self.selected}, {how}, against {self.reference}, {self.where()}: by ROC AUC "
            f"{pooled.words()}; by lift at {self.capacity:.0%} {lift.words()}"
        )

    def where(self) -> str:
        """Return, in words, the folds on which pooled differences are measured."""
        folds = len(self.fold_names)
        if len(self.evaluation_folds) < folds:
            return f"on the folds that nothing was tuned on ({', '.join(self.evaluation_folds)})"
        return f"over {folds} folds" if folds > 1 else "on one fold"


def compare(
    folds: Sequence[FoldScores],
    *,
    reference: str,
    selectable: Sequence[str] = (),
    baselines: Sequence[str] = (),
    matched_pairs: Sequence[tuple[str, str]] = (),
    tuned_on: Sequence[str] = (),
    capacity: float = 0.10,
    ks: Sequence[float] = (),
    costs: Costs | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
    rng: np.random.Generator,
    progress: Progress = lambda *_: None,
    metrics: Sequence[CustomMetric] = (),
) -> Comparison:
    """Compare scorers on one or more backtest folds, or evaluate a single scorer.

    The selected scorer is the simplest one that the best does not beat detectably by ROC AUC, all
    these comparisons being one family. It is selected on the folds before the last. With a single
    fold it is selected on that one, and the notes say so.

    Args:
        folds: What the scorers gave on each fold, oldest fold first.
        reference: The scorer that all others are compared with.
        selectable: The scorers that may be selected, simplest first.
        baselines: Simple scorers that all others are compared with as well.
        matched_pairs: Pairs of scorers to compare by the metrics of PAIRED_BY.
        tuned_on: Folds that parameters were searched on. They are reported but not pooled.
        capacity: The share of users at which lift, precision and NDCG are measured.
        ks: Further shares or counts of users at which lift and precision are compared.
        costs: Costs of an action. Profit per user is then compared as well.
        n_boot: Bootstrap replicates.
        level: Confidence level of the intervals.
        rng: Draws the replicates.
        progress: Called with the number of replicates done and their total.
        metrics: Custom metrics. One that gives no number is left out, and the notes say so.

    Raises:
        DataError: A fold has one class only, scorers differ between folds, most replicates have
            one class only, every fold was tuned on, or costs are stated without probabilities.
    """
    names = list(folds[0].raw_scores)
    for fold in folds:
        if set(fold.raw_scores) != set(names):
            raise DataError(f"fold {fold.name}: its scorers are not those of {folds[0].name}")
    evaluated = [fold.name for fold in folds if fold.name not in tuned_on]
    if not evaluated:
        raise DataError("every fold was tuned on: none is left for the evaluation")
    custom = CustomMetrics(metrics)
    measured = BootstrapMetrics.of(
        folds,
        capacity=capacity, ks=ks, costs=costs,
        n_boot=n_boot, level=level, rng=rng, progress=progress, custom=custom,
    )  # fmt: skip
    samples = {fold.name: measured.over([fold.name]) for fold in folds}
    last, pooled = samples[folds[-1].name], measured.over(evaluated)
    bases = [reference, *(name for name in baselines if name in names)]
    best, selected = _select(measured, [f.name for f in folds[:-1] or folds], selectable)
    return Comparison(
        reference=reference,
        baselines=tuple(bases[1:]),
        level=level,
        n_boot=n_boot,
        capacity=capacity,
        fold_names=tuple(fold.name for fold in folds),
        evaluation_folds=tuple(evaluated),
        sizes={fold.name: (len(fold.labels), int(fold.labels.sum())) for fold in folds},
        fold_values=measured.points,
        by_fold={name: measured.estimates([name]) for name in samples},
        pooled=measured.estimates(evaluated),
        differences={"last_fold": last.differences(bases), "pooled": pooled.differences(bases)},
        matched_pairs=pooled.family(matched_pairs, PAIRED_BY)
        if set(PAIRED_BY) <= set(pooled.metrics)
        else (),
        selected=selected,
        valid_replicates={n: len(d.values) for n, d in (*samples.items(), ("pooled", pooled))},
        costs=costs,
        notes=(*(_ONE_FOLD if len(folds) == 1 < len(names) else ()), *custom.failed.values()),
        best=best,
        custom={m.name: m.higher_is_better for m in metrics if m.name not in custom.failed},
    )


def _select(
    measured: BootstrapMetrics, folds: Sequence[str], selectable: Sequence[str]
) -> tuple[str | None, str | None]:
    """Return the best scorer by mean ROC AUC, and the simplest one not detectably worse."""
    if not selectable:
        return None, None
    drawn = measured.over(folds)
    best = max(selectable, key=lambda name: drawn.points[name]["roc_auc"])
    others = [(best, name) for name in selectable if name != best]
    worse = {d.second for d in drawn.family(others, ["roc_auc"]) if d.detected}
    return best, next(name for name in selectable if name not in worse)


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as values that JSON can hold."""
    return asdict(comparison)


def from_dict(raw: Mapping[str, Any]) -> Comparison:
    """Return the comparison that `to_dict` wrote, in this version or an earlier one.

    Raises:
        DataError: Another version wrote it, whose fields this one cannot read.
    """

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

    raw = {_EARLIER_NAMES.get(name, name): value for name, value in raw.items()}
    try:
        return Comparison(
            **{
                **raw,
                "baselines": tuple(raw["baselines"]),
                "fold_names": tuple(raw["fold_names"]),
                "evaluation_folds": tuple(raw["evaluation_folds"]),
                "notes": tuple(raw["notes"]),
                "costs": Costs(**raw["costs"]) if raw["costs"] else None,
                "sizes": {fold: (int(s[0]), int(s[1])) for fold, s in raw["sizes"].items()},
                "by_fold": {fold: estimates(found) for fold, found in raw["by_fold"].items()},
                "pooled": estimates(raw["pooled"]),
                "differences": {
                    _EARLIER_WHERE.get(where, where): differences(found)
                    for where, found in raw["differences"].items()
                },
                "matched_pairs": differences(raw["matched_pairs"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise DataError(
            f"this comparison was written by another version of whyrank ({error}): train again"
        ) from None
