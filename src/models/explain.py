"""A learned scorer's contributions: shown are those that moved the score and are stable."""

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

MOVED = 0.02  # of all that moved a score, in absolute log-odds: less is no reason
PERTURBATIONS = 8
_SEED = 20_180_601
NUDGE = 0.01  # of a value that is no whole number; those are counts or days, and move by one


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
    """Return contributions of a few users, and which of them are fit to be said.

    groups: features whose contributions are added up, since correlated features share one effect
    and their sum says more than each by itself; features in none stand for themselves. Values are
    perturbed PERTURBATIONS times, always the same way, so that a user's reasons do not depend on
    which other users are explained: whole numbers, which are counts or days, by one, others by a
    hundredth of themselves. Zero stays zero and one does not become it: between never and once lies
    no small step but all that such a reason says. Categories have no near neighbours either. A
    contribution whose sign turns at one perturbation in q is shown with probability
    (1 - 1/q)^PERTURBATIONS: 0.4% at every second, 34% at every eighth; `stability` measures what
    remains.

    Raises DataError for a scorer without contributions.
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
    """Return what a scorer's features are explained as: groups, and features in none.

    A group takes the place of its first feature; features that the scorer does not read are left
    out of it.

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
    """Return contributions (n, features) added up by part, shape (n, parts).

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
    """Return in words what was seen of each user, by part.

    rows, sentences: the same users' features, and what the scorecard says of them by feature, in
    the same order.
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
    """Return each user's reasons, what moved the score most first; words: by part, as `words_of`.

    Order and direction are those of the raw score, by which users are ranked.
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
    matrix: Matrix, numbers: int, rng: np.random.Generator | None = None
) -> Sequence[Matrix]:
    """Return PERTURBATIONS copies of a matrix whose first columns, the numbers, are moved a little.

    rng: of the directions; always the same ones when None, by which reasons are chosen.
    """
    rng = np.random.default_rng(_SEED) if rng is None else rng
    values = np.nan_to_num(matrix[:, :numbers])
    whole = values == np.round(values)
    step = np.where(whole, np.where(values == 0, 0.0, 1.0), NUDGE * values)
    copies = []
    for _ in range(PERTURBATIONS):
        signs = rng.choice([-1.0, 1.0], size=numbers)  # of a column, the same for every user
        moved = values + step * signs
        moved = np.where(whole & (np.abs(moved) < 1), values, moved)
        copy = matrix.copy()
        copy[:, :numbers] += (moved - values).astype(np.float32)
        copies.append(copy)
    return copies
