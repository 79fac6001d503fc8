"""The scorecard: a sum of named terms, exact to the hundredth of a point."""

from __future__ import annotations

import numpy as np

from ..scorer import Contributions, FeatureTable, Scale
from ..spec.scorecard import FULL_SCORE, HUNDREDTHS, ScorecardSpec
from ..types import Floats, Integers
from .transforms import points_of, points_sql, shares

CLIPPING = "clipping"
_FULL = round(FULL_SCORE * HUNDREDTHS)


class Scorecard:
    """Scores users by the terms of a spec; a group counts at most its cap, the sum 0 to 100.

    What a cap or the 0..100 range takes away or adds is a contribution of its own (named after
    the group, or "clipping"), so that contributions always sum to the score.

    >>> import pyarrow as pa
    >>> from whyrank.published.snapshot import Snapshot
    >>> from whyrank.spec.scorecard import ScorecardSpec
    >>> term = {"name": "visits", "feature": "sessions", "points": 100, "transform": "linear",
    ...         "cap": 4, "reason": "came {value} times"}
    >>> scorecard = Scorecard(ScorecardSpec.model_validate({"terms": [term]}))
    >>> scorecard.score(Snapshot(pa.table({"sessions": [0, 1, 9]}))).tolist()
    [0.0, 25.0, 100.0]
    """

    name = "scorecard"
    scale: Scale = "points"

    def __init__(self, spec: ScorecardSpec) -> None:
        self.spec = spec

    @property
    def features(self) -> tuple[str, ...]:
        """The features that terms read."""
        return tuple(dict.fromkeys(term.feature for term in self.spec.terms))

    def score_hundredths(self, table: FeatureTable) -> Integers:
        """Return scores in whole hundredths of a point, shape (n,), int64 from 0 to 10,000."""
        total = np.zeros(len(table), dtype=np.int64)
        grouped: dict[str, Integers] = {}
        for term in self.spec.terms:
            points = points_of(term, shares(term, table))
            if term.group is None:
                total += points
            elif term.group in grouped:
                grouped[term.group] += points
            else:
                grouped[term.group] = points
        for group, points in grouped.items():
            total += np.minimum(points, self._cap(group))
        return np.clip(total, 0, _FULL)

    def score(self, table: FeatureTable) -> Floats:
        """Return scores in points, shape (n,), 0 to 100."""
        return self.score_hundredths(table) / HUNDREDTHS

    def contributions(self, table: FeatureTable) -> Contributions:
        """Return hundredths of points by term, then by group cap, then clipping: (n, k) int64."""
        terms = [points_of(term, shares(term, table)) for term in self.spec.terms]
        columns = list(terms)
        for group in self.spec.groups:
            members = [
                points
                for term, points in zip(self.spec.terms, terms, strict=True)
                if term.group == group
            ]
            together = np.sum(members, axis=0, dtype=np.int64) if members else np.int64(0)
            columns.append(
                np.broadcast_to(np.minimum(self._cap(group) - together, 0), (len(table),))
            )
        total = np.sum(columns, axis=0, dtype=np.int64)
        columns.append(np.clip(total, 0, _FULL) - total)
        names = (*(term.name for term in self.spec.terms), *self.spec.groups, CLIPPING)
        return Contributions(names, np.column_stack(columns), 0.0, self.scale)

    def sql(self) -> str:
        """Return the score in points as one SQL expression over a row of features.

        The expression is exact: it gives the same hundredths as `score`.
        """
        return f"cast({self.sql_hundredths()} as double) / {HUNDREDTHS}"

    def sql_hundredths(self) -> str:
        """Return the score in whole hundredths of a point as one SQL expression."""
        parts = [points_sql(term) for term in self.spec.terms if term.group is None]
        for group in self.spec.groups:
            members = [points_sql(term) for term in self.spec.terms if term.group == group]
            if members:
                parts.append(f"least({' + '.join(members)}, {self._cap(group)})")
        return f"least(greatest({' + '.join(parts)}, 0), {_FULL})"

    def _cap(self, group: str) -> int:
        return round(self.spec.groups[group].cap * HUNDREDTHS)
