"""Leakage sentinels: tests that an honest pipeline passes and a leaking one fails.

They run with every comparison; one that fails blocks the champion. Each says what it measured, so
that a person can judge it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ranking import roc_auc

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
Bools = NDArray[np.bool_]
Fit = Callable[[Matrix, Bools], Callable[[Matrix], Floats]]
SHUFFLES = 15
NOISE_COLUMNS = 5
_TIMES = 3.5  # standard errors that chance alone passes once in two thousand runs


@dataclass(frozen=True)
class Sentinel:
    """One check: its name, whether it passed, and what it saw."""

    name: str
    passed: bool
    saw: str

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}  {self.name}: {self.saw}"


def shuffled_labels(
    fit: Fit,
    train: tuple[Matrix, Bools, NDArray[np.int64]],
    test: tuple[Matrix, Bools],
    *,
    rng: np.random.Generator,
    times: int = SHUFFLES,
) -> Sentinel:
    """Learn from labels shuffled within each snapshot: on the test's own labels nothing must rank.

    train: matrix, labels and the snapshot of each row. A mean AUC away from 0.5 says that labels
    reach the scorer by another way than the labels given.

    Each fit takes as many negatives as positives. Rare positives would not do: a learner of 2%
    positives marks thinly populated corners up more than down, whatever the labels are, and the
    users who convert live there. With halves, labels and their opposites are equally likely, so
    the expected AUC is 0.5 exactly.
    """
    matrix, labels, snapshot = train
    found = []
    for _ in range(times):
        rows, mixed = _halves_shuffled(labels, snapshot, rng)
        found.append(roc_auc(fit(matrix[rows], mixed)(test[0]), test[1]))
    mean = float(np.mean(found))
    error = float(np.std(found, ddof=1) / np.sqrt(times))
    return Sentinel(
        "shuffled labels",
        abs(mean - 0.5) <= _TIMES * error,
        f"mean ROC AUC {mean:.3f} of {times} fits, standard error {error:.3f}; must be 0.5",
    )


def pure_noise(
    fit: Fit,
    train: tuple[Bools, NDArray[np.int64]],
    test: tuple[Bools, NDArray[np.int64]],
    *,
    rng: np.random.Generator,
) -> Sentinel:
    """Learn from noise that sticks to users alone: it must not rank the test.

    train, test: labels, and who each row is. Somebody has the same noise
    in every snapshot; so where a test's outcomes are also training outcomes, remembering people
    ranks them.
    """
    people = int(max(train[1].max(), test[1].max())) + 1
    noise = rng.normal(size=(people, NOISE_COLUMNS)).astype(np.float32)
    auc = roc_auc(fit(noise[train[1]], train[0])(noise[test[1]]), test[0])
    error = _chance_error(test[0])
    return Sentinel(
        "pure noise",
        abs(auc - 0.5) <= _TIMES * error,
        f"ROC AUC {auc:.3f} from {NOISE_COLUMNS} columns of noise, standard error {error:.3f}; "
        "must be 0.5",
    )


def too_good(
    features: Mapping[str, Floats],
    scorers: Mapping[str, Floats],
    labels: Bools,
    *,
    suspect_auc: float,
) -> Sentinel:
    """Find a feature, or a scorer, that ranks better than this target can be ranked."""
    found = {
        name: max(auc, 1 - auc)
        for name, values in features.items()
        if not np.isnan(values).all()
        for auc in [roc_auc(np.nan_to_num(values, nan=np.nanmedian(values)), labels)]
    }
    found |= {name: roc_auc(margin, labels) for name, margin in scorers.items()}
    best = max(found, key=lambda name: found[name])
    return Sentinel(
        "too good to be true",
        found[best] <= suspect_auc,
        f"the best, {best}, has ROC AUC {found[best]:.3f}; above {suspect_auc:.3f} is a leak until "
        "shown otherwise",
    )


def future_events(changed: Mapping[str, int], users: int, as_of: str) -> Sentinel:
    """Judge a rebuild from a log cut at as_of: changed maps features to users who differ."""
    worst = {name: count for name, count in changed.items() if count}
    saw = (
        ", ".join(f"{name} changes for {count:,} users" for name, count in sorted(worst.items()))
        if worst
        else f"{len(changed)} features of {users:,} users are the same without later events"
    )
    return Sentinel("future events", not worst, f"as of {as_of}: {saw}")


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


def _chance_error(labels: Bools) -> float:
    """Return the standard error of the AUC of a ranking by chance (Mann & Whitney 1947)."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    return float(np.sqrt((positives + negatives + 1) / (12 * positives * negatives)))
