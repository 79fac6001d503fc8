"""A learned scorer's contributions in words: only what moved the score, and stays when nudged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..scorer import FeatureTable, Floats, Reason
from ..spec.model import FeatureSpec
from .encoding import Matrix
from .learned import LearnedScorer

MOVED = 0.02  # of all that moved a score, in absolute log-odds: less is no reason
NUDGES = 8
_SEED = 20_180_601
NUDGE = 0.01  # of a value that is no whole number; those are counts or days, and move by one


@dataclass(frozen=True)
class Explained:
    """Some users' contributions: values (n, k) in log-odds, in the order of `parts`, and the base.

    parts: what is explained, a group of features or one in none, and its features. steady: bool
    (n, k): it moved the score, and kept its sign under every nudge.
    """

    parts: Mapping[str, tuple[str, ...]]
    values: Floats
    base: float
    steady: NDArray[np.bool_]


def explain_rows(
    scorer: LearnedScorer, table: FeatureTable, groups: Mapping[str, Sequence[str]]
) -> Explained:
    """Return contributions of a few users, and which of them are fit to be said.

    groups: features whose contributions are added up, since correlated features share one
    influence and their sum says more than each by itself; features in none stand for themselves.
    Values are nudged NUDGES times, always the same way, so that a user's reasons do not depend on
    who else is explained: whole numbers, which are counts or days, by one, others by a hundredth of
    themselves. Zero stays zero and one does not become it: between never and once lies no small
    step but all that such a reason says. Categories have no near neighbours either. A contribution
    that turns at one nudge in q is told with chance (1 - 1/q)^NUDGES: 0.4% at every second, 34% at
    every eighth; `stability` measures what remains.

    Raises DataError for a scorer without contributions.
    """
    found = scorer.contributions(table)
    parts = parts_of(found.names, groups)
    values = by_part(np.asarray(found.values, dtype=np.float64), found.names, parts)
    whole = np.abs(values).sum(axis=1, keepdims=True)
    steady = np.abs(values) >= MOVED * np.maximum(whole, 1e-12)
    matrix = scorer.encoding.matrix(table)
    for copy in nudged(matrix, len(scorer.encoding.numbers)):
        again = scorer.model.contributions(copy)
        if again is not None:
            steady &= np.sign(by_part(again[0], found.names, parts)) == np.sign(values)
    return Explained(parts, values, found.base, steady)


def parts_of(
    names: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Return what a scorer's features are explained as: groups, and features in none.

    A group stands where its first feature stands; features that the scorer does not read are left
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


def model_reasons(
    explained: Explained,
    rows: Sequence[Mapping[str, object]],
    features: Mapping[str, FeatureSpec],
) -> list[list[Reason]]:
    """Return each user's reasons, largest first, in log-odds.

    rows: the same users' features, in the same order.
    """
    names = list(explained.parts)
    found = []
    for row, values, steady in zip(rows, explained.values, explained.steady, strict=True):
        order = np.argsort(-np.abs(values), kind="stable")
        found.append(
            [
                Reason(part, part_in_words(part, members, features, row), float(values[place]))
                for place in order
                if steady[place]
                for part, members in [(names[place], explained.parts[names[place]])]
            ]
        )
    return found


def part_in_words(
    part: str,
    members: Sequence[str],
    features: Mapping[str, FeatureSpec],
    row: Mapping[str, object],
) -> str:
    """Say a part and a user's values of its features; a group is named before them."""
    said = ", ".join(in_words(features[name], row.get(name)) for name in members)
    return said if tuple(members) == (part,) else f"{part.replace('_', ' ')} ({said})"


def in_words(feature: FeatureSpec, value: object) -> str:
    """Say a feature and a user's value of it.

    >>> rate = FeatureSpec(name="bounce_rate", op="session_share", unit="share", description="x")
    >>> in_words(rate, 0.25), in_words(rate, None)
    ('bounce rate 25%', 'bounce rate unknown')
    >>> views = FeatureSpec(name="pricing_views", op="count", unit="views", description="x")
    >>> in_words(views, 3)
    'pricing views 3'
    """
    said = feature.name.replace("_", " ")
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return f"{said} unknown"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"{said} {value}"
    if feature.unit == "share":
        return f"{said} {100 * value:.3g}%"
    number = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
    return f"{said} {number}"


def agreement(
    points: Mapping[str, float], moved: Mapping[str, float], usual: Mapping[str, float]
) -> float | None:
    """Return the rank correlation of two accounts of one user, by feature; -1 to 1.

    points: a feature's points on the scorecard. moved: its log-odds in the model. usual: the
    points that users have on average. Log-odds tell a user from the average one, and points, which
    seldom fall below zero, from nobody: so it is the points beyond the usual that are compared. A
    feature that only one of them knows counts as zero in the other. None when either says nothing.

    >>> agreement({"a": 30.0, "b": 5.0, "c": 0.0}, {"a": 1.2, "b": 0.1, "c": -0.3}, {"c": 2.0})
    1.0
    """
    from scipy.stats import rankdata

    names = sorted({*points, *moved, *usual})
    left = np.array([points.get(name, 0.0) - usual.get(name, 0.0) for name in names])
    right = np.array([moved.get(name, 0.0) for name in names])
    if len(names) < 3 or np.ptp(left) == 0 or np.ptp(right) == 0:  # noqa: PLR2004 - no ranks in two
        return None
    return float(np.round(np.corrcoef(rankdata(left), rankdata(right))[0, 1], 6))


def nudged(
    matrix: Matrix, numbers: int, rng: np.random.Generator | None = None
) -> Sequence[Matrix]:
    """Return NUDGES copies of a matrix whose first columns, the numbers, are moved a little.

    rng: of the directions; always the same ones when None, by which reasons are chosen.
    """
    rng = np.random.default_rng(_SEED) if rng is None else rng
    values = np.nan_to_num(matrix[:, :numbers])
    whole = values == np.round(values)
    step = np.where(whole, np.where(values == 0, 0.0, 1.0), NUDGE * values)
    copies = []
    for _ in range(NUDGES):
        signs = rng.choice([-1.0, 1.0], size=numbers)  # of a column, the same for every user
        moved = values + step * signs
        moved = np.where(whole & (np.abs(moved) < 1), values, moved)
        copy = matrix.copy()
        copy[:, :numbers] += (moved - values).astype(np.float32)
        copies.append(copy)
    return copies
