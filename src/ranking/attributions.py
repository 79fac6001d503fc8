"""One user's attributions: the points and log-odds of every feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..models.explain import Explained
from ..models.words import feature_words
from ..published.snapshot import Snapshot
from ..scorer import Attribution, Contributions, FeatureValue, Reason
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..spec.scorecard import HUNDREDTHS

_BACKGROUND_USERS = 1_000  # over whom points are averaged


def attributions(
    spec: Spec,
    contributions: Contributions,
    reasons: Sequence[Reason],
    explained: Explained,
    words: Mapping[str, str],
    row: Mapping[str, object],
    place: int,
) -> tuple[Attribution, ...]:
    """Return one user's points and log-odds by part, the largest in the model first.

    Points add up to the score. A cap on a group of terms, which belongs to no feature, is a part of
    its own.

    Args:
        spec: The spec.
        contributions: Several users' points.
        reasons: The user's scorecard reasons.
        explained: The same users' log-odds.
        words: What was observed of the user, in words, by part.
        row: The user's features.
        place: The user's position among the users of `contributions` and `explained`.
    """
    points = points_by_part(spec, contributions, explained.parts, place)
    texts = _texts_by_part(spec, reasons, explained.parts)
    log_odds = dict(zip(explained.parts, explained.values[place].tolist(), strict=True))
    raw_values = dict(zip(explained.parts, explained.raw_values[place].tolist(), strict=True))
    stable = dict(zip(explained.parts, explained.stable[place].tolist(), strict=True))
    features = _features_by_part(spec, contributions, explained, row, place)
    by_name = {feature.name: feature for feature in spec.features}
    found = []
    for part in dict.fromkeys([*log_odds, *points]):
        reason = "; ".join(texts.get(part, ()))
        observed = words.get(part) or reason
        if not observed and part in by_name:
            observed = feature_words(by_name[part], row.get(part))
        found.append(
            Attribution(
                part=part,
                observed=observed,
                points=points.get(part),
                reason=reason,
                log_odds=log_odds.get(part),
                stable=bool(stable.get(part, False)),
                raises=raw_values[part] > 0 if part in raw_values else None,
                features=tuple(features.get(part, ())),
            )
        )
    size = {part: abs(value) for part, value in raw_values.items()}
    return tuple(sorted(found, key=lambda i: (-size.get(i.part, 0), -abs(i.points or 0))))


def _features_by_part(
    spec: Spec,
    contributions: Contributions,
    explained: Explained,
    row: Mapping[str, object],
    place: int,
) -> dict[str, list[FeatureValue]]:
    """Return one user's features with their points and log-odds, by part."""
    terms = {term.name: term.feature for term in spec.scorecard.terms}
    points: dict[str, float] = {}
    for name, value in zip(contributions.names, contributions.values[place], strict=True):
        if name in terms:
            feature = terms[name]
            points[feature] = points.get(feature, 0.0) + float(value) / HUNDREDTHS
    log_odds = dict(zip(explained.names, explained.by_feature[place].tolist(), strict=True))
    part_of = part_by_feature(spec, explained.parts)
    units = {feature.name: feature.unit for feature in spec.features}
    found: dict[str, list[FeatureValue]] = {}
    for name in dict.fromkeys([*log_odds, *points]):
        one = FeatureValue(name, row.get(name), units[name], points.get(name), log_odds.get(name))
        found.setdefault(part_of.get(name, name), []).append(one)
    return found


def points_by_part(
    spec: Spec,
    contributions: Contributions,
    parts: Mapping[str, Sequence[str]],
    place: int,
) -> dict[str, float]:
    """Return one user's points by part, summed over all terms on the part's features.

    A feature that the model does not read and that is in no group is a part of its own. So is each
    adjustment that is no term (the cap of a group of terms, the limits 0 and 100), unless it is 0.
    """
    part_of = part_by_feature(spec, parts)
    terms = {term.name: term.feature for term in spec.scorecard.terms}
    found: dict[str, float] = {}
    for name, value in zip(contributions.names, contributions.values[place], strict=True):
        if name not in terms and value == 0:
            continue
        feature = terms.get(name, name)
        part = part_of.get(feature, feature)
        found[part] = found.get(part, 0.0) + float(value) / HUNDREDTHS
    return {part: float(np.round(value, 2)) for part, value in found.items()}


def average_points(
    spec: Spec, table: Snapshot, parts: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Return the mean points by part over at most a thousand users, spread evenly over a table.

    Only users in the population count, so that a user's agreement is the same in a list and in an
    explanation. A thousand users give a good enough mean, at the same cost for any population.
    """
    people = np.flatnonzero(table.numeric("in_population") > 0)
    if not len(people):
        people = np.arange(len(table))
    spread = np.linspace(0, len(people) - 1, min(len(people), _BACKGROUND_USERS)).astype(np.int64)
    places = people[np.unique(spread)]
    found = Scorecard(spec.scorecard).contributions(table.take(places))
    total: dict[str, float] = {}
    for place in range(len(places)):
        for part, points in points_by_part(spec, found, parts, place).items():
            total[part] = total.get(part, 0.0) + points
    return {part: points / len(places) for part, points in total.items()}


def _texts_by_part(
    spec: Spec, reasons: Sequence[Reason], parts: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    part_of = part_by_feature(spec, parts)
    terms = {term.name: term.feature for term in spec.scorecard.terms}
    found: dict[str, list[str]] = {}
    for reason in reasons:
        feature = terms.get(reason.part, reason.part)
        found.setdefault(part_of.get(feature, feature), []).append(reason.text)
    return found


def part_by_feature(spec: Spec, parts: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the part of every feature, including grouped ones that only the scorecard reads."""
    grouped = {
        name: group
        for group, members in spec.training.groups.items()
        if group in parts
        for name in members
    }
    return {**grouped, **{name: part for part, members in parts.items() for name in members}}
