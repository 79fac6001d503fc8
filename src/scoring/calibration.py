"""Calibrate the scorecard's points: against what came, or against what a model learnt.

Both ways end in the same form: points whose positive part within reach totals 100, then whole
points that keep the ranking. A term whose sign the data contradict keeps its sign and is reported:
what a sign means is for people to settle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ..errors import DataError
from ..scorer import FeatureTable, Floats
from ..spec.scorecard import FULL_SCORE, ScorecardSpec
from .transforms import shares

Against = Literal["outcome", "importance"]
LEAST = 1.0  # point: a term of the spec keeps at least so much; dropping it is for people
_RIDGE = 1e-4


@dataclass(frozen=True)
class TermCalibration:
    """One term before and after.

    importance: its share of XGBoost's mean |SHAP|, 0 to 1; own: its share of the scorecard's own
    mean |contribution|, before. contradicted: the data give it the other sign, in an unconstrained
    logistic fit (outcome) or by the slope of its SHAP values (importance).
    """

    name: str
    old: float
    new: float
    importance: float
    own: float
    contradicted: bool


@dataclass(frozen=True)
class WeightCalibration:
    """A proposal: every term before and after, the groups' caps, and the new scorecard."""

    against: Against
    terms: tuple[TermCalibration, ...]
    caps: Mapping[str, tuple[float, float]]
    proposed: ScorecardSpec


def term_shares(spec: ScorecardSpec, table: FeatureTable) -> Floats:
    """Return each term's share of its points, 0 to 1, shape (n, terms)."""
    return np.column_stack([shares(term, table) for term in spec.terms])


def calibrate_to_outcome(
    spec: ScorecardSpec, table: Floats, labels: NDArray[np.bool_], importance: Floats
) -> WeightCalibration:
    """Propose points by a logistic fit of the terms whose signs are those of the spec.

    table: the terms' shares, (n, k). labels: bool (n,). importance: each term's mean |SHAP| in a
    model of the same table, (k,), told beside.

    Raises DataError when all labels are one class.
    """
    if labels.all() or not labels.any():
        raise DataError("calibration needs users of both classes; load more history")
    sign = _signs(spec)
    free = _logistic(table, labels, None)
    bound = _logistic(table, labels, sign)
    return _proposal("outcome", spec, table, bound, importance, contradicted=free * sign < 0)


def calibrate_to_importance(
    spec: ScorecardSpec, table: Floats, values: Floats
) -> WeightCalibration:
    """Propose points whose own mean |contribution| has the shares of a model's mean |SHAP|.

    table: the terms' shares, (n, k). values: the model's SHAP values of the same terms, (n, k).
    A term's own mean |contribution| is its points times the mean distance of its share from the
    average one; so points are importance over that distance, not importance itself: a rare term
    that decides is worth much.
    """
    sign = _signs(spec)
    importance = np.abs(values).mean(axis=0)
    spread = np.abs(table - table.mean(axis=0)).mean(axis=0)
    slope = np.array(
        [_slope(table[:, place], values[:, place]) for place in range(len(spec.terms))]
    )
    target = np.divide(importance, spread, out=np.zeros_like(spread), where=spread > 0) * sign
    wrong = slope * sign < 0
    wanted = np.where(wrong, 0.0, target)
    return _proposal("importance", spec, table, wanted, importance, contradicted=wrong)


def _proposal(
    against: Against,
    spec: ScorecardSpec,
    table: Floats,
    wanted: Floats,
    importance: Floats,
    *,
    contradicted: NDArray[np.bool_],
) -> WeightCalibration:
    proposed = _whole(spec, wanted)
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
            contradicted=bool(contradicted[place]),
        )
        for place, (term, new) in enumerate(zip(spec.terms, proposed.terms, strict=True))
    )
    caps = {name: (group.cap, proposed.groups[name].cap) for name, group in spec.groups.items()}
    return WeightCalibration(against, terms, caps, proposed)


def _signs(spec: ScorecardSpec) -> Floats:
    return np.sign([term.points for term in spec.terms])


def _slope(share: Floats, value: Floats) -> float:
    """Return the slope of SHAP values along a term's share: its sign says which way it pulls."""
    away = share - share.mean()
    below = float((away**2).sum())
    return float((away * value).sum() / below) if below > 0 else 0.0


def _logistic(table: Floats, labels: NDArray[np.bool_], sign: Floats | None) -> Floats:
    """Return logistic coefficients, (k,), each of the given sign or free; a ridge settles ties."""
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
    return np.asarray(found.x[1:], dtype=np.float64)


def _whole(spec: ScorecardSpec, wanted: Floats) -> ScorecardSpec:
    """Return the scorecard with whole points near the wanted ones, within reach 100 exactly.

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
    points = np.maximum(np.round(real), LEAST)
    caps = {name: max(1.0, round(cap)) for name, cap in _caps(spec, real, sign).items()}
    _settle(spec, points, caps, real, sign)
    terms = [
        term.model_copy(update={"points": float(s * p)})
        for term, s, p in zip(spec.terms, sign, points, strict=True)
    ]
    groups = {n: g.model_copy(update={"cap": float(caps[n])}) for n, g in spec.groups.items()}
    return ScorecardSpec.model_validate(
        {"terms": [term.model_dump() for term in terms],
         "groups": {name: group.model_dump() for name, group in groups.items()}}
    )  # fmt: skip


def _settle(
    spec: ScorecardSpec, points: Floats, caps: dict[str, float], real: Floats, sign: Floats
) -> None:
    """Move single points, in place, until exactly 100 are within reach.

    Each step goes to the ungrouped term whose rounding is off the most (largest remainder); where
    no term is ungrouped, to a group's cap.
    """
    free = [
        place for place, term in enumerate(spec.terms) if term.group is None and sign[place] > 0
    ]
    for _ in range(1000):
        gap = round(FULL_SCORE - _reach_of(spec, points, caps, sign))
        if gap == 0:
            return
        step = float(np.sign(gap))
        movable = [place for place in free if points[place] + step >= LEAST]
        if movable:
            chosen = max(movable, key=lambda place: step * (real[place] - points[place]))
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
