"""The scorecard's reasons in words, with the user's own values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import SpecError
from ..scorer import Contributions, FeatureTable, Reason
from ..spec.scorecard import HUNDREDTHS, ScorecardSpec
from .transforms import points_of, shares

_CHOICE = re.compile(r"\[([^\[\]|]*)\|([^\[\]|]*)\]")
_PLACE = re.compile(r"\{([a-z][a-z0-9_]*)(:%)?\}")
_CLIPPED = "kept within 0 to 100"


def fill_reason(template: str, feature: str, row: Mapping[str, object]) -> str:
    """Fill a reason's template with a user's features.

    {value} is the term's own feature, {other} another one, {value:%} a share as a per cent;
    [one|many] takes `one` when the value is 1.

    >>> fill_reason("viewed pricing [once|{value} times]", "views", {"views": 6})
    'viewed pricing 6 times'
    >>> fill_reason("{value:%} of sessions are a single event", "bounces", {"bounces": 0.25})
    '25% of sessions are a single event'
    """
    value = row.get(feature)
    chosen = _CHOICE.sub(lambda match: match[1] if value == 1 else match[2], template)

    def filled(match: re.Match[str]) -> str:
        name = feature if match[1] == "value" else match[1]
        if name not in row:
            raise SpecError(f"reason {template!r}: {{{match[1]}}} is neither value nor a feature")
        return _written(row[name], per_cent=match[2] is not None)

    return _PLACE.sub(filled, chosen)


def placeholders(template: str) -> set[str]:
    """Return the names of other features that a template uses.

    >>> sorted(placeholders("{value} of {sessions} sessions"))
    ['sessions']
    """
    return {match[1] for match in _PLACE.finditer(template)} - {"value"}


def _written(value: object, *, per_cent: bool) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    number = float(value) * 100 if per_cent else float(value)
    if not math.isfinite(number):
        return "unknown"
    text = f"{number:,.0f}" if number == round(number) or per_cent else f"{number:,.1f}"
    return f"{text}%" if per_cent else text


def scorecard_reasons(
    spec: ScorecardSpec, contributions: Contributions, rows: list[dict[str, object]]
) -> list[list[Reason]]:
    """Return each user's reasons, largest first; their points add up to the score.

    Parts that contribute nothing are left out.

    Args:
        spec: The scorecard.
        contributions: The users' points by part.
        rows: The same users' features, in the same order.
    """
    templates = {term.name: (term.reason, term.feature) for term in spec.terms}
    templates |= {name: (group.reason, "") for name, group in spec.groups.items()}
    found: list[list[Reason]] = []
    for row, values in zip(rows, contributions.values, strict=True):
        order = np.argsort(-np.abs(values), kind="stable")
        found.append(
            [
                Reason(
                    contributions.names[part],
                    fill_reason(*templates.get(contributions.names[part], (_CLIPPED, "")), row),
                    float(values[part]) / HUNDREDTHS,
                )
                for part in order
                if values[part] != 0
            ]
        )
    return found


def sentences(
    spec: ScorecardSpec, table: FeatureTable, rows: Sequence[Mapping[str, object]]
) -> list[dict[str, str]]:
    """Return each user's reasons by feature, in words without points.

    A feature's reason is that of its term with the most points. A term without points gives none.

    Args:
        spec: The scorecard.
        table: The users' features.
        rows: The same users' features, in the same order. Terms whose features are missing here
            give no reason.
    """
    found: list[dict[str, str]] = [{} for _ in rows]
    most: list[dict[str, int]] = [{} for _ in rows]
    known = set(rows[0]) if rows else set()
    for term in spec.terms:
        if not {term.feature, *placeholders(term.reason)} <= known:
            continue
        for place, points in enumerate(np.abs(points_of(term, shares(term, table))).tolist()):
            if points > most[place].get(term.feature, 0):
                most[place][term.feature] = points
                found[place][term.feature] = fill_reason(term.reason, term.feature, rows[place])
    return found
