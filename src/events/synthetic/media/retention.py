"""The retention curve that the parameters of the `media` dataset imply."""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from . import parameters as p
from .people import cumulative_hazard, log_hazard, weekday_factors

LAST_DAY = 90


def retention_curve(start: date, timeline: p.Timeline) -> NDArray[np.float64]:
    """Return the expected share of users with an event on day 0, 1, … 90 after their signup day.

    Over users who sign up in the log on a day for which day k lies in the log too; over all who
    sign up in it, as if it went on, where there are none. A user is there on day k with
    probability S(k) = exp(-H(k) · ratio), and then has an event with probability
    1 - (1 + m / a)^-a: that of a count above 0 in a negative binomial distribution of mean m and
    size a. Exact: no effect acts on visits.

    >>> curve = retention_curve(date(2026, 1, 1), p.Timeline.of(120))
    >>> float(curve[0]), bool(curve[1] > curve[30] > curve[90] > 0)
    (1.0, True)
    """
    days = timeline.days
    factor = weekday_factors(start, days + LAST_DAY)
    comes = _chance_of_a_visit(factor)
    signup = np.arange(days)
    drifted = signup >= timeline.drift
    curve = np.ones(LAST_DAY + 1)
    for k in range(1, LAST_DAY + 1):
        seen = signup + k < days if k < days else np.ones(days, bool)
        there = np.where(drifted, *(
            _survival(k, shares) for shares in (p.DRIFTED_CHANNEL_SHARE, p.CHANNEL_SHARE)
        ))  # fmt: skip
        chance = (there * comes[signup + k])[seen]
        curve[k] = np.average(chance, weights=factor[signup][seen])
    return curve


def _chance_of_a_visit(factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability that an active user comes, by day, over countries and activity."""
    mean = p.VISITS_PER_DAY * p.COUNTRY_LEVEL[:, None] * factor
    none = (1 + mean / p.ACTIVITY_SHAPE) ** -p.ACTIVITY_SHAPE
    return np.asarray(np.array(p.COUNTRY_SHARE) @ (1 - none))


def _survival(k: int, channel_share: tuple[float, ...]) -> float:
    """Return the probability of being there k days after signup, over channels and devices."""
    channel, device = np.meshgrid(
        np.arange(len(p.CHANNELS)), np.arange(len(p.DEVICES)), indexing="ij"
    )
    ratio = np.exp(log_hazard(channel, device))
    alive = np.exp(-cumulative_hazard(np.array(float(k))) * ratio)
    return float(np.array(channel_share) @ alive @ np.array(p.DEVICE_SHARE))
