"""Calibrate the scorecard's points: against what came, or against what a model learnt.

Both ways end in the same form: points whose positive part within reach totals 100, then whole
points near them. A term whose sign the data contradict keeps its sign and is reported: what a sign
means is for people to settle. Contradicted means that the interval, wide enough for all terms at
once and for users who stand in several snapshots, lies wholly on the other side of zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from ..errors import DataError
from ..scorer import FeatureTable
from ..spec.scorecard import FULL_SCORE, HUNDREDTHS, ScorecardSpec
from ..types import Floats
from .term_fit import fit_terms
from .transforms import MILLION, shares

Against = Literal["outcome", "importance"]
LEAST = 1.0  # point: a term of the spec keeps at least so much; dropping it is for people
LEVEL = 0.95  # of intervals that hold for all terms together, unless told
_FEWEST = 3  # groups of users, from which a spread can be told


@dataclass(frozen=True)
class Effect:
    """What a whole term does to the outcome, in log-odds: an estimate and its interval.

    low, high: of an interval that holds for all terms together, at the calibration's level;
    infinite where the data cannot tell. per_point: log-odds of one point of the proposal, before
    points are made whole.
    """

    log_odds: float
    low: float
    high: float
    per_point: float

    def points(self) -> tuple[float, float, float]:
        """Return estimate, low and high in points of the proposal.

        >>> Effect(log_odds=1.5, low=1.0, high=2.0, per_point=0.05).points()
        (30.0, 20.0, 40.0)
        """
        low, high = self.low / self.per_point, self.high / self.per_point
        return self.log_odds / self.per_point, low, high


@dataclass(frozen=True)
class TermCalibration:
    """One term before and after.

    old, new: points. importance: its share of XGBoost's mean |SHAP|, 0 to 1; own, own_new: its
    share of the scorecard's own mean |contribution|, before and after. effect: what the data say
    that the whole term does, whatever the sign of its points: its coefficient in a logistic fit
    without signs (outcome), or the slope of its SHAP values (importance). contradicted: all of the
    effect's interval has the other sign.
    """

    name: str
    old: float
    new: float
    importance: float
    own: float
    own_new: float
    effect: Effect
    contradicted: bool


@dataclass(frozen=True)
class WeightCalibration:
    """A proposal: every term before and after, the groups' caps, and the new scorecard.

    unrounded: the same with points in hundredths, as near as a scorecard comes to those wanted.
    level: of the effects' intervals.
    """

    against: Against
    terms: tuple[TermCalibration, ...]
    caps: Mapping[str, tuple[float, float]]
    proposed: ScorecardSpec
    unrounded: ScorecardSpec
    level: float = LEVEL


def term_shares(spec: ScorecardSpec, table: FeatureTable) -> Floats:
    """Return each term's share of its points, 0 to 1 in millionths, float64 (n, terms)."""
    return np.column_stack([shares(term, table) for term in spec.terms]) / MILLION


def calibrate_to_outcome(
    spec: ScorecardSpec,
    table: Floats,
    labels: NDArray[np.bool_],
    users: NDArray[np.int64],
    importance: Floats,
    *,
    level: float = LEVEL,
) -> WeightCalibration:
    """Propose points by a logistic fit of the terms whose signs are those of the spec.

    table: the terms' shares, (n, k). labels: bool (n,). users: who each row is, as integers, (n,).
    importance: each term's mean |SHAP| in a model of the same table, (k,), told beside. level: of
    the effects' intervals.

    Raises DataError when all labels are one class, when a fit does not converge, or when no term
    with points to give has the sign that the data say.
    """
    if labels.all() or not labels.any():
        raise DataError("calibration needs users of both classes; load more history")
    sign = _signs(spec)
    free = fit_terms(table, labels, users)
    bound = fit_terms(table, labels, users, sign)
    wide = float(norm.isf((1 - level) / 2 / len(sign))) * free.errors
    effect = np.column_stack(
        [free.coefficients, free.coefficients - wide, free.coefficients + wide]
    )
    told = np.isfinite(free.errors)
    found = _proposal("outcome", spec, table, bound.coefficients, told, importance, effect)
    return replace(found, level=level)


def calibrate_to_importance(
    spec: ScorecardSpec, table: Floats, values: Floats, slopes: Floats, *, level: float = LEVEL
) -> WeightCalibration:
    """Propose points whose own mean |contribution| has the shares of a model's mean |SHAP|.

    table: the terms' shares, (n, k). values: the model's SHAP values of the same terms, (n, k).
    slopes: `shap_slopes` of models of groups of users that have nobody in common, (groups, k):
    only such models tell how much of a slope is chance. With fewer than three nothing is
    contradicted. level: of the effects' intervals.

    A term's own mean |contribution| is its points times the mean distance of its share from the
    average one; so points are importance over that distance, not importance itself: a rare term
    that decides is worth much. A term whose SHAP values slope the other way wants no points.

    Raises DataError when no term with points to give has the sign that the data say.
    """
    sign = _signs(spec)
    importance = np.abs(values).mean(axis=0)
    spread = np.abs(table - table.mean(axis=0)).mean(axis=0)
    target = np.divide(importance, spread, out=np.zeros_like(spread), where=spread > 0) * sign
    slope = shap_slopes(table, values)
    wanted = np.where(slope * sign < 0, 0.0, target)
    effect = _mean_of_groups(slopes, slope, level)
    found = _proposal("importance", spec, table, wanted, spread > 0, importance, effect)
    return replace(found, level=level)


def shap_slopes(table: Floats, values: Floats) -> Floats:
    """Return the slope of each term's SHAP values along its share, (k,): which way it pulls."""
    away = table - table.mean(axis=0)
    below = (away**2).sum(axis=0)
    found: Floats = np.zeros_like(below)
    np.divide((away * values).sum(axis=0), below, out=found, where=below > 0)
    return found


def _mean_of_groups(slopes: Floats, slope: Floats, level: float) -> Floats:
    """Return mean slopes over independent groups and their intervals by Student's t, (k, 3).

    slope: of all users, (k,): the estimate where groups are too few for a spread.
    """
    groups, terms = len(slopes), len(slope)
    if groups < _FEWEST:
        return np.column_stack([slope, np.tile([-np.inf, np.inf], (terms, 1))])
    mean, error = slopes.mean(axis=0), slopes.std(axis=0, ddof=1) / np.sqrt(groups)
    silent = error == 0  # no model of any group made anything of it
    mean, error = np.where(silent, slope, mean), np.where(silent, np.inf, error)
    wide = float(t.isf((1 - level) / 2 / terms, groups - 1)) * error
    return np.column_stack([mean, mean - wide, mean + wide])


def _proposal(
    against: Against,
    spec: ScorecardSpec,
    table: Floats,
    wanted: Floats,
    told: NDArray[np.bool_],
    importance: Floats,
    effect: Floats,
) -> WeightCalibration:
    """Return the proposal.

    wanted: log-odds by term, (k,). told: whether the data tell them; otherwise points stay.
    effect: estimate, low, high, (k, 3).
    """
    sign = _signs(spec)
    if not (told & (sign > 0) & (wanted > 0)).any():
        raise DataError(
            "no term with points to give raises the outcome in these data: look at the signs of "
            f"the scorecard's terms ({', '.join(term.name for term in spec.terms)})"
        )
    proposed, unrounded, per_log_odds = _whole(spec, wanted, told)
    away = np.abs(table - table.mean(axis=0)).mean(axis=0)
    shared = _parts(importance)
    own, own_new = (
        _parts(away * np.abs([term.points for term in card.terms])) for card in (spec, proposed)
    )
    terms = tuple(
        TermCalibration(
            name=term.name,
            old=term.points,
            new=new.points,
            importance=float(shared[place]),
            own=float(own[place]),
            own_new=float(own_new[place]),
            effect=Effect(
                float(effect[place, 0]),
                float(effect[place, 1]),
                float(effect[place, 2]),
                1 / per_log_odds,
            ),
            contradicted=bool((effect[place, 1:] * sign[place] < 0).all()),
        )
        for place, (term, new) in enumerate(zip(spec.terms, proposed.terms, strict=True))
    )
    caps = {name: (group.cap, proposed.groups[name].cap) for name, group in spec.groups.items()}
    return WeightCalibration(against, terms, caps, proposed, unrounded)


def rescaled(card: ScorecardSpec) -> ScorecardSpec:
    """Return a scorecard whose points total 100, in hundredths, each the same multiple of today's.

    card: valid in all but its total. A term keeps at least one point. A card that totals 100 is
    returned as it is.

    Raises DataError when no positive points are within reach.

    >>> terms = [{"name": n, "feature": n, "points": p, "transform": "flag", "reason": "r"}
    ...          for n, p in (("a", 2), ("b", 1), ("c", -1))]
    >>> from whyrank.spec.scorecard import TermSpec
    >>> card = ScorecardSpec.model_construct(
    ...     terms=tuple(map(TermSpec.model_validate, terms)), groups={})
    >>> [term.points for term in rescaled(card).terms]
    [66.67, 33.33, -33.33]
    """
    if round(card.reachable() * HUNDREDTHS) == round(FULL_SCORE * HUNDREDTHS):
        return card
    if card.reachable() <= 0:
        raise DataError("no term has positive points: a score from 0 to 100 needs some")
    wanted = np.abs([term.points for term in card.terms])
    return _whole(card, wanted, np.ones(len(wanted), dtype=np.bool_))[1]


def _parts(sizes: Floats) -> Floats:
    """Return sizes, none below zero, as shares of their sum."""
    parts: Floats = sizes / max(float(sizes.sum()), 1e-12)
    return parts


def _signs(spec: ScorecardSpec) -> Floats:
    return np.sign([term.points for term in spec.terms])


def _whole(
    spec: ScorecardSpec, wanted: Floats, told: NDArray[np.bool_]
) -> tuple[ScorecardSpec, ScorecardSpec, float]:
    """Return the scorecard with whole points near the wanted ones, one in hundredths, and a scale.

    Both have exactly 100 within reach. The scale is points by unit of what is wanted.

    A group's cap follows its members: it stays the same share of their sum. Every term keeps its
    sign and at least one point, and at most 100; a term that the data do not tell keeps its points.
    """
    sign = _signs(spec)
    size = np.maximum(np.abs(wanted), 1e-9)
    kept = np.abs([term.points for term in spec.terms])

    def real(scale: float) -> Floats:
        return np.where(told, np.clip(size * scale, LEAST, FULL_SCORE), kept)

    low, high = 1e-9, 1e9
    for _ in range(200):  # bisection: what is within reach grows with the scale
        scale = (low * high) ** 0.5
        points = real(scale)
        reach = _reach_of(spec, points, _caps(spec, points, sign), sign)
        low, high = (scale, high) if reach < FULL_SCORE else (low, scale)
    points = real(high)
    caps = _caps(spec, points, sign)
    whole = _rounded(spec, points, caps, sign, 1)
    return whole, _rounded(spec, points, caps, sign, HUNDREDTHS), high


def _rounded(
    spec: ScorecardSpec, real: Floats, real_caps: Mapping[str, float], sign: Floats, parts: int
) -> ScorecardSpec:
    """Return the scorecard with points in whole parts of a point: 1, or a hundred."""
    wanted = real * parts
    points = np.maximum(np.round(wanted), LEAST * parts)
    caps = {name: max(1.0, round(cap * parts)) for name, cap in real_caps.items()}
    _settle(spec, points, caps, wanted, sign, parts)
    terms = [
        term.model_copy(update={"points": float(s * p) / parts})
        for term, s, p in zip(spec.terms, sign, points, strict=True)
    ]
    groups = {
        n: g.model_copy(update={"cap": float(caps[n]) / parts}) for n, g in spec.groups.items()
    }
    return ScorecardSpec.model_validate(
        {"terms": [term.model_dump() for term in terms],
         "groups": {name: group.model_dump() for name, group in groups.items()}}
    )  # fmt: skip


def _settle(
    spec: ScorecardSpec,
    points: Floats,
    caps: dict[str, float],
    wanted: Floats,
    sign: Floats,
    parts: int,
) -> None:
    """Move single parts of a point, in place, until exactly 100 points are within reach.

    Each step goes to the ungrouped term whose rounding is off the most (largest remainder); where
    no term is ungrouped, to a group's cap.
    """
    free = [
        place for place, term in enumerate(spec.terms) if term.group is None and sign[place] > 0
    ]
    for _ in range(1000 * parts):
        gap = round(FULL_SCORE * parts - _reach_of(spec, points, caps, sign))
        if gap == 0:
            return
        step = float(np.sign(gap))
        movable = [place for place in free if points[place] + step >= LEAST * parts]
        if movable:
            chosen = max(movable, key=lambda place: step * (wanted[place] - points[place]))
            points[chosen] += step
            continue
        name = next(iter(caps))
        caps[name] += step
        members = _members(spec, name, sign)
        while sum(points[place] for place in members) < caps[name]:
            points[members[0]] += 1
    raise DataError("no whole points within reach total 100; write them by hand")


def _caps(spec: ScorecardSpec, points: Floats, sign: Floats) -> dict[str, float]:
    found = {}
    for name, group in spec.groups.items():
        members = _members(spec, name, sign)
        before = sum(abs(spec.terms[place].points) for place in members)
        after = float(sum(points[place] for place in members))
        found[name] = after * min(1.0, group.cap / before) if before else group.cap
    return found


def _members(spec: ScorecardSpec, name: str, sign: Floats) -> Sequence[int]:
    return [p for p, term in enumerate(spec.terms) if term.group == name and sign[p] > 0]


def _reach_of(
    spec: ScorecardSpec, points: Floats, caps: Mapping[str, float], sign: Floats
) -> float:
    alone = sum(
        float(points[place])
        for place, term in enumerate(spec.terms)
        if term.group is None and sign[place] > 0
    )
    grouped = (
        min(caps[name], float(sum(points[place] for place in _members(spec, name, sign))))
        for name in spec.groups
    )
    return alone + sum(grouped)
