"""Leakage checks: tests that an honest pipeline passes and a leaking one fails.

They run with every comparison; one that fails blocks the champion. Each says what it measured, so
that a person can judge it. Where sampling has a part in it, an honest pipeline fails once in two
thousand runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..types import Bools, Floats, Integers
from .ranking_metrics import Groups, group_by_score, metrics_of_groups, roc_auc

SHUFFLES = 15
NOISE_COLUMNS = 5
FALSE_ALARMS = 1 / 2000


@dataclass(frozen=True)
class LeakageCheck:
    """One check: its name, whether it passed, and what it saw."""

    name: str
    passed: bool
    detail: str

    def __post_init__(self) -> None:
        # NumPy's booleans are written to JSON as a text, and the text "False" counts as true.
        object.__setattr__(self, "passed", bool(self.passed))

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}  {self.name}: {self.detail}"

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> list[Self]:
        """Return the checks of a kept training, in the words of this or an earlier version."""
        kept = raw["leakage_checks"] if "leakage_checks" in raw else raw["sentinels"]
        return [
            cls(one["name"], bool(one["passed"]), one["detail"] if "detail" in one else one["saw"])
            for one in kept
        ]


def steady_attributes(changing: Mapping[str, int], read: Mapping[str, str]) -> LeakageCheck:
    """Hold attributes that are declared static to it: none may have two values for a user.

    changing: for how many users a static attribute has more than one value. read: the features
    that scorers read of attributes, by feature the attribute.
    """
    name = "static attributes"
    found = [
        f"{feature} ({attribute}) has more than one value for {changing[attribute]:,} users"
        for feature, attribute in read.items()
        if attribute in changing
    ]
    if found:
        return LeakageCheck(
            name, passed=False, detail=f"{'; '.join(found)}: it may know the outcome"
        )
    return LeakageCheck(
        name, passed=True, detail=f"{len(read)} read, none has two values for one user"
    )


@dataclass(frozen=True)
class RefitResult:
    """What came of learning from other labels than the true ones.

    raw_scores: of the test's users, (n,). encoded: the columns learnt from that were themselves
    made of labels, by feature, one value for each row that was learnt from.
    """

    raw_scores: Floats
    encoded: Mapping[str, Floats]


def shuffled_labels(
    refit: Callable[[Integers, Bools], RefitResult],
    labels: Bools,
    snapshot: Integers,
    tested: Bools,
    *,
    rng: np.random.Generator,
    times: int = SHUFFLES,
) -> LeakageCheck:
    """Learn from labels shuffled within each snapshot: nothing must rank the test's own labels.

    refit: learns from these rows and labels, by all that a candidate goes through. labels,
    snapshot: of the rows to learn from, (n,). tested: the test's labels.

    Two things are measured. Fits must not rank the test: a mean AUC away from 0.5 says that true
    labels reach the scorer by another way than the labels given. And a category's worth must not
    rank the shuffled labels of the rows it was computed for: above 0.5, rows have seen their own
    label, which spoils what is learnt without ever showing on the test. (Below 0.5 is no leak: the
    more positives a part holds, the fewer are left for the rest, whose share it is given.)

    Each fit takes as many negatives as positives. Rare positives would not do: a learner of 2%
    positives marks thinly populated corners up more than down, whatever the labels are, and the
    users who convert live there. With halves, labels and their opposites are equally likely, so
    the expected AUC is 0.5 exactly.
    """
    found: list[float] = []
    own: dict[str, list[float]] = {}
    for _ in range(times):
        rows, mixed = _halves_shuffled(labels, snapshot, rng)
        learnt = refit(rows, mixed)
        found.append(roc_auc(learnt.raw_scores, tested))
        for name, column in learnt.encoded.items():
            own.setdefault(name, []).append(roc_auc(column, mixed))
    mean, error = float(np.mean(found)), _error(found)
    within = standard_errors(times) * error
    passed = abs(mean - 0.5) <= within
    detail = f"mean ROC AUC {mean:.3f} of {times} fits; must be 0.5 ± {within:.3f}, as by chance"
    if own:
        reach = standard_errors(times, tests=len(own), sides=1)
        excess = {name: np.mean(aucs) - 0.5 - reach * _error(aucs) for name, aucs in own.items()}
        worst = max(own, key=lambda name: excess[name])
        passed = passed and bool(excess[worst] <= 0)
        detail += (
            f"; target encoding on the rows it was made for, at most {np.mean(own[worst]):.3f} "
            f"({worst}); must not exceed 0.5 by more than {reach * _error(own[worst]):.3f}"
        )
    return LeakageCheck("shuffled labels", passed, detail)


def pure_noise(
    refit: Callable[[Floats, Bools, Floats], Floats],
    train: tuple[Bools, Integers],
    test: tuple[Bools, Integers],
    *,
    rng: np.random.Generator,
) -> LeakageCheck:
    """Learn from noise alone: it must not rank the test.

    refit: learns from noise (n, columns) and labels, and returns the raw scores of the test's
    noise. train, test: labels, and which row each is: an integer that is the same only for the same
    user on the same day. New noise is drawn for every row, so a learner that remembers what it saw
    ranks the test only where it has learnt from the test's own rows.
    """
    from scipy.stats import norm

    rows = int(max(train[1].max(), test[1].max())) + 1
    noise = rng.normal(size=(rows, NOISE_COLUMNS))
    auc = roc_auc(refit(noise[train[1]], train[0], noise[test[1]]), test[0])
    within = float(norm.isf(FALSE_ALARMS / 2)) * _chance_error(test[0])
    return LeakageCheck(
        "pure noise",
        abs(auc - 0.5) <= within,
        f"ROC AUC {auc:.3f} from {NOISE_COLUMNS} columns of noise; must be 0.5 ± {within:.3f}, "
        "as by chance",
    )


def overlapping_outcomes(
    shared: Mapping[str, int], test: str, horizon_days: int, snapshots: Sequence[str]
) -> LeakageCheck:
    """Judge the embargo: shared maps a training snapshot whose outcomes reach into the test's to
    how many outcomes count in both.
    """
    detail = (
        ", ".join(f"those of {day} too count {n:,} of them" for day, n in sorted(shared.items()))
        if shared
        else f"none counts in any of {len(snapshots)} training snapshots too"
    )
    return LeakageCheck(
        "overlapping outcomes",
        not shared,
        f"outcomes of the {horizon_days} days after {test}: {detail}",
    )


@dataclass(frozen=True)
class SingleFeatureScores:
    """One test and what could rank it: labels, single features (NaN: null), scorers' raw scores."""

    name: str
    labels: Bools
    features: Mapping[str, Floats]
    raw_scores: Mapping[str, Floats]


def suspicious_performance(
    tests: Sequence[SingleFeatureScores],
    *,
    capacity: float,
    suspect_auc: float,
    suspect_lift: float | None,
) -> LeakageCheck:
    """Find a feature, or a scorer, that ranks some test better than this target can be ranked.

    A feature counts whichever way it points, its nulls in the middle. capacity: the share of users
    at which lift is taken. suspect_lift: None looks at ROC AUC only.
    """
    aucs: dict[str, float] = {}
    lifts: dict[str, float] = {}
    for test in tests:
        known = {name: v for name, v in test.features.items() if not np.isnan(v).all()}
        for name, values in (known | dict(test.raw_scores)).items():
            both = name not in test.raw_scores
            filled = np.nan_to_num(values, nan=np.nanmedian(values))
            where = f"{name} on {test.name}"
            aucs[where], lifts[where] = _ranked(filled, test.labels, capacity, both_ways=both)
    best, steepest = max(aucs, key=lambda n: aucs[n]), max(lifts, key=lambda n: lifts[n])
    passed = aucs[best] <= suspect_auc
    detail = f"the best of {len(tests)} tests, {best}, has ROC AUC {aucs[best]:.3f}"
    limit = f"{suspect_auc:.3f}"
    if suspect_lift is not None:
        passed = passed and lifts[steepest] <= suspect_lift
        detail += f"; the highest lift at {capacity:.0%} is {lifts[steepest]:.2f}, of {steepest}"
        limit += f", or a lift above {suspect_lift:.2f},"
    return LeakageCheck(
        "too good to be true", passed, f"{detail}; above {limit} is a leak until shown otherwise"
    )


def _ranked(values: Floats, labels: Bools, k: float, *, both_ways: bool) -> tuple[float, float]:
    """Return ROC AUC and lift at k, of the better way round where both count."""
    groups = group_by_score(values, labels)
    found = metrics_of_groups(groups, k)
    auc, lift = float(found["roc_auc"]), float(found["lift"])
    if not both_ways:
        return auc, lift
    other = Groups(groups.positives[::-1], groups.negatives[::-1])
    return max(auc, 1 - auc), max(lift, float(metrics_of_groups(other, k)["lift"]))


def future_events(changed: Mapping[str, int], users: int, as_of: str) -> LeakageCheck:
    """Judge a rebuild from a log cut at as_of: changed maps features to users who differ."""
    worst = {name: count for name, count in changed.items() if count}
    detail = (
        ", ".join(f"{name} changes for {count:,} users" for name, count in sorted(worst.items()))
        if worst
        else f"{len(changed)} features of {users:,} users are the same without later events"
    )
    return LeakageCheck("future events", not worst, f"as of {as_of}: {detail}")


def _halves_shuffled(
    labels: Bools, snapshot: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], Bools]:
    """Return rows, half of them positive within each snapshot, and labels shuffled among them."""
    chosen, mixed = [], []
    for day in np.unique(snapshot):
        here = np.flatnonzero(snapshot == day)
        positive, negative = here[labels[here]], here[~labels[here]]
        size = min(len(positive), len(negative))
        rows = np.concatenate(
            [rng.choice(positive, size, replace=False), rng.choice(negative, size, replace=False)]
        )
        chosen.append(rows)
        mixed.append(rng.permutation(labels[rows]))
    return np.concatenate(chosen), np.concatenate(mixed)


def standard_errors(times: int, *, tests: int = 1, sides: int = 2) -> float:
    """Return how many standard errors the mean of `times` values may lie off by chance.

    Student's t with times - 1 degrees of freedom, so that one of `tests` such means lies further
    off once in two thousand runs at most (Bonferroni). sides: 2 for either way, 1 for upwards.

    >>> round(standard_errors(15), 2)
    4.5
    """
    from scipy.stats import t

    return float(t.isf(FALSE_ALARMS / (sides * tests), times - 1))


def _error(values: Sequence[float]) -> float:
    """Return the standard error of a mean."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _chance_error(labels: Bools) -> float:
    """Return the standard error of the AUC of a ranking by chance (Mann & Whitney 1947)."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    return float(np.sqrt((positives + negatives + 1) / (12 * positives * negatives)))
