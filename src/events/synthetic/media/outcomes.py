"""What each user does with an effect and without it, all else equal.

Runs of plays and checkouts are drawn once, as the randomness behind them: an exponential draw a
run, a toss and a price a checkout. Asking how long a run is, or whether a checkout ends in a
purchase, with an effect or without it reads the same draws, so that the two answers of one user
differ by the effect alone (common random numbers), and one of them is what the log shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import parameters as p
from .chain import Steps, run_lengths
from .effects import ADOPTED, NEVER, ROLLED, TREATED, Effects, play_factor
from .people import People
from .visits import Visits

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]  # without the effect, with it; by user


@dataclass(frozen=True)
class Runs:
    """The runs of plays of one block: play j of n ends at begin + length * j // n."""

    step: NDArray[np.intp]
    user: NDArray[np.intp]
    begin: NDArray[np.int64]
    length: NDArray[np.int64]
    unit: NDArray[np.float64]
    acting: NDArray[np.intp]

    def plays(self, acting: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return how many plays each run has where this acts."""
        return run_lengths(self.unit, play_factor(acting))


@dataclass(frozen=True)
class Checkouts:
    """Checkouts of one block; `price` in hundredths, paid if `toss` is below the probability."""

    step: NDArray[np.intp]
    user: NDArray[np.intp]
    end: NDArray[np.int64]
    toss: NDArray[np.float64]
    price: NDArray[np.int64]
    chance: NDArray[np.float64]
    treated_chance: NDArray[np.float64]

    def bought(self, treated: NDArray[np.bool_] | bool) -> NDArray[np.bool_]:
        """Return which end in a purchase where the experiment treats these."""
        return self.toss < np.where(treated, self.treated_chance, self.chance)


@dataclass(frozen=True)
class Block:
    """Everything drawn for one block of users; `offset` is the number of its first user."""

    offset: int
    people: People
    visits: Visits
    steps: Steps
    effects: Effects
    runs: Runs
    checkouts: Checkouts
    timeline: p.Timeline

    @property
    def end(self) -> int:
        """The end of the log, microseconds since its first day."""
        return self.timeline.days * p.DAY


def draw_runs(rng: np.random.Generator, visits: Visits, steps: Steps, effects: Effects) -> Runs:
    """Draw the randomness behind the runs of plays."""
    step = np.flatnonzero(steps.state == p.PLAY)
    visit, length = steps.visit[step], steps.length[step]
    return Runs(
        step=step,
        user=visits.user[visit],
        begin=visits.start[visit] + steps.elapsed[step] - length,
        length=length,
        unit=rng.standard_exponential(len(step)),
        acting=effects.acting[visit],
    )


def draw_checkouts(
    rng: np.random.Generator, people: People, visits: Visits, steps: Steps
) -> Checkouts:
    """Draw the randomness behind the checkouts."""
    step = np.flatnonzero(steps.state == p.CART)
    visit = steps.visit[step]
    user = visits.user[visit]
    reacts = people.device[user] == p.DEVICES.index(p.TREATED_BUYERS)
    price = p.PRICE * np.exp(p.PRICE_SIGMA * rng.standard_normal(len(step)))
    chance = people.buys[user]
    return Checkouts(
        step=step,
        user=user,
        end=visits.start[visit] + steps.elapsed[step],
        toss=rng.random(len(step)),
        price=np.maximum(np.rint(price * 100), 1).astype(np.int64),
        chance=chance,
        treated_chance=chance * np.where(reacts, p.TREATED_BUYS, 1.0),
    )


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of each user without and with an effect; NaN where a window is not whole.

    Those of the experiment lie in the days after the user's exposure, `adoption`'s in the days
    after the launch, `rollout`'s from the country's day on.
    """

    plays: Pair
    converted: Pair
    revenue: Pair
    retained: Pair
    adoption: Pair
    rollout: Pair


def draw_outcomes(block: Block) -> Outcomes:
    """Return what each user of the block does with each effect and without it."""
    effects, timeline = block.effects, block.timeline
    low, high = _window(effects.exposed_at, p.OUTCOME_DAYS, block.end)
    bought = [_bought(block, low, high, treated=treated) for treated in (False, True)]
    launched = np.where(np.isnan(effects.propensity), NEVER, (timeline.adoption + 1) * p.DAY)
    retained = _seen(block, low + p.RETAINED_FROM_DAY * p.DAY, high)
    return Outcomes(
        plays=_plays(block, TREATED, low, high),
        converted=(bought[0][0], bought[1][0]),
        revenue=(bought[0][1], bought[1][1]),
        retained=(retained, retained),
        adoption=_plays(block, ADOPTED, *_window(launched, p.ADOPTION_OUTCOME_DAYS, block.end)),
        rollout=_plays(
            block, ROLLED, *_window(effects.rolled_at, p.ROLLOUT_OUTCOME_DAYS, block.end)
        ),
    )


def _window(
    begin: NDArray[np.int64], days: int, end: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return windows from `begin` on, of so many days; both ends 0 where one is not whole."""
    whole = begin <= end - days * p.DAY
    return np.where(whole, begin, 0), np.where(whole, begin + days * p.DAY, 0)


def _by_user(
    block: Block, user: NDArray[np.intp], amount: NDArray[np.float64], high: NDArray[np.int64]
) -> NDArray[np.float64]:
    total = np.bincount(user, weights=amount, minlength=len(block.people))
    return np.where(high > 0, total, np.nan)


def _plays(block: Block, bit: int, low: NDArray[np.int64], high: NDArray[np.int64]) -> Pair:
    runs = block.runs
    # only runs that begin in a window, or reach into one
    near = (runs.begin + runs.length >= low[runs.user]) & (runs.begin < high[runs.user])
    user, begin, length = runs.user[near], runs.begin[near], runs.length[near]
    unit, acting = runs.unit[near], runs.acting[near]

    def within(acting: NDArray[np.intp]) -> NDArray[np.float64]:
        n = run_lengths(unit, play_factor(acting))
        # play j is before a moment m where length * j // n < m - begin
        upto, past = (
            np.clip(((edge[user] - begin) * n - 1) // length, 0, n) for edge in (high, low)
        )
        return _by_user(block, user, (upto - past).astype(np.float64), high)

    return within(acting & ~bit), within(acting | bit)


def _bought(
    block: Block, low: NDArray[np.int64], high: NDArray[np.int64], *, treated: bool
) -> Pair:
    """Return who buys in the window, and for how much."""
    checkouts = block.checkouts
    end, user = checkouts.end, checkouts.user
    counts = checkouts.bought(treated) & (end >= low[user]) & (end < high[user])
    revenue = _by_user(block, user[counts], checkouts.price[counts] / 100, high)
    often = _by_user(block, user[counts], np.ones(counts.sum()), high)
    return np.minimum(often, 1.0), revenue


def _seen(block: Block, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return who has an event in the window: ends of steps tell, with any effect or none.

    Whatever an effect adds lies between the ends of two steps of one visit, far shorter than the
    window, so that one of the two is in the window wherever it is.
    """
    steps = block.steps
    user = block.visits.user[steps.visit]
    time = block.visits.start[steps.visit] + steps.elapsed
    counts = (time >= low[user]) & (time < high[user])
    return np.minimum(_by_user(block, user[counts], np.ones(counts.sum()), high), 1.0)
