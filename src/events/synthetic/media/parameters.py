"""Every parameter and effect of the `media` dataset, with units, and the days on which it happens.

Effects act in one place each, so that what they leave alone is exactly unmoved: the number of
visits and their days depend on the person alone; plays are lengthened, never begun, by the
experiment, the feature and the roll-out; purchases are added to checkouts that happen anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DAY = 86_400_000_000  # microseconds

# --- what happens: the states of the chain ----------------------------------------------------

EVENT_NAMES = ("view", "search", "play", "add_to_cart", "purchase", "like")
VIEW, SEARCH, PLAY, CART, PURCHASE, LIKE = range(6)
END = 6
START_CHANCE = np.array([0.70, 0.30, 0.0, 0.0, 0.0, 0.0])
# Chances of the next state once a state is left: a run of plays has ended, a checkout is over,
# bought or not. Columns as EVENT_NAMES, then the end of the visit.
NEXT_CHANCE = np.array(
    [
        [0.25, 0.12, 0.32, 0.07, 0.0, 0.03, 0.21],
        [0.40, 0.15, 0.32, 0.02, 0.0, 0.00, 0.11],
        [0.28, 0.12, 0.00, 0.03, 0.0, 0.18, 0.39],
        [0.42, 0.10, 0.14, 0.00, 0.0, 0.03, 0.31],
        [0.42, 0.10, 0.14, 0.00, 0.0, 0.03, 0.31],
        [0.28, 0.10, 0.36, 0.02, 0.0, 0.00, 0.24],
    ]
)
PLAY_AGAIN = 0.60  # chance that a play is followed by another, with no effect at work
BUY_MOST = 0.70  # chance of a purchase after add_to_cart: this times Beta(*BUY_SHAPE), by person
BUY_SHAPE = (1.0, 2.2)

STEP_SECONDS = (45.0, 25.0, 480.0, 90.0, 90.0, 12.0)  # mean length of a step (of a whole run)
STEP_LEAST, STEP_MOST = 0.5, 1500.0  # seconds; the most keeps a visit one session
PLAY_SECONDS, PLAY_SIGMA, PLAY_MOST = 180.0, 0.8, 7200.0  # median, log-normal spread, longest
PRICE, PRICE_SIGMA = 18.0, 0.7  # median and log-normal spread of the price of a purchase

# --- who they are -----------------------------------------------------------------------------

COUNTRIES = ("US", "IN", "GB", "BR", "DE", "FR", "JP", "ES")
COUNTRY_SHARE = (0.20, 0.20, 0.12, 0.12, 0.10, 0.10, 0.08, 0.08)
COUNTRY_LEVEL = np.array([1.15, 0.85, 1.10, 0.90, 1.10, 0.90, 0.90, 1.10])  # of visits, factor
UTC_OFFSET_HOURS = np.array([-6.0, 5.5, 0.0, -3.0, 1.0, 1.0, 9.0, 1.0])
NEVER = -1
COUNTRY_WAVE = np.array([0, 0, 1, 1, 2, 2, NEVER, NEVER])  # of the roll-out
DEVICES = ("mobile", "desktop", "tv")
DEVICE_SHARE = (0.56, 0.32, 0.12)
OTHER_DEVICE = 0.10  # visits on another device than the usual one
PLATFORMS = ("web", "ios", "android", "tv")
IOS_SHARE = 0.45  # of phones
CHANNELS = ("organic", "paid_search", "paid_social", "referral")
CHANNEL_SHARE = (0.42, 0.22, 0.24, 0.12)

ACTIVITY_SHAPE = 0.9  # of the gamma distribution of activity, mean 1: the dispersion of counts
VISITS_PER_DAY = 0.40  # at activity 1 and country level 1, mean over the week
ALREADY_HERE = 0.45  # users who signed up before the first day, and are not gone by then
LEAD_DAYS = 120  # they signed up at most so long before
WEEKDAYS = np.array([0.90, 0.88, 0.92, 0.97, 1.08, 1.20, 1.05])  # Monday first, mean 1
HOURS = np.array(
    [5, 3, 2, 1, 1, 2, 4, 7, 9, 9, 9, 10, 12, 12, 11, 11, 12, 14, 17, 21, 23, 21, 15, 9]
) / 10  # fmt: skip

# --- leaving for good: a proportional hazard ---------------------------------------------------

EARLY_DAYS = 14.0  # of membership, with the early hazard
EARLY_HAZARD, LATE_HAZARD = 0.035, 0.010  # 1/day, organic on mobile
CHANNEL_LOG_HAZARD = np.array([0.0, 0.20, 0.45, -0.35])
DEVICE_LOG_HAZARD = np.array([0.0, -0.15, -0.30])

# --- the experiment ----------------------------------------------------------------------------

EXPERIMENT_ID = "autoplay_queue"
VARIANTS = ("control", "treatment")
TREATED_SHARE = 0.5
TREATED_PLAYS = 1.08  # factor on plays, everybody
TREATED_BUYS = 1.30  # factor on the chance of a purchase after add_to_cart, by device_type …
TREATED_BUYERS = "mobile"  # … of this device_type; 1 for others
OUTCOME_DAYS, RETAINED_FROM_DAY = 14, 7

# --- the feature that people adopt -------------------------------------------------------------

ADOPTION_HISTORY_DAYS = 28
ADOPTION_INTERCEPT, ADOPTION_LOG_VISITS = -2.2, 0.8
DEVICE_ADOPTION = np.array([0.5, 0.0, -0.6])
CHANNEL_ADOPTION = np.array([0.0, 0.0, -0.3, 0.4])
ADOPTED_PLAYS = 1.15  # factor on plays from the adoption on
ADOPTION_OUTCOME_DAYS = 28

# --- roll-out and drift ------------------------------------------------------------------------

ROLLED_PLAYS = 1.12  # factor on plays from the country's day on
ROLLOUT_OUTCOME_DAYS = 14
DRIFTED_CHANNEL_SHARE = (0.32, 0.20, 0.38, 0.10)  # of signups from the drift on
DRIFTED_SECONDS = 1.25  # factor on the seconds of a play from the drift on


@dataclass(frozen=True)
class Timeline:
    """On which day, counted from the first, each thing begins; effects last to the end.

    >>> Timeline.of(90)
    Timeline(days=90, adoption=30, experiment=45, waves=(36, 50, 63), drift=72)
    """

    days: int
    adoption: int
    experiment: int
    waves: tuple[int, ...]
    drift: int

    @classmethod
    def of(cls, days: int) -> Timeline:
        """Return the timeline of a log of so many days: fixed shares of its length."""
        return cls(
            days=days,
            adoption=days // 3,
            experiment=days // 2,
            waves=(days * 40 // 100, days * 56 // 100, days * 70 // 100),
            drift=days * 8 // 10,
        )
