"""Who the people of the `media` dataset are: attributes, latent activity, lifetimes, arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from . import parameters as p


@dataclass(frozen=True)
class People:
    """One block of users: equally long arrays, one entry a user.

    `country`, `device`, `channel` and `phone` are positions in the tuples of `parameters`
    (`phone` in PLATFORMS). `signup_day` counts from the log's first day, below zero before it.
    Users are there on days d with signup_day <= d < signup_day + lifetime.
    """

    country: NDArray[np.intp]
    device: NDArray[np.intp]
    channel: NDArray[np.intp]
    phone: NDArray[np.intp]
    activity: NDArray[np.float64]  # gamma, mean 1
    buys: NDArray[np.float64]  # chance of a purchase after add_to_cart, untreated
    signup_day: NDArray[np.int64]
    signup_moment: NDArray[np.int64]  # of that day, microseconds, for signups before the log
    lifetime: NDArray[np.float64]  # days from signup
    arm: NDArray[np.intp]  # in VARIANTS

    def __len__(self) -> int:
        return len(self.activity)


def weekday_factors(start: date, days: int) -> NDArray[np.float64]:
    """Return how much each day of the log is visited, relative to the week's mean.

    >>> weekday_factors(date(2026, 1, 3), 2).tolist()
    [1.2, 1.05]
    """
    return np.take(p.WEEKDAYS, (start.weekday() + np.arange(days)) % len(p.WEEKDAYS))


def draw_people(rng: np.random.Generator, n: int, start: date, timeline: p.Timeline) -> People:
    """Draw `n` users.

    >>> people = draw_people(np.random.default_rng(7), 500, date(2026, 1, 1), p.Timeline.of(90))
    >>> int(people.signup_day.min()) >= -p.LEAD_DAYS, int(people.signup_day.max()) < 90
    (True, True)
    >>> bool((people.signup_day + people.lifetime > 0).all())
    True
    """
    before = rng.random(n) < p.ALREADY_HERE
    signup_day = np.where(
        before,
        -rng.integers(1, p.LEAD_DAYS + 1, n),
        pick(rng.random(n), weekday_factors(start, timeline.days)),
    )
    u = rng.random(n)
    drifted = signup_day >= timeline.drift
    channel = np.where(drifted, pick(u, p.DRIFTED_CHANNEL_SHARE), pick(u, p.CHANNEL_SHARE))
    device = pick(rng.random(n), p.DEVICE_SHARE)
    return People(
        country=pick(rng.random(n), p.COUNTRY_SHARE),
        device=device,
        channel=channel,
        phone=np.where(rng.random(n) < p.IOS_SHARE, 1, 2),
        activity=rng.gamma(p.ACTIVITY_SHAPE, 1 / p.ACTIVITY_SHAPE, n),
        buys=p.BUY_MOST * rng.beta(*p.BUY_SHAPE, n),
        signup_day=signup_day,
        signup_moment=(rng.random(n) * p.DAY).astype(np.int64),
        lifetime=_lifetimes(rng.standard_exponential(n), log_hazard(channel, device), -signup_day),
        arm=(rng.random(n) < p.TREATED_SHARE).astype(np.intp),
    )


def log_hazard(channel: NDArray[np.intp], device: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the logarithm of the hazard ratio of these users."""
    found: NDArray[np.float64] = np.take(p.CHANNEL_LOG_HAZARD, channel) + np.take(
        p.DEVICE_LOG_HAZARD, device
    )
    return found


def cumulative_hazard(tenure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the baseline's cumulative hazard after so many days of membership.

    >>> cumulative_hazard(np.array([10.0, 24.0])).round(3).tolist()
    [0.35, 0.59]
    """
    early = np.minimum(tenure, p.EARLY_DAYS)
    return np.asarray(p.EARLY_HAZARD * early + p.LATE_HAZARD * (tenure - early))


def _lifetimes(
    unit: NDArray[np.float64], log_ratio: NDArray[np.float64], reached: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Turn exponential draws into lifetimes, given that the tenure `reached` was lived through."""
    at = cumulative_hazard(np.maximum(reached, 0).astype(np.float64)) + unit * np.exp(-log_ratio)
    knee = p.EARLY_HAZARD * p.EARLY_DAYS
    late = p.EARLY_DAYS + (at - knee) / p.LATE_HAZARD
    return np.where(at < knee, at / p.EARLY_HAZARD, late)


def pick(u: NDArray[np.float64], shares: Sequence[float] | NDArray[np.float64]) -> NDArray[np.intp]:
    """Turn uniform draws into positions, each as often as its share of the total.

    >>> pick(np.array([0.0, 0.3, 0.99]), [1.0, 2.0, 1.0]).tolist()
    [0, 1, 2]
    """
    bounds = np.cumsum(shares)
    return np.searchsorted(bounds[:-1] / bounds[-1], u, side="right")
