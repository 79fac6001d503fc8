"""What acts on whom, and from when: the experiment, the adopted feature, the roll-out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import parameters as p
from .people import People
from .visits import Visits

NEVER = np.iinfo(np.int64).max
TREATED, ADOPTED, ROLLED = 1, 2, 4  # bits of what acts on the plays of a visit


@dataclass(frozen=True)
class Effects:
    """When things began for each user, microseconds since the first day (NEVER: they did not).

    `exposed_at` is the user's first visit on or after the experiment's day. `history` counts the
    visits of the days before the adoption's launch; only users with any can adopt, with
    probability `propensity` (else NaN). `acting` sums the bits of the effects that act, one entry a
    visit.
    """

    exposed_at: NDArray[np.int64]
    history: NDArray[np.int64]
    propensity: NDArray[np.float64]
    adopted_at: NDArray[np.int64]
    rolled_at: NDArray[np.int64]
    acting: NDArray[np.intp]


def draw_effects(
    rng: np.random.Generator,
    people: People,
    counts: NDArray[np.int64],
    visits: Visits,
    timeline: p.Timeline,
) -> Effects:
    """Decide who adopts, who is exposed when, and what acts on each visit.

    The feature is offered on one day to everybody seen in the weeks before, by mail: whether
    somebody comes back does not enter, only the covariates of `propensities` do.
    """
    n = len(people)
    launch = timeline.adoption
    history = counts[:, max(launch - p.ADOPTION_HISTORY_DAYS, 0) : launch].sum(axis=1)
    propensity = propensities(people, history)
    moment = launch * p.DAY + (rng.random(n) * p.DAY).astype(np.int64)
    adopts = rng.random(n) < np.nan_to_num(propensity)
    adopted_at = np.where(adopts, moment, NEVER)
    wave = p.COUNTRY_WAVE[people.country]
    rolled_at = np.where(wave == p.NEVER, NEVER, np.array(timeline.waves)[wave] * p.DAY)
    exposed_at = _exposures(visits, n, timeline.experiment)
    user, start = visits.user, visits.start
    treated = (start >= exposed_at[user]) & (people.arm[user] == 1)
    acting = (
        TREATED * treated
        + ADOPTED * (start >= adopted_at[user])
        + ROLLED * (start >= rolled_at[user])
    )
    return Effects(exposed_at, history, propensity, adopted_at, rolled_at, acting)


def play_factor(acting: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the factor on the mean length of runs of plays, by the bits of what acts.

    >>> play_factor(np.array([0, TREATED, ADOPTED | ROLLED])).round(4).tolist()
    [1.0, 1.08, 1.288]
    """
    factors = {TREATED: p.TREATED_PLAYS, ADOPTED: p.ADOPTED_PLAYS, ROLLED: p.ROLLED_PLAYS}
    table = np.ones(2 * ROLLED)
    for bit, factor in factors.items():
        table[np.arange(len(table)) & bit > 0] *= factor
    return table[acting]


def propensities(people: People, history: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probability of adopting; NaN for users not seen in the weeks before the launch."""
    logit = (
        p.ADOPTION_INTERCEPT
        + p.ADOPTION_LOG_VISITS * np.log1p(history)
        + p.DEVICE_ADOPTION[people.device]
        + p.CHANNEL_ADOPTION[people.channel]
    )
    return np.where(history > 0, 1 / (1 + np.exp(-logit)), np.nan)


def _exposures(visits: Visits, users: int, day: int) -> NDArray[np.int64]:
    exposed_at = np.full(users, NEVER)
    after = np.flatnonzero(visits.day >= day)[::-1]
    # of repeated indices the last assignment stays: the earliest visit
    exposed_at[visits.user[after]] = visits.start[after]
    return exposed_at
