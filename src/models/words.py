"""A learned scorer's contributions in words: what was observed of a user, without feature names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..spec.model import FeatureSpec

_COUNTS = ("count", "sessions", "active_days", "entity_count", "distinct")
_SINCE = {"days_since_first": "first", "days_since_last": "last"}
_MOST = 2  # features of a group that are named
_NEAR = 1 / 3  # of the group's largest contribution: less is left out
_APART = {"name", "window", "description", "unit", "null"}  # what windows of one count differ in


def feature_words(feature: FeatureSpec, value: object) -> str:
    """Return a user's value of a feature in words, by the feature's description and unit.

    >>> rate = FeatureSpec(
    ...     name="r", op="session_share", unit="share", description="Share of short sessions; x."
    ... )
    >>> feature_words(rate, 0.25), feature_words(rate, None)
    ('share of short sessions: 25%', 'share of short sessions: unknown')
    >>> paid = FeatureSpec(name="p", op="sum", unit="reais", description="Paid for all orders.")
    >>> feature_words(paid, 1234.5)
    'paid for all orders: 1,234.5 reais'
    >>> new = FeatureSpec(name="n", op="days_since_first", unit="days", description="x")
    >>> feature_words(new, 4), feature_words(new, 0)
    ('first seen 4 days ago', 'first seen within the last day')
    """
    known = isinstance(value, (int, float)) and np.isfinite(value)
    if feature.op in _SINCE and known:
        return f"{_SINCE[feature.op]} {_event(feature)} {_ago(int(value))}"  # type: ignore[call-overload] # known
    what = _described(feature)
    return f"{what}: {_written(feature, value, what)}"


def counted(feature: FeatureSpec) -> str:
    """Return what a feature counts or measures; the text is the same for all its windows."""
    return feature.model_dump_json(exclude=_APART)


def part_words(
    moved: Mapping[str, float],
    features: Mapping[str, FeatureSpec],
    counts: Mapping[str, str],
    row: Mapping[str, object],
    sentences: Mapping[str, str],
) -> str:
    """Return, in words, what was observed in a part, a feature or a group, for one user.

    Only features whose contribution has the sign of the part's sum are named, the largest first. Of
    features that differ only in their window, one is named.

    Args:
        moved: The contributions of the part's features.
        features: The features of the spec, by name.
        counts: What each feature counts, from `counted`; equal for those that differ only in their
            window.
        row: The user's features.
        sentences: The scorecard's reasons by feature. Other features are described by description,
            value and unit.
    """
    said = _told(moved, counts, sentences)
    return " and ".join(
        sentences.get(name) or feature_words(features[name], row.get(name)) for name in said
    )


def _told(
    moved: Mapping[str, float],
    counts: Mapping[str, str],
    sentences: Mapping[str, str],
) -> Sequence[str]:
    order = sorted(moved, key=lambda name: -abs(moved[name]))
    way = np.sign(sum(moved.values()))
    pushed = [name for name in order if np.sign(moved[name]) == way] or order[:1]
    least = _NEAR * abs(moved[pushed[0]])
    found: dict[str, str] = {}
    for name in pushed:
        if abs(moved[name]) < least:
            break
        count = counts[name]
        if count not in found or (found[count] not in sentences and name in sentences):
            found[count] = name
    return list(found.values())[:_MOST]


def _event(feature: FeatureSpec) -> str:
    return " or ".join(name.replace("_", " ") for name in feature.events) or "seen"


def _ago(days: int) -> str:
    if days == 0:
        return "within the last day"
    return "1 day ago" if days == 1 else f"{days:,} days ago"


def _described(feature: FeatureSpec) -> str:
    """Return a description's first clause as the beginning of a phrase."""
    what = feature.description
    for end in (";", "(", ":"):
        what = what.split(end, maxsplit=1)[0]
    what = what.strip().rstrip(".").replace("as_of", "this date") or feature.name.replace("_", " ")
    return what if what[1:2].isupper() else what[0].lower() + what[1:]


def _written(feature: FeatureSpec, value: object, what: str) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "unknown"
    if isinstance(value, bool) or feature.type == "boolean":
        return "yes" if value else "no"
    if not isinstance(value, (int, float)):
        return str(value)
    if feature.unit == "share":
        return f"{100 * value:.3g}%"
    number = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
    if feature.op in _COUNTS or feature.unit in {"count", "flag"} or feature.unit in what:
        return number
    return f"{number} {feature.unit}"
