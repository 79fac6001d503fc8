"""Calibrate the scorecard's points: against what came, or against what a model learnt.

Both ways end in the same form: points whose positive part within reach totals 100, then whole
points near them. A term whose sign the data contradict keeps its sign and is reported: what a sign
means is for people to settle. Contradicted means that a 95% interval, wide enough for all terms at
once and for users who stand in several snapshots, lies wholly on the other side of zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm, t

from ..errors import DataError
from ..scorer import FeatureTable, Floats
from ..spec.scorecard import FULL_SCORE, HUNDREDTHS, ScorecardSpec
from .transforms import shares

Against = Literal["outcome", "importance"]
LEAST = 1.0  # point: a term of the spec keeps at least so much; dropping it is for people
_RIDGE = 1e-4
_LEVEL = 0.95
_FEWEST = 3  # groups of users, from which a spread can be told


@dataclass(frozen=True)
class TermCalibration:
    """One term before and after.

    importance: its share of XGBoost's mean |SHAP|, 0 to 1; own: its share of the scorecard's own
    mean |contribution|, before. effect: the interval of what the data say the whole term does, in
    log-odds: its coefficient in an unconstrained logistic fit (outcome), or the slope of its SHAP
    values (importance). contradicted: all of that interval has the other sign.
    """

    name: str
    old: float
    new: float
    importance: float
    own: float
    effect: tuple[float, float]
    contradicted: bool


@dataclass(frozen=True)
class WeightCalibration:
    """A proposal: every term before and after, the groups' caps, and the new scorecard.

    unrounded: the same with points in hundredths, as near as a scorecard comes to those wanted.
    """

    against: Against
    terms: tuple[TermCalibration, ...]
    caps: Mapping[str, tuple[float, float]]
    proposed: ScorecardSpec
    unrounded: ScorecardSpec


def term_shares(spec: ScorecardSpec, table: FeatureTable) -> Floats:
    """Return each term's share of its points, 0 to 1, shape (n, terms)."""
    return np.column_stack([shares(term, table) for term in spec.terms])


def calibrate_to_outcome(
    spec: ScorecardSpec,
    table: Floats,
    labels: NDArray[np.bool_],
    users: NDArray[np.int64],
    importance: Floats,
) -> WeightCalibration:
    """Propose points by a logistic fit of the terms whose signs are those of the spec.

    table: the terms' shares, (n, k). labels: bool (n,). users: who each row is, as integers, (n,).
    importance: each term's mean |SHAP| in a model of the same table, (k,), told beside.

    Raises DataError when all labels are one class.
    """
    if labels.all() or not labels.any():
        raise DataError("calibration needs users of both classes; load more history")
    sign = _signs(spec)
    free = _logistic(table, labels, None)
    bound = _logistic(table, labels, sign)[1:]
    errors = _clustered_errors(table, labels, users, free)
    wide = float(norm.isf((1 - _LEVEL) / 2 / len(sign))) * errors
    effect = np.column_stack([free[1:] - wide, free[1:] + wide])
    return _proposal("outcome", spec, table, bound, importance, effect)


def calibrate_to_importance(
    spec: ScorecardSpec, table: Floats, values: Floats, slopes: Floats
) -> WeightCalibration:
    """Propose points whose own mean |contribution| has the shares of a model's mean |SHAP|.

    table: the terms' shares, (n, k). values: the model's SHAP values of the same terms, (n, k).
    slopes: `shap_slopes` of models of groups of users that have nobody in common, (groups, k):
    only such models tell how much of a slope is chance. With fewer than three nothing is
    contradicted.

    A term's own mean |contribution| is its points times the mean distance of its share from the
    average one; so points are importance over that distance, not importance itself: a rare term
    that decides is worth much. A term whose SHAP values slope the other way wants no points.
    """
    sign = _signs(spec)
    importance = np.abs(values).mean(axis=0)
    spread = np.abs(table - table.mean(axis=0)).mean(axis=0)
    target = np.divide(importance, spread, out=np.zeros_like(spread), where=spread > 0) * sign
    wanted = np.where(shap_slopes(table, values) * sign < 0, 0.0, target)
    effect = _interval_of_groups(slopes, len(sign))
    return _proposal("importance", spec, table, wanted, importance, effect)


def shap_slopes(table: Floats, values: Floats) -> Floats:
    """Return the slope of each term's SHAP values along its share, (k,): which way it pulls."""
    away = table - table.mean(axis=0)
    below = (away**2).sum(axis=0)
    found: Floats = np.zeros_like(below)
    np.divide((away * values).sum(axis=0), below, out=found, where=below > 0)
    return found


def _interval_of_groups(slopes: Floats, terms: int) -> Floats:
    """Return the intervals of mean slopes over independent groups, (k, 2), by Student's t."""
    groups = len(slopes)
    if groups < _FEWEST:
        return np.tile([-np.inf, np.inf], (terms, 1))
    mean, error = slopes.mean(axis=0), slopes.std(axis=0, ddof=1) / np.sqrt(groups)
    wide = float(t.isf((1 - _LEVEL) / 2 / terms, groups - 1)) * error
    return np.column_stack([mean - wide, mean + wide])


def _proposal(
    against: Against,
    spec: ScorecardSpec,
    table: Floats,
    wanted: Floats,
    importance: Floats,
    effect: Floats,
) -> WeightCalibration:
    proposed, unrounded = _whole(spec, wanted)
    sign = _signs(spec)
    own = np.abs(table - table.mean(axis=0)).mean(axis=0) * np.abs(
        [term.points for term in spec.terms]
    )
    terms = tuple(
        TermCalibration(
            name=term.name,
            old=term.points,
            new=new.points,
            importance=float(importance[place] / max(importance.sum(), 1e-12)),
            own=float(own[place] / max(own.sum(), 1e-12)),
            effect=(float(effect[place, 0]), float(effect[place, 1])),
            contradicted=bool((effect[place] * sign[place] < 0).all()),
        )
        for place, (term, new) in enumerate(zip(spec.terms, proposed.terms, strict=True))
    )
    caps = {name: (group.cap, proposed.groups[name].cap) for name, group in spec.groups.items()}
    return WeightCalibration(against, terms, caps, proposed, unrounded)


def _signs(spec: ScorecardSpec) -> Floats:
    return np.sign([term.points for term in spec.terms])


def _logistic(table: Floats, labels: NDArray[np.bool_], sign: Floats | None) -> Floats:
    """Return intercept and coefficients, (1 + k,), of terms around their means.

    Each coefficient has the given sign or is free; a ridge settles ties.
    """
    center = table.mean(axis=0)
    design = table - center
    target = np.where(labels, 1.0, -1.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = target * (design @ weights[1:] + weights[0])
        pull = -target / (1 + np.exp(np.clip(margin, -500, 500)))
        gradient = np.concatenate([[pull.mean()], design.T @ pull / len(design)])
        gradient[1:] += _RIDGE * weights[1:]
        value = np.logaddexp(0, -margin).mean() + _RIDGE / 2 * (weights[1:] ** 2).sum()
        return float(value), gradient

    start = np.zeros(design.shape[1] + 1)
    start[0] = np.log(labels.mean() / (1 - labels.mean()))
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * len(start)
    if sign is not None:
        bounds[1:] = [(0, None) if s > 0 else (None, 0) for s in sign]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x, dtype=np.float64)


def _clustered_errors(
    table: Floats, labels: NDArray[np.bool_], users: NDArray[np.int64], weights: Floats
) -> Floats:
    """Return standard errors of logistic coefficients, (k,), clustered by user.

    The sandwich of Liang & Zeger (1986): a user's rows count as one observation.
    """
    design = np.column_stack([np.ones(len(table)), table - table.mean(axis=0)])
    chance = 1 / (1 + np.exp(-design @ weights))
    bread = (design * (chance * (1 - chance))[:, None]).T @ design / len(design)
    bread[1:, 1:] += _RIDGE * np.eye(table.shape[1])
    _, who = np.unique(users, return_inverse=True)
    pulls = design * (labels - chance)[:, None]
    summed = np.column_stack([np.bincount(who, weights=pull) for pull in pulls.T])
    inverse = np.linalg.inv(bread)
    covariance = inverse @ (summed.T @ summed / len(design) ** 2) @ inverse
    errors: Floats = np.sqrt(np.diag(covariance)[1:])
    return errors


def _whole(spec: ScorecardSpec, wanted: Floats) -> tuple[ScorecardSpec, ScorecardSpec]:
    """Return the scorecard with whole points near the wanted ones, and one in hundredths.

    Both have exactly 100 within reach.

    A group's cap follows its members: it stays the same share of their sum. Every term keeps its
    sign and at least one point.
    """
    sign = _signs(spec)
    size = np.maximum(np.abs(wanted), 1e-9)
    low, high = 1e-9, 1e9
    for _ in range(200):  # bisection: what is within reach grows with the scale
        scale = (low * high) ** 0.5
        low, high = (scale, high) if _reach(spec, size * scale, sign) < FULL_SCORE else (low, scale)
    real = np.maximum(size * high, LEAST)
    caps = _caps(spec, real, sign)
    return _rounded(spec, real, caps, sign, 1), _rounded(spec, real, caps, sign, HUNDREDTHS)


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


def _reach(spec: ScorecardSpec, size: Floats, sign: Floats) -> float:
    points = np.maximum(size, LEAST)
    return _reach_of(spec, points, _caps(spec, points, sign), sign)


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
