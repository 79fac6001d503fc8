"""One user's attributions as lines of text: log-odds beside points, and what they add up to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..escapes import shown
from ..scorer import Attribution, signed
from ..scoring.ranking import RankedUser

_WIDEST = 60


def side_by_side(user: RankedUser, model: str) -> Iterator[str]:
    """Yield log-odds and points by part, what raised the model's score first, and their sums."""
    lines = user.attributions
    width = min(_WIDEST, max(len("what"), *(len(shown(line.observed)) for line in lines)))
    yield f"log-odds of {model} beside the scorecard's points"
    yield f"{'log-odds':>8}   {'points':>6}  {'what':<{width}}  what the points are for".rstrip()
    if user.model is not None:
        yield f"{user.model.base:>+8.2f}   {'':>6}  base: before anything is known of the user"
    sides = {
        "raises": [line for line in lines if line.raises is True],
        "lowers": [line for line in lines if line.raises is False],
        "for the points alone": [line for line in lines if line.raises is None],
    }
    for side, members in sides.items():
        if members:
            yield side
            yield from _lines(members, width)
    yield f"{'-' * 8}   {'-' * 6}"
    total = "" if user.model is None else f"{user.model.log_odds:+.2f}"
    told = "" if user.model is None else f": probability {user.model.probability:.2%} by {model}"
    yield f"{total:>8}   {user.scorecard_score:>6.2f}  points in all{told}"
    yield from _notes(user, model)


def points_to_probability(user: RankedUser) -> Iterator[str]:
    """Yield how a calibrated scorecard's points become its probability; nothing without one."""
    if user.card is None or user.point_log_odds is None or user.probability is None:
        return
    worth = user.point_log_odds
    doubling = f"; {math.log(2) / worth:.1f} points double the odds" if worth else ""
    yield (
        f"points as log-odds: base {user.card.base:+.2f}, {worth:.4f} for each of "
        f"{user.scorecard_score:.2f} points, {user.card.log_odds:+.2f} in all: probability "
        f"{user.probability:.2%}{doubling}"
    )


def _lines(lines: Sequence[Attribution], width: int) -> Iterator[str]:
    for line in lines:
        log_odds = "-" if line.log_odds is None else f"{line.log_odds:+.2f}"
        mark = " " if line.stable or line.log_odds is None else "~"
        points = "-" if line.points is None else signed(line.points) if line.points else "0"
        reason = shown(line.reason) if line.reason != line.observed else ""
        observed = shown(line.observed)
        yield f"{log_odds:>8}{mark}  {points:>6}  {observed:<{width}}  {reason}".rstrip()


def _notes(user: RankedUser, model: str) -> Iterator[str]:
    moved = [line for line in user.attributions if line.log_odds is not None]
    if moved and not any(line.log_odds for line in moved):
        yield (
            f"{model} ranks, but its calibration found no relation to outcomes and kept the base "
            "rate: every user has this probability"
        )
    elif moved:
        yield "+0.69 log-odds double the odds, -0.69 halve them"
    agreed = "nothing to compare" if user.agreement is None else f"{user.agreement:.3f}"
    yield f"rank agreement of the two: {agreed}"
    if any(not line.stable for line in moved):
        yield "~ not given as a reason: too small, or the sign changes under small perturbations"
