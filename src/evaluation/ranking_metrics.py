"""Metrics of a ranking: ROC AUC, average precision, lift, precision and recall at k.

All of them depend on users only through how many positives and negatives stand at each score, so
they are computed on those counts: for the data themselves, for weights, and for bootstrap
replicates by the thousand, by the same few lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError
from ..types import Floats


@dataclass(frozen=True)
class Groups:
    """Users by score, from the highest: positives and negatives at each, shape (..., groups)."""

    positives: Floats
    negatives: Floats

    @property
    def sizes(self) -> Floats:
        """Users (or weight) at each score."""
        return self.positives + self.negatives


def group_by_score(score: ArrayLike, label: ArrayLike, weight: ArrayLike | None = None) -> Groups:
    """Count positives and negatives at each different score, from the highest down.

    score: floats (n,). label: 0 or 1 (n,). weight: floats at or above zero (n,), 1 when None.

    Raises DataError for an empty input, different lengths, NaN or infinite scores, labels other
    than 0 and 1, negative weights, or one class only: a metric of these would mean nothing.
    """
    scores = np.asarray(score, dtype=np.float64)
    labels = np.asarray(label).astype(np.float64)
    weights = np.ones_like(scores) if weight is None else np.asarray(weight, dtype=np.float64)
    _check(scores, labels, weights)
    values, places = np.unique(-scores, return_inverse=True)
    positives = sum_by(places, weights * labels, len(values))
    negatives = sum_by(places, weights * (1 - labels), len(values))
    if positives.sum() == 0 or negatives.sum() == 0:
        raise DataError(
            f"{positives.sum():g} positive and {negatives.sum():g} negative users: a ranking is "
            "measured on both kinds; choose an earlier as_of or a longer horizon"
        )
    return Groups(positives, negatives)


def sum_by(places: NDArray[np.intp], weights: Floats, groups: int) -> Floats:
    """Return the sum of weights at each place, shape (groups,)."""
    return np.bincount(places, weights=weights, minlength=groups).astype(np.float64)


def _check(scores: Floats, labels: Floats, weights: Floats) -> None:
    if scores.ndim != 1 or scores.shape != labels.shape or scores.shape != weights.shape:
        raise DataError(
            f"scores {scores.shape}, labels {labels.shape} and weights {weights.shape} must be "
            "three rows of one length"
        )
    if len(scores) == 0:
        raise DataError("no users to measure a ranking on")
    if not np.isfinite(scores).all():
        raise DataError(f"{int((~np.isfinite(scores)).sum())} scores are NaN or infinite")
    if not np.isin(labels, (0.0, 1.0)).all():
        raise DataError("labels must be 0 or 1")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise DataError("weights must be finite and not negative")


def _roc_auc(groups: Groups) -> Floats:
    above = np.cumsum(groups.positives, axis=-1) - groups.positives
    won = (groups.negatives * (above + groups.positives / 2)).sum(axis=-1)
    pairs = groups.positives.sum(axis=-1) * groups.negatives.sum(axis=-1)
    return _ratio(won, pairs)


def _average_precision(groups: Groups) -> Floats:
    found = np.cumsum(groups.positives, axis=-1)
    seen = np.cumsum(groups.sizes, axis=-1)
    gained = (groups.positives * _ratio(found, seen, empty=0.0)).sum(axis=-1)
    return _ratio(gained, groups.positives.sum(axis=-1))


def _found_at(groups: Groups, k: float) -> tuple[Floats, Floats]:
    """Return positives expected in the top k, and how many users that is.

    Among users tied across the cut, each is equally likely to be taken: of a group of m users
    with p positives, r places give p · r / m positives on average.
    """
    sizes = groups.sizes
    total = sizes.sum(axis=-1)
    places = _places(total, k)
    before = np.cumsum(sizes, axis=-1) - sizes
    taken = np.clip(places[..., None] - before, 0, sizes)
    found = (groups.positives * _ratio(taken, sizes, empty=0.0)).sum(axis=-1)
    return found, places


def _precision(groups: Groups, k: float) -> Floats:
    found, places = _found_at(groups, k)
    return _ratio(found, places)


def _lift(groups: Groups, k: float) -> Floats:
    base = _ratio(groups.positives.sum(axis=-1), groups.sizes.sum(axis=-1))
    return _ratio(_precision(groups, k), base)


def _recall(groups: Groups, k: float) -> Floats:
    found, _ = _found_at(groups, k)
    return _ratio(found, groups.positives.sum(axis=-1))


def _ndcg(groups: Groups, k: float) -> Floats:
    sizes = groups.sizes
    places = _places(sizes.sum(axis=-1), k).astype(np.int64)
    gains = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, places.max() + 2)))])
    ends = np.cumsum(sizes, axis=-1)
    reached = gains[np.minimum(ends, places[..., None]).astype(np.int64)]
    within = np.diff(reached, axis=-1, prepend=0.0)
    gained = (groups.positives * _ratio(within, sizes, empty=0.0)).sum(axis=-1)
    most = np.minimum(groups.positives.sum(axis=-1), places).astype(np.int64)
    return _ratio(gained, gains[most])


def _places(total: Floats, k: float) -> Floats:
    """Return how many users the top k are: a share is rounded up to whole users."""
    found: Floats = np.minimum(np.ceil(k * total - 1e-9), total) if k < 1 else np.minimum(k, total)
    return found


def _ratio(above: Floats, below: Floats, empty: float = np.nan) -> Floats:
    result = np.full(np.broadcast(above, below).shape, empty)
    np.divide(above, below, out=result, where=below > 0)
    return result


def roc_auc(score: ArrayLike, label: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return the area under the ROC curve: the probability that a positive outranks a negative.

    Ties count half (the Mann-Whitney statistic). Arguments and errors: see `group_by_score`.

    >>> roc_auc([0.9, 0.8, 0.8, 0.1], [1, 1, 0, 0])
    0.875
    """
    return float(_roc_auc(group_by_score(score, label, weight)))


def average_precision(score: ArrayLike, label: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return average precision: the sum over thresholds of recall gained times precision.

    >>> average_precision([3, 2, 1], [1, 0, 1])
    0.8333333333333333
    """
    return float(_average_precision(group_by_score(score, label, weight)))


def precision_at(
    score: ArrayLike, label: ArrayLike, k: float, weight: ArrayLike | None = None
) -> float:
    """Return the share of positives among the top k: a share of users below 1, else a count.

    A share of n users is rounded up to whole users. Users tied across the cut count by how likely
    each is taken. Raises DataError when k is not above 0.

    >>> precision_at([5, 4, 4, 1], [1, 1, 0, 0], 0.5)
    0.75
    """
    return float(_precision(group_by_score(score, label, weight), _checked_k(k)))


def lift_at(score: ArrayLike, label: ArrayLike, k: float, weight: ArrayLike | None = None) -> float:
    """Return precision at k over the share of positives overall.

    >>> lift_at([4, 3, 2, 1], [1, 0, 0, 0], 0.25)
    4.0
    """
    return float(_lift(group_by_score(score, label, weight), _checked_k(k)))


def recall_at(
    score: ArrayLike, label: ArrayLike, k: float, weight: ArrayLike | None = None
) -> float:
    """Return the share of all positives that stand in the top k.

    >>> recall_at([4, 3, 2, 1], [1, 0, 1, 0], 0.25)
    0.5
    """
    return float(_recall(group_by_score(score, label, weight), _checked_k(k)))


def ndcg_at(score: ArrayLike, label: ArrayLike, k: float) -> float:
    """Return the discounted gain of the top k over the best possible (Järvelin & Kekäläinen 2002).

    A positive at rank i gains 1 / log2(i + 1); users tied share the gains of their ranks.

    >>> ndcg_at([3, 2, 1, 0], [1, 0, 0, 0], 2)
    1.0
    """
    return float(_ndcg(group_by_score(score, label), _checked_k(k)))


def metrics_of_groups(groups: Groups, k: float) -> dict[str, Floats]:
    """Return every ranking metric of counted groups, each of shape (...), by its name.

    k: of lift, precision and NDCG. NaN where there is one class only.
    """
    found = {
        "roc_auc": _roc_auc(groups),
        "average_precision": _average_precision(groups),
        "lift": _lift(groups, k),
        "precision": _precision(groups, k),
        "ndcg": _ndcg(groups, k),
    }
    one_class = np.isnan(found["roc_auc"])
    return {name: np.where(one_class, np.nan, values) for name, values in found.items()}


def metrics_at(ks: Sequence[float]) -> dict[str, Callable[[Groups], Floats]]:
    """Return lift and precision at each k as functions of counted groups, by their names.

    ks: shares of users (below 1) or counts. Raises DataError when one is not above 0.

    >>> list(metrics_at([0.05, 30]))
    ['lift_at_5pct', 'lift_at_30', 'precision_at_5pct', 'precision_at_30']
    """
    measures: dict[str, Callable[[Groups], Floats]] = {}
    for name, measure in (("lift", _lift), ("precision", _precision)):
        for k in map(_checked_k, ks):
            at = f"{100 * k:g}pct" if k < 1 else f"{k:g}"
            measures[f"{name}_at_{at}"] = partial(measure, k=k)
    return measures


def _checked_k(k: float) -> float:
    if not k > 0:
        raise DataError(f"k = {k}: must be above 0, a share such as 0.1 or a count of users")
    return k
