"""Who visits the product's website: segments, hidden intent and stable habits.

Every number that shapes behaviour stands here, with its unit. Intent is what a ranking has to
recover; activity and taste are noise of about the same size, so that no single count gives
intent away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A kind of visitor.

    Rates at intent 0.5 unless said otherwise; `chance` is a probability per visit.
    """

    name: str
    share: float  # fraction of all users
    intent: tuple[float, float]  # alpha and beta of the Beta distribution of intent
    visits_per_day: float  # rate of return just after the first visit, 1/day
    stay_days: float  # e-folding time of the rate of return, days
    pages_per_visit: float  # mean pages seen in a visit that is no burst; 1 means always one
    pricing_share: float  # pricing pages among pages seen, fraction
    demo_chance: float  # of a demo request, at intent 1
    signup_chance: float  # of signing up, while not signed up, at intent 1
    booking_chance: float  # of booking a call after signup, at intent 1
    burst_chance: float = 0.0  # of a visit being a spam burst


SEGMENTS = (
    Segment(
        name="buyer",
        share=0.20,
        intent=(4.0, 2.6),
        visits_per_day=0.50,
        stay_days=60.0,
        pages_per_visit=10.0,
        pricing_share=0.13,
        demo_chance=0.20,
        signup_chance=0.23,
        booking_chance=0.30,
    ),
    Segment(
        name="researcher",
        share=0.22,
        intent=(2.6, 3.4),
        visits_per_day=0.45,
        stay_days=70.0,
        pages_per_visit=13.0,
        pricing_share=0.12,
        demo_chance=0.10,
        signup_chance=0.10,
        booking_chance=0.16,
    ),
    Segment(
        name="casual",
        share=0.38,
        intent=(1.8, 4.2),
        visits_per_day=0.36,
        stay_days=45.0,
        pages_per_visit=8.0,
        pricing_share=0.08,
        demo_chance=0.12,
        signup_chance=0.18,
        booking_chance=0.24,
    ),
    Segment(
        name="bouncer",
        share=0.15,
        intent=(1.2, 7.0),
        visits_per_day=0.08,
        stay_days=30.0,
        pages_per_visit=1.0,
        pricing_share=0.04,
        demo_chance=0.0,
        signup_chance=0.0,
        booking_chance=0.0,
    ),
    Segment(
        name="spammer",
        share=0.05,
        intent=(1.2, 6.0),
        visits_per_day=0.32,
        stay_days=40.0,
        pages_per_visit=4.0,
        pricing_share=0.10,
        demo_chance=0.04,
        signup_chance=0.04,
        booking_chance=0.02,
        burst_chance=0.6,
    ),
)

ACTIVITY_SIGMA = 0.85  # log-normal spread of how often a person comes, whatever the intent
DEPTH_SIGMA = 0.40  # … of how many pages a person opens in a visit
TASTE_SIGMA = 0.60  # … of how much a person looks at prices
HESITATION_SIGMA = 0.90  # … of the chance of demo request, signup and booking
APP_SHARE = 0.45  # people on a phone or tablet who use the app, not the website
IOS_SHARE = 0.45  # … of whom on iOS

COUNTRIES = ("US", "DE", "GB", "IN", "BR", "FR", "PL", "JP", "ES", "AU")
COUNTRY_SHARE = (0.30, 0.14, 0.12, 0.11, 0.09, 0.07, 0.05, 0.05, 0.04, 0.03)
UTC_OFFSET_HOURS = (-6.0, 1.0, 0.0, 5.5, -3.0, 1.0, 1.0, 9.0, 1.0, 10.0)
DEVICES = ("desktop", "mobile", "tablet")
DEVICE_SHARE = (0.58, 0.35, 0.07)
PLATFORMS = ("web", "ios", "android")
# from the least to the most often chosen by people who mean to buy
CHANNELS = ("social", "paid_search", "organic", "partner", "referral")
CHANNEL_SHARE = (0.18, 0.24, 0.34, 0.10, 0.14)
CHANNEL_PULL = 0.25  # weight of intent against chance in how a person arrived


@dataclass(frozen=True)
class People:
    """One block of users: equally long arrays, one entry a user.

    `segment`, `country`, `device`, `app` and `channel` are positions in the tuples of this
    module (`app` in PLATFORMS: what the person uses on a phone or tablet).
    """

    segment: NDArray[np.intp]
    intent: NDArray[np.float64]  # in (0, 1), six decimals
    activity: NDArray[np.float64]  # factors, mean 1
    depth: NDArray[np.float64]
    taste: NDArray[np.float64]
    readiness: NDArray[np.float64]
    country: NDArray[np.intp]
    device: NDArray[np.intp]
    app: NDArray[np.intp]
    channel: NDArray[np.intp]

    def trait(self, name: str) -> NDArray[np.float64]:
        """Return the parameter `name` of each user's segment."""
        return np.array([getattr(s, name) for s in SEGMENTS], dtype=np.float64)[self.segment]


def draw_people(rng: np.random.Generator, n: int) -> People:
    """Draw `n` users with their segment, hidden intent and habits.

    >>> people = draw_people(np.random.default_rng(7), 1000)
    >>> bool(people.intent.min() > 0), bool(people.intent.max() < 1)
    (True, True)
    >>> float(people.trait("share").max())
    0.38
    """
    segment = _pick(rng.random(n), [s.share for s in SEGMENTS])
    alpha, beta = np.array([s.intent for s in SEGMENTS])[segment].T
    intent = np.clip(rng.beta(alpha, beta), 1e-6, 1 - 1e-6).round(6)
    device = _pick(rng.random(n), DEVICE_SHARE)
    in_app = rng.random(n) < APP_SHARE
    own_app = np.where(rng.random(n) < IOS_SHARE, 1, 2)
    pull = (1 - CHANNEL_PULL) * rng.random(n) + CHANNEL_PULL * intent
    return People(
        segment=segment,
        intent=intent,
        activity=_factor(rng, ACTIVITY_SIGMA, n),
        depth=_factor(rng, DEPTH_SIGMA, n),
        taste=_factor(rng, TASTE_SIGMA, n),
        readiness=_factor(rng, HESITATION_SIGMA, n),
        country=_pick(rng.random(n), COUNTRY_SHARE),
        device=device,
        app=np.where(in_app, own_app, 0),
        channel=_pick(pull, CHANNEL_SHARE),
    )


def _factor(rng: np.random.Generator, sigma: float, n: int) -> NDArray[np.float64]:
    return rng.lognormal(-(sigma**2) / 2, sigma, n)  # the shift makes the mean 1


def _pick(u: NDArray[np.float64], shares: list[float] | tuple[float, ...]) -> NDArray[np.intp]:
    return np.searchsorted(np.cumsum(shares)[:-1], u, side="right")
