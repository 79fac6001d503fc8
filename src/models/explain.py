"""A learned scorer's contributions; those that are large and stable become reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..scorer import Contributions, FeatureTable, ModelReason
from ..spec.model import FeatureSpec
from ..stats.platt import Calibrator
from ..types import Floats
from .encoding import Matrix
from .learned import LearnedScorer
from .words import counted, part_words

MOVED = 0.02  # the least share of all absolute contributions for a reason
PERTURBATIONS = 8
_SEED = 20_180_601
NUDGE = 0.01  # the relative perturbation of a value that is not a whole number


@dataclass(frozen=True)
class Explained:
    """Some users' contributions to the log-odds of their probability.

    Attributes:
        parts: The k parts that are explained, each with its features: a group of features, or a
            feature in no group.
        raw_contributions: Contributions to the raw score, by feature, (n, features).
        stable: Whether a contribution may be given as a reason, bool (n, k): it is large enough and
            keeps its sign under every perturbation.
        calibrator: The map from raw scores to probabilities.
    """

    parts: Mapping[str, tuple[str, ...]]
    raw_contributions: Contributions
    stable: NDArray[np.bool_]
    calibrator: Calibrator

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in the order of `by_feature`."""
        return self.raw_contributions.names

    @cached_property
    def raw_values(self) -> Floats:
        """Each part's contribution to the raw score, (n, k)."""
        values = np.asarray(self.raw_contributions.values, dtype=np.float64)
        return by_part(values, self.names, self.parts)

    @cached_property
    def by_feature(self) -> Floats:
        """Each feature's contribution to the log-odds of the probability, (n, features)."""
        calibrated = self.calibrator.calibrated(self.raw_contributions)
        return np.asarray(calibrated.values, dtype=np.float64)

    @cached_property
    def values(self) -> Floats:
        """Each part's contribution to the log-odds of the probability, (n, k)."""
        return by_part(self.by_feature, self.names, self.parts)

    @property
    def base(self) -> float:
        """The log-odds to which contributions are added."""
        return self.calibrator.calibrated(self.raw_contributions).base

    @cached_property
    def log_odds(self) -> Floats:
        """The base and all contributions: the logit of the probability, (n,)."""
        found: Floats = self.base + self.by_feature.sum(axis=1)
        return found


def explain_rows(
    scorer: LearnedScorer, table: FeatureTable, groups: Mapping[str, Sequence[str]]
) -> Explained:
    """Return the contributions of a few users, and which of them may be given as reasons.

    A contribution may be given as a reason if it is large enough and keeps its sign when values are
    perturbed PERTURBATIONS times. Whole numbers, which are counts or days, are perturbed by one,
    others by a hundredth of themselves. Zero stays zero, and one does not become zero: the step
    between never and once is not small, but all that such a reason says. Categories are not
    perturbed. Perturbations are always the same, so that a user's reasons do not depend on which
    other users are explained.

    A contribution whose sign changes at one perturbation in q is given with probability
    (1 - 1/q)^PERTURBATIONS: 0.4% at every second, 34% at every eighth. `stability` measures how
    many such reasons remain.

    Args:
        scorer: The learned scorer.
        table: The users' features.
        groups: Groups of features whose contributions are summed, because correlated features share
            an effect. A feature in no group is explained by itself.

    Raises:
        DataError: The scorer has no contributions.
    """
    found = scorer.contributions(table)
    parts = parts_of(found.names, groups)
    values = by_part(np.asarray(found.values, dtype=np.float64), found.names, parts)
    whole = np.abs(values).sum(axis=1, keepdims=True)
    stable = np.abs(values) >= MOVED * np.maximum(whole, 1e-12)
    matrix = scorer.encoding.matrix(table)
    for copy in perturbed(matrix, len(scorer.encoding.numeric)):
        again = scorer.model.contributions(copy)
        if again is not None:
            stable &= np.sign(by_part(again[0], found.names, parts)) == np.sign(values)
    return Explained(parts, found, stable, scorer.calibrator)


def parts_of(
    names: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Return the parts that a scorer's features are explained as: groups, and features in none.

    A group has the position of its first feature, and only the features that the scorer reads.

    >>> parts_of(["a", "b", "c"], {"outer": ["c", "a", "z"]})
    {'outer': ('a', 'c'), 'b': ('b',)}
    """
    home = {member: group for group, members in groups.items() for member in members}
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        part = home.get(name, name)
        found[part] = (*found.get(part, ()), name)
    return found


def by_part(values: Floats, names: Sequence[str], parts: Mapping[str, Sequence[str]]) -> Floats:
    """Sum contributions, (n, features), by part: shape (n, parts).

    >>> by_part(np.array([[1.0, 2.0, 4.0]]), ["a", "b", "c"], {"ab": ["a", "b"], "c": ["c"]})
    array([[3., 4.]])
    """
    places = {name: place for place, name in enumerate(names)}
    found: Floats = np.column_stack(
        [values[:, [places[name] for name in members]].sum(axis=1) for members in parts.values()]
    )
    return found


def words_of(
    explained: Explained,
    rows: Sequence[Mapping[str, object]],
    features: Sequence[FeatureSpec],
    sentences: Sequence[Mapping[str, str]],
) -> list[dict[str, str]]:
    """Return, in words, what was observed of each user, by part.

    Args:
        explained: The users' contributions.
        rows: The same users' features, in the same order.
        features: The features of the spec.
        sentences: The same users' scorecard reasons, by feature.
    """
    by_name = {feature.name: feature for feature in features}
    counts = {name: counted(by_name[name]) for name in explained.names}
    found = []
    by_user = explained.raw_contributions.values.tolist()
    for values, row, said in zip(by_user, rows, sentences, strict=True):
        moved = dict(zip(explained.names, values, strict=True))
        found.append(
            {
                part: part_words({n: moved[n] for n in members}, by_name, counts, row, said)
                for part, members in explained.parts.items()
            }
        )
    return found


def model_reasons(
    explained: Explained, words: Sequence[Mapping[str, str]]
) -> list[list[ModelReason]]:
    """Return each user's reasons, the largest contribution first.

    Order and direction are those of the raw score, by which users are ranked.

    Args:
        explained: The users' contributions.
        words: What was observed of each user, by part, from `words_of`.
    """
    parts = list(explained.parts)
    order = np.argsort(-np.abs(explained.raw_values), axis=1, kind="stable")
    return [
        [
            ModelReason(
                parts[k],
                words[place][parts[k]],
                float(explained.values[place, k]),
                raises=bool(explained.raw_values[place, k] > 0),
            )
            for k in ordered
            if explained.stable[place, k]
        ]
        for place, ordered in enumerate(order.tolist())
    ]


def agreement(
    points: Mapping[str, float], log_odds: Mapping[str, float], mean_points: Mapping[str, float]
) -> float | None:
    """Return the rank correlation of one user's points and log-odds, by feature; -1 to 1.

    Log-odds measure a user's distance from the average user. Points, which seldom fall below zero,
    do not, so the mean is subtracted from them first. A feature that only one of the two reads
    counts as zero in the other.

    Args:
        points: The user's points on the scorecard, by feature.
        log_odds: The user's log-odds in the model, by feature.
        mean_points: Users' points on average, by feature.

    Returns:
        The correlation, or None when points or log-odds are constant, or features too few.

    >>> agreement({"a": 30.0, "b": 5.0, "c": 0.0}, {"a": 1.2, "b": 0.1, "c": -0.3}, {"c": 2.0})
    1.0
    """
    from scipy.stats import rankdata

    names = sorted({*points, *log_odds, *mean_points})
    left = np.array([points.get(name, 0.0) - mean_points.get(name, 0.0) for name in names])
    right = np.array([log_odds.get(name, 0.0) for name in names])
    if len(names) < 3 or np.ptp(left) == 0 or np.ptp(right) == 0:  # noqa: PLR2004 - no ranks in two
        return None
    return float(np.round(np.corrcoef(rankdata(left), rankdata(right))[0, 1], 6))


def perturbed(
    matrix: Matrix, numeric: int, rng: np.random.Generator | None = None
) -> Sequence[Matrix]:
    """Return PERTURBATIONS copies of a matrix with its numeric columns perturbed.

    Args:
        matrix: The features, numeric columns first.
        numeric: The number of numeric columns.
        rng: Draws the directions. When None they are always the same, as for reasons.
    """
    rng = np.random.default_rng(_SEED) if rng is None else rng
    values = np.nan_to_num(matrix[:, :numeric])
    whole = values == np.round(values)
    step = np.where(whole, np.where(values == 0, 0.0, 1.0), NUDGE * values)
    copies = []
    for _ in range(PERTURBATIONS):
        signs = rng.choice([-1.0, 1.0], size=numeric)  # of a column, the same for every user
        moved = values + step * signs
        moved = np.where(whole & (np.abs(moved) < 1), values, moved)
        copy = matrix.copy()
        copy[:, :numeric] += (moved - values).astype(np.float32)
        copies.append(copy)
    return copies
