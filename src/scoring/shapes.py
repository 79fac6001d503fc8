"""The shapes that a scorecard's term may take: round caps and half-lives along a feature's values.

Every shape is what a person could have written: one of the transforms of a spec, with a number
that has one or two digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from ..scorer import FeatureTable
from ..spec.model import FeatureSpec
from ..spec.scorecard import TermSpec
from ..types import Floats

ROUND = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
_DAYS = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 21.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 365.0)
_CAPS = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)  # quantiles of values above zero
_HALVES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9)


def shapes_of(
    feature: FeatureSpec,
    table: FeatureTable,
    directions: Iterable[int],
    *,
    costs: bool = False,
) -> list[TermSpec]:
    """Return the shapes of a numeric feature, as terms of one point, or of minus one.

    directions: +1 where more of the feature may raise a score, -1 where it may lower it. Rising
    shapes are flag, linear and log; falling ones a half-life, and the rising ones at a cost where
    most users have none of the feature: what costs most users points would leave their scores at
    zero. costs: have these in any case. A feature that takes a single value has none.
    """
    values = table.numeric(feature.name)
    known = np.maximum(values[np.isfinite(values)], 0.0)
    above = known[known > 0]
    if not len(above) or known.min() == known.max():
        return []
    days = feature.unit.startswith("day")
    caps = rounded(np.quantile(above, _CAPS), days=days)
    found: list[TermSpec] = []
    for direction in directions:
        if direction < 0:
            halves = rounded(np.quantile(above, _HALVES), days=days)
            found += [_term(feature, 1, "half_life", half_life=half) for half in halves]
            if len(above) > len(values) / 2 and not costs:
                continue
        found += [_term(feature, direction, "linear", cap=cap) for cap in caps]
        found += [_term(feature, direction, "log", cap=cap) for cap in caps if cap > 1]
        if len(above) < len(known):
            found.append(_term(feature, direction, "flag"))
    return found


def rounded(values: Floats, *, days: bool = False) -> list[float]:
    """Return the round numbers nearest to values above zero, in order, each once.

    days: among those that people count days in.

    >>> rounded(np.array([0.83, 2.2, 2.4, 47.0]))
    [0.8, 2.0, 50.0]
    >>> rounded(np.array([5.5, 27.0]), days=True)
    [5.0, 30.0]
    """
    found = set()
    for value in values:
        power = 10.0 ** np.floor(np.log10(value))
        ladder = _DAYS if days else [float(f"{step * power:.3g}") for step in (*ROUND, 10.0)]
        found.add(min(ladder, key=lambda step: abs(np.log(step / value))))
    return sorted(found)


def reason_of(feature: FeatureSpec) -> str:
    """Return a reason for a new term of a feature, from how the spec describes it.

    >>> reason_of(FeatureSpec(name="logins_30d", op="count", unit="logins",
    ...                       description="Logins in the last 30 days."))
    'logins in the last 30 days: {value}'
    """
    said = re.sub(r"[\[\]{}|]", " ", feature.description).strip().rstrip(".")
    said = said[:1].lower() + said[1:] if said[1:2].islower() else said
    if feature.type == "boolean" or feature.unit == "flag":
        return said
    return f"{said}: {{value:%}}" if feature.unit == "share" else f"{said}: {{value}}"


def _term(feature: FeatureSpec, points: int, transform: str, **params: float) -> TermSpec:
    return TermSpec.model_validate(
        {"name": feature.name, "feature": feature.name, "points": points, "transform": transform,
         "reason": reason_of(feature), **params}
    )  # fmt: skip


def direction_of(term: TermSpec) -> int:
    """Return +1 where more of its feature raises a score, -1 where it lowers it; 0 for a map."""
    if term.transform == "map":
        return 0
    return (1 if term.points > 0 else -1) * (-1 if term.transform == "half_life" else 1)


def same_shape(first: TermSpec, second: TermSpec) -> bool:
    """Return whether two terms bend the same feature in the same way."""
    keys: Sequence[str] = ("feature", "transform", "cap", "half_life", "map", "other")
    return all(getattr(first, key) == getattr(second, key) for key in keys)


def shape_text(term: TermSpec) -> str:
    """Write a term's shape.

    >>> shape_text(TermSpec(name="t", feature="f", points=3, transform="log", cap=10, reason="r"))
    'log to 10'
    """
    if term.transform == "half_life":
        return f"half-life {term.half_life:g}"
    return term.transform if term.cap is None else f"{term.transform} to {term.cap:g}"
