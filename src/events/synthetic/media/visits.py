"""On which days people come, how often, and when on those days.

The number of a user's visits on a day is a Poisson draw at the user's own rate, so that over any
set of days it is negative binomial in a stratum of country: activity is gamma distributed. Each
visit lies within its UTC day, and a user's visits are apart by more than a session's gap: they
are moved within the day where they would not be, never dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from . import parameters as p
from .people import People, weekday_factors

APART = 31 * 60_000_000  # microseconds from the end of a visit to the next one, at least
HOUR = 3_600_000_000


@dataclass(frozen=True)
class Visits:
    """Visits of one block, by user and then by time.

    `user` is the position in the block, `day` counts from the log's first, `start` is
    microseconds since then.
    """

    user: NDArray[np.intp]
    day: NDArray[np.int64]
    start: NDArray[np.int64]


def visit_rates(people: People, start: date, days: int) -> NDArray[np.float64]:
    """Return the expected visits of each user (row) on each day, while the user is there."""
    level = p.VISITS_PER_DAY * people.activity * p.COUNTRY_LEVEL[people.country]
    return np.asarray(level[:, None] * weekday_factors(start, days))


def count_visits(
    rng: np.random.Generator, people: People, start: date, days: int
) -> NDArray[np.int64]:
    """Draw how often each user (row) comes on each day; exactly once on the day of the signup."""
    day = np.arange(days)
    signup = people.signup_day[:, None]
    there = (day > signup) & (day < signup + people.lifetime[:, None])
    counts = rng.poisson(visit_rates(people, start, days) * there)
    new = np.flatnonzero(people.signup_day >= 0)
    counts[new, people.signup_day[new]] = 1
    return counts


def place_visits(rng: np.random.Generator, people: People, counts: NDArray[np.int64]) -> Visits:
    """Draw the moments of so many visits, by the hours of the user's country."""
    user, day = np.nonzero(counts)
    often = counts[user, day]
    at = np.repeat(np.arange(len(user)), often)
    user, day = user[at], day[at]
    moment = _moments(rng.random(len(at)), p.UTC_OFFSET_HOURS[people.country[user]])
    # the moments of one user and day in order: the key holds the day's place above the moment
    moment = np.sort(at * p.DAY + moment) - at * p.DAY
    return Visits(user, day, day * p.DAY + moment)


def _moments(u: NDArray[np.float64], offset: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return microseconds within a UTC day from uniform draws and offsets from UTC in hours."""
    cumulative = np.concatenate([[0.0], np.cumsum(p.HOURS)]) / p.HOURS.sum()
    local = np.interp(u, cumulative, np.arange(len(p.HOURS) + 1))
    return (((local - offset) % len(p.HOURS)) * HOUR).astype(np.int64)


def settle(visits: Visits, length: NDArray[np.int64]) -> Visits:
    """Move visits within their days so that each ends before midnight and well before the next.

    `length` is how long each visit lasts, microseconds. First later visits make way for earlier
    ones, then, where a day has run out, earlier ones for later ones.

    >>> close = Visits(np.array([0, 0]), np.array([0, 0]), np.array([0, 5]))
    >>> (settle(close, np.array([10, 0])).start - np.array([0, 10 + APART])).tolist()
    [0, 0]
    """
    user, taken = visits.user, length + APART
    before = np.cumsum(taken) - taken
    before -= before[np.searchsorted(user, user)]
    last = (visits.day + 1) * p.DAY - 1 - length
    if not len(user):
        return visits
    # one user's range of times stands wholly before the next one's
    lane = user * (last.max() + before.max() + 1)
    start = np.maximum.accumulate(visits.start - before + lane)
    start = np.minimum(start, last - before + lane)
    start = np.minimum.accumulate(start[::-1])[::-1]
    return Visits(user, visits.day, start + before - lane)
