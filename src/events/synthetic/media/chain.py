"""What people do in a visit: a first-order Markov chain, walked in steps.

A step is a view, a search, a like, a whole run of plays, or a checkout (add_to_cart, perhaps with
a purchase). Steps and their times are drawn once. How long a run is and whether a checkout ends
in a purchase depend on what acts on the visit, and change nothing else: the events of a step lie
between the end of the step before and its own end. A run's length is geometric and a purchase is
one toss, so that the events form a first-order chain too: see `event_chances`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import parameters as p

_SECOND = 1_000_000


@dataclass(frozen=True)
class Steps:
    """The steps of one block's visits, by visit and in order.

    `visit` is the position of the visit, `state` one of VIEW, SEARCH, PLAY, CART, LIKE. A step
    ends `elapsed` microseconds after its visit's start and lasts `length`; the first takes none.
    """

    visit: NDArray[np.intp]
    state: NDArray[np.intp]
    length: NDArray[np.int64]
    elapsed: NDArray[np.int64]
    visit_length: NDArray[np.int64]  # one entry a visit


def walk(rng: np.random.Generator, visits: int) -> Steps:
    """Draw the steps of so many visits.

    >>> steps = walk(np.random.default_rng(7), 1000)
    >>> bool((steps.length[np.flatnonzero(np.diff(steps.visit, prepend=-1))] == 0).all())
    True
    """
    visit, state, first = _states(rng, visits)
    mean = (np.array(p.STEP_SECONDS) * _SECOND).astype(np.float32)
    drawn = rng.standard_exponential(len(visit), dtype=np.float32) * mean[state]
    most = (p.STEP_MOST - p.STEP_LEAST) * _SECOND
    length = np.minimum(drawn, most).astype(np.int64) + int(p.STEP_LEAST * _SECOND)
    length[first] = 0
    elapsed = np.cumsum(length)
    elapsed -= elapsed[first][visit]
    last = np.append(first[1:], len(visit)) - 1
    return Steps(visit, state, length, elapsed, elapsed[last])


def _states(
    rng: np.random.Generator, visits: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Walk all visits side by side; return visit and state of each step, and first steps."""
    # row s of the chances fills the interval from s to s + 1 of one ladder
    rungs = np.cumsum(p.NEXT_CHANCE, axis=1)[:, :-1] + np.arange(len(p.EVENT_NAMES))[:, None]
    ladder, width = rungs.ravel(), rungs.shape[1]
    going = np.arange(visits)
    state = np.searchsorted(np.cumsum(p.START_CHANCE)[:-1], rng.random(visits), side="right")
    steps = [(going, state)]
    while len(going):
        state = (
            np.searchsorted(ladder, state + rng.random(len(going)), side="right") - width * state
        )
        stays = state < p.END
        going, state = going[stays], state[stays]
        steps.append((going, state))
    size = np.zeros(visits, np.intp)
    for still, _ in steps:
        size[still] += 1
    first = np.cumsum(size) - size
    states = np.empty(size.sum(), np.intp)
    for number, (still, state) in enumerate(steps):
        states[first[still] + number] = state
    return np.repeat(np.arange(visits), size), states, first


def run_lengths(unit: NDArray[np.float64], factor: NDArray[np.float64]) -> NDArray[np.int64]:
    """Turn exponential draws into lengths of runs of plays whose mean is lengthened by `factor`.

    Geometric from 1; of one draw, a larger factor never gives a shorter run.

    >>> unit = np.random.default_rng(7).standard_exponential(200_000)
    >>> mean = run_lengths(unit, np.full(len(unit), 1.08)).mean()
    >>> bool(abs(mean - 1.08 / (1 - p.PLAY_AGAIN)) < 0.03)
    True
    """
    again = 1 - (1 - p.PLAY_AGAIN) / factor
    return 1 + (unit / -np.log(again)).astype(np.int64)


def event_chances(play_factor: float = 1.0, buys: float | None = None) -> NDArray[np.float64]:
    """Return next events' probabilities: rows as EVENT_NAMES, columns too and then the end.

    `buys` is the probability of a purchase after add_to_cart; the mean over people when None.

    >>> event_chances().sum(axis=1).round(12).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    chance = mean_buys() if buys is None else buys
    again = 1 - (1 - p.PLAY_AGAIN) / play_factor
    found = p.NEXT_CHANCE.copy()
    found[p.PLAY] *= 1 - again
    found[p.PLAY, p.PLAY] = again
    found[p.CART] *= 1 - chance
    found[p.CART, p.PURCHASE] = chance
    return found


def mean_buys() -> float:
    """Return the probability of a purchase after add_to_cart, mean over people."""
    alpha, beta = p.BUY_SHAPE
    return p.BUY_MOST * alpha / (alpha + beta)


def expected_events() -> NDArray[np.float64]:
    """Return the expected events of a visit, by EVENT_NAMES, with no effect at work.

    The row of the fundamental matrix (I - Q)^-1 that starts a visit.
    """
    inside = event_chances()[:, : p.END]
    return np.asarray(np.linalg.solve(np.eye(len(inside)) - inside.T, p.START_CHANCE))
