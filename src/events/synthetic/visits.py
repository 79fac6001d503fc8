"""When people come: arrivals through the period, returns that fade, working-hours rhythm.

Times are drawn on a stretched clock on which visits are equally likely at any moment, then read
back on the wall clock: busy hours are long on the stretched clock, nights are short. That gives
daily and weekly seasonality without throwing away a single draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from .population import UTC_OFFSET_HOURS, People

MICROSECONDS_PER_HOUR = 3_600_000_000
LEAD_DAYS = 30  # people who first came this long before the start are still about
MIN_BREAK_HOURS = 3.0  # between the starts of two visits of one person

# how busy a local hour and a weekday (Monday first) are, relative
_HOURS = np.array(
    [2, 1, 1, 1, 1, 2, 4, 8, 14, 18, 19, 18, 14, 16, 18, 18, 16, 13, 10, 9, 9, 8, 6, 4]
) / 10  # fmt: skip
_WEEKDAYS = np.array([12, 13, 13, 12, 11, 5, 4]) / 10


@dataclass(frozen=True)
class Clock:
    """The wall clock (local hours since `start` 00:00) against the stretched clock.

    >>> clock = Clock.of(date(2026, 1, 1), days=7)
    >>> at = np.array([0.0, 12.5, 100.0])
    >>> bool(np.allclose(clock.wall(clock.stretched(at)), at))
    True
    >>> night, noon = (np.ptp(clock.stretched(np.array([h, h + 1.0]))) for h in (2.0, 11.0))
    >>> bool(noon > 10 * night)
    True
    """

    hours: NDArray[np.float64]
    load: NDArray[np.float64]

    @classmethod
    def of(cls, start: date, days: int) -> Clock:
        """Return the clock for `days` days from `start`, with room before and after."""
        first = -(LEAD_DAYS + 2) * 24
        hours = np.arange(first, (days + 2) * 24 + 1)
        weight = _HOURS[hours % 24] * _WEEKDAYS[(start.weekday() + hours // 24) % 7]
        load = np.concatenate([[0.0], np.cumsum(weight[:-1])])
        return cls(hours.astype(np.float64), load / (_HOURS.mean() * _WEEKDAYS.mean()))

    def stretched(self, hours: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the stretched time of local `hours`."""
        return np.interp(hours, self.hours, self.load)

    def wall(self, load: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the local hours at stretched times `load`."""
        return np.interp(load, self.load, self.hours)


@dataclass(frozen=True)
class Visits:
    """Visits of one block, by user and then by time.

    `user` is the position in the block, `start` microseconds since the period's start, UTC.
    """

    user: NDArray[np.intp]
    start: NDArray[np.int64]


def draw_visits(rng: np.random.Generator, people: People, clock: Clock, days: int) -> Visits:
    """Draw every user's visits within `days` days; each user has at least one.

    Returns follow a Poisson process whose rate is the segment's, times the person's activity,
    times a lift by intent, and fades by exp(-age / stay).
    """
    n = len(people.segment)
    offset = np.array(UTC_OFFSET_HOURS)[people.country]
    low, high = clock.stretched(offset), clock.stretched(days * 24 + offset)
    rate = people.trait("visits_per_day") / 24 * people.activity * (0.5 + people.intent)
    stay = people.trait("stay_days") * 24 * (0.5 + people.intent)

    lead = clock.stretched(offset - LEAD_DAYS * 24)
    arrival = lead + rng.random(n) * (high - lead)
    # someone who came before the start is first seen when next returning
    back = low + _fading(rng.random(n), 1 / rate, high - low)
    first = np.where(arrival < low, back, arrival)

    returns = rng.poisson(rate * stay * -np.expm1(-(high - first) / stay))
    again = np.repeat(np.arange(n), returns)
    later = first[again] + _fading(rng.random(len(again)), stay[again], (high - first)[again])

    user = np.concatenate([np.arange(n), again])
    hours = clock.wall(np.concatenate([first, later])) - offset[user]
    end = days * 24 * MICROSECONDS_PER_HOUR
    start = np.clip((hours * MICROSECONDS_PER_HOUR).astype(np.int64), 0, end - 1)
    order = np.lexsort((start, user))
    return _with_breaks(user[order], start[order])


def _fading(
    u: NDArray[np.float64], scale: NDArray[np.float64], length: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Turn uniform draws into exponential ones cut off at `length` (inverse distribution)."""
    return -scale * np.log1p(u * np.expm1(-length / scale))


def _with_breaks(user: NDArray[np.intp], start: NDArray[np.int64]) -> Visits:
    keep = np.ones(len(user), dtype=bool)
    same = user[1:] == user[:-1]
    keep[1:] = ~same | (np.diff(start) >= MIN_BREAK_HOURS * MICROSECONDS_PER_HOUR)
    return Visits(user[keep], start[keep])
