"""Values that no feature can have: outside the range of the operation that makes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..scorer import FeatureTable
from ..spec.model import FeatureSpec

NOTHING_KNOWN = "every feature is null"
# Sums, means and expressions may be anything.
_AT_LEAST_ZERO = frozenset(
    ("count", "active_days", "days_since_last", "days_since_first", "sessions", "distinct",
     "entity_count")
)  # fmt: skip
_SHARES = frozenset(("share", "session_share", "entity_rate"))


def impossible_values(
    features: Sequence[FeatureSpec], table: FeatureTable, users: int
) -> list[list[str]]:
    """Return for each user what cannot be: a count below 0, a share above 1, nothing but nulls.

    A feature's own value for null is possible, whatever it is.
    """
    found: list[list[str]] = [[] for _ in range(users)]
    unknown = np.ones(users, dtype=np.bool_)
    for feature in features:
        if feature.type == "text":
            unknown &= table.categorical(feature.name)[0] < 0
            continue
        values = table.numeric(feature.name)
        unknown &= np.isnan(values)
        share = feature.op in _SHARES or feature.type == "boolean"
        if not share and feature.op not in _AT_LEAST_ZERO:
            continue
        below, above = values < 0, values > (1 if share else np.inf)
        own = values == feature.null if isinstance(feature.null, float) else False
        for row in np.flatnonzero((below | above) & ~np.asarray(own)):
            limit = "below 0" if below[row] else "above 1"
            found[row].append(f"{feature.name} = {values[row]:g} is {limit}")
    for row in np.flatnonzero(unknown):
        found[row].append(NOTHING_KNOWN)
    return found
