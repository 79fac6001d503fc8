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

from ..errors import DataError
from ..types import Progress
from .custom_metrics import CustomMetric, CustomMetrics
from .differences import Difference, Estimate
from .fold_scores import FoldScores
from .paired_bootstrap import BootstrapMetrics
from .thresholds import Costs

Estimates = Mapping[str, Mapping[str, Estimate]]
PAIRED_BY = ("roc_auc", "calibration_error")
# Fields of comparisons that earlier versions logged.
_EARLIER_NAMES = {
    "floors": "baselines",
    "judged": "evaluation_folds",
    "twins": "matched_pairs",
    "chosen": "selected",
    "counted": "valid_replicates",
}
_ONE_TEST = ("selected on the only test: the selection flatters itself",)


@dataclass(frozen=True)
class Comparison:
    """Every scorer's metrics, by test and pooled, and the differences.

    baselines: simple scorers that, as the reference, all others are set against in a family of
    their own. evaluation_folds: the tests that nothing was tuned on, which alone are pooled: all,
    unless parameters were searched. folds: test -> scorer -> metric -> value. by_test: test ->
    scorer -> metric -> estimate. pooled: scorer -> metric -> estimate of the mean over those tests.
    differences: on the last test ("tested") and of those means ("pooled"); the first name of a pair
    is the one that comes first among the scorers. matched_pairs: each pair asked for, one family.
    best: of the scorers that explain themselves the best by the tests before the last. selected:
    the simplest of them that cannot be told from the best there. valid_replicates: bootstrap
    replicates that drew both classes, on each test and pooled; the others are left out. costs: of
    acting, where they are stated; then profit per user is a metric like any other. custom: the
    metrics from outside, and whether higher is better; they are compared like any other.
    """

    reference: str
    baselines: tuple[str, ...]
    level: float
    n_boot: int
    capacity: float
    tests: tuple[str, ...]
    evaluation_folds: tuple[str, ...]
    sizes: Mapping[str, tuple[int, int]]
    folds: Mapping[str, Mapping[str, Mapping[str, float]]]
    by_test: Mapping[str, Estimates]
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
    def tested(self) -> Estimates:
        """Estimates on the last test."""
        return self.by_test[self.tests[-1]]

    def difference(self, where: str, metric: str, first: str, second: str) -> Difference:
        """Return one difference; where: "tested" or "pooled". Raises KeyError without it."""
        for found in self.differences[where]:
            if found.metric == metric and {found.first, found.second} == {first, second}:
                return found if found.first == first else found.reversed()
        raise KeyError((where, metric, first, second))

    def verdict(self) -> str:
        """Say in words whether the selected scorer ranks better than the reference."""
        if self.selected is None:
            return f"no scorer was selected: no learned scorer can say why; {self.reference} stays"
        pooled = self.difference("pooled", "roc_auc", self.selected, self.reference)
        lift = self.difference("pooled", "lift", self.selected, self.reference)
        how = (
            "the best on the tests before the last"
            if len(self.tests) > 1
            else "the best of them on this very test"
        )
        if self.best not in {None, self.selected}:
            how = f"the simplest of those that cannot be told from {self.best}, {how}"
        return (
            f"{self.selected}, {how}, against {self.reference}, {self.where()}: by ROC AUC "
            f"{pooled.words()}; by lift at {self.capacity:.0%} {lift.words()}"
        )

    def where(self) -> str:
        """Say on which tests differences are measured, in a few words."""
        if len(self.evaluation_folds) < len(self.tests):
            return f"on the tests that nothing was tuned on ({', '.join(self.evaluation_folds)})"
        return f"over {len(self.tests)} tests" if len(self.tests) > 1 else "on one test"


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
    """Compare scorers on one or more tests, oldest first; a single one is evaluated.

    reference: the scorer that all others are set against. selectable: those that may be selected,
    the simplest first; the choice is made on the tests before the last (on the only one, when there
    is one, which the notes then say): the simplest that the best does not rank detectably better
    than, by ROC AUC, all such comparisons one family. baselines: simple scorers that all others are
    set against as well. matched_pairs: pairs of scorers set against each other by PAIRED_BY.
    tuned_on: tests that parameters were searched on; they are told, and judge nothing. capacity:
    the share of users at which lift, precision and NDCG are told. ks: shares or counts of users
    at which lift and precision are compared besides. costs: of acting; where it pays is told as
    well, by profit per user. progress: called with how many replicates are done, of how
    many. metrics: custom ones; one that gives no number is left out, which the notes then say.

    Raises DataError when a test has one class only, when scorers differ between tests, when most
    bootstrap replicates have one class only, or when costs are stated without probabilities.
    """
    names = list(folds[0].raw_scores)
    for fold in folds:
        if set(fold.raw_scores) != set(names):
            raise DataError(f"test {fold.name}: its scorers are not those of {folds[0].name}")
    evaluated = [fold.name for fold in folds if fold.name not in tuned_on]
    if not evaluated:
        raise DataError("every test was tuned on: none is left to judge by")
    custom = CustomMetrics(metrics)
    measured = BootstrapMetrics.of(
        folds,
        capacity=capacity, ks=ks, costs=costs,
        n_boot=n_boot, level=level, rng=rng, progress=progress, custom=custom,
    )  # fmt: skip
    tests = {fold.name: measured.over([fold.name]) for fold in folds}
    last, pooled = tests[folds[-1].name], measured.over(evaluated)
    bases = [reference, *(name for name in baselines if name in names)]
    best, selected = _select(measured, [f.name for f in folds[:-1] or folds], selectable)
    return Comparison(
        reference=reference,
        baselines=tuple(bases[1:]),
        level=level,
        n_boot=n_boot,
        capacity=capacity,
        tests=tuple(fold.name for fold in folds),
        evaluation_folds=tuple(evaluated),
        sizes={fold.name: (len(fold.labels), int(fold.labels.sum())) for fold in folds},
        folds=measured.points,
        by_test={test: measured.estimates([test]) for test in tests},
        pooled=measured.estimates(evaluated),
        differences={"tested": last.differences(bases), "pooled": pooled.differences(bases)},
        matched_pairs=pooled.family(matched_pairs, PAIRED_BY)
        if set(PAIRED_BY) <= set(pooled.metrics)
        else (),
        selected=selected,
        valid_replicates={n: len(d.values) for n, d in (*tests.items(), ("pooled", pooled))},
        costs=costs,
        notes=(*(_ONE_TEST if len(folds) == 1 < len(names) else ()), *custom.failed.values()),
        best=best,
        custom={m.name: m.higher_is_better for m in metrics if m.name not in custom.failed},
    )


def _select(
    measured: BootstrapMetrics, tests: Sequence[str], selectable: Sequence[str]
) -> tuple[str | None, str | None]:
    """Return the best by mean ROC AUC, and the simplest that cannot be told from it."""
    if not selectable:
        return None, None
    drawn = measured.over(tests)
    best = max(selectable, key=lambda name: drawn.points[name]["roc_auc"])
    others = [(best, name) for name in selectable if name != best]
    worse = {d.second for d in drawn.family(others, ["roc_auc"]) if d.detected}
    return best, next(name for name in selectable if name not in worse)


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

    raw = {_EARLIER_NAMES.get(name, name): value for name, value in raw.items()}
    try:
        return Comparison(
            **{
                **raw,
                "baselines": tuple(raw["baselines"]),
                "tests": tuple(raw["tests"]),
                "evaluation_folds": tuple(raw["evaluation_folds"]),
                "notes": tuple(raw["notes"]),
                "costs": Costs(**raw["costs"]) if raw["costs"] else None,
                "sizes": {test: (int(s[0]), int(s[1])) for test, s in raw["sizes"].items()},
                "by_test": {test: estimates(found) for test, found in raw["by_test"].items()},
                "pooled": estimates(raw["pooled"]),
                "differences": {w: differences(d) for w, d in raw["differences"].items()},
                "matched_pairs": differences(raw["matched_pairs"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise DataError(
            f"this comparison was written by another version of whyrank ({error}): train again"
        ) from None
