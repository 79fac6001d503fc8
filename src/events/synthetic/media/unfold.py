"""Steps to events, as compact records of numbers that wait on disk until they are in time order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import parameters as p
from .effects import TREATED
from .outcomes import Block

# `visit` numbers all visits of the world; `value` is in hundredths, NO_VALUE for none; `code`
# packs the positions of name, device, platform, country and variant (0 for no experiment)
RECORD = np.dtype(
    [("time", "<i8"), ("visit", "<i8"), ("user", "<i4"), ("value", "<i4"), ("code", "<i4")],
    align=True,
)
NO_VALUE = -1
NAME_BITS, DEVICE_BITS, PLATFORM_BITS, COUNTRY_BITS = 3, 2, 2, 3
DEVICE_AT = NAME_BITS
PLATFORM_AT = DEVICE_AT + DEVICE_BITS
COUNTRY_AT = PLATFORM_AT + PLATFORM_BITS
VARIANT_AT = COUNTRY_AT + COUNTRY_BITS


def unfold(rng: np.random.Generator, block: Block, visits_before: int) -> NDArray[np.void]:
    """Return the events that the log shows, by user, visit and time, as RECORDs."""
    steps, runs, checkouts = block.steps, block.runs, block.checkouts
    treated = (block.effects.acting[steps.visit[checkouts.step]] & TREATED) > 0
    sold = checkouts.bought(treated)
    bought = checkouts.step[sold]
    size = np.ones(len(steps.visit), np.int64)
    size[runs.step] = runs.plays(runs.acting)
    size[bought] = 2
    first = np.cumsum(size) - size
    step = np.repeat(np.arange(len(size)), size)
    visit = steps.visit[step]
    length = steps.length[step]
    place = np.arange(1, len(step) + 1) - first[step]
    name = steps.state[step].astype(np.int32)
    name[first[bought] + 1] = p.PURCHASE

    events = np.empty(len(step), RECORD)
    begin = block.visits.start[steps.visit] + steps.elapsed - steps.length
    events["time"] = begin[step] + length * place // size[step]
    events["visit"] = visit + visits_before
    events["user"] = block.visits.user[visit] + block.offset
    events["code"] = _visit_codes(rng, block)[visit] | name
    events["value"] = NO_VALUE
    plays = np.flatnonzero(name == p.PLAY)
    events["value"][plays] = _seconds(rng, block, visit[plays])
    events["value"][first[bought] + 1] = checkouts.price[sold]
    return events


def _visit_codes(rng: np.random.Generator, block: Block) -> NDArray[np.int32]:
    """Return what all events of a visit share: device, platform, country, variant."""
    people, user = block.people, block.visits.user
    other = rng.random(len(user)) < p.OTHER_DEVICE
    step = rng.integers(1, len(p.DEVICES), len(user))
    device = (people.device[user] + other * step) % len(p.DEVICES)
    web, tv = p.PLATFORMS.index("web"), p.PLATFORMS.index("tv")
    platform = np.select(
        [device == p.DEVICES.index("mobile"), device == p.DEVICES.index("tv")],
        [people.phone[user], tv],
        default=web,
    )
    exposed = block.visits.start >= block.effects.exposed_at[user]
    code = (
        device << DEVICE_AT
        | platform << PLATFORM_AT
        | people.country[user] << COUNTRY_AT
        | (exposed * (people.arm[user] + 1)) << VARIANT_AT
    )
    return np.asarray(code, np.int32)


def _seconds(rng: np.random.Generator, block: Block, visit: NDArray[np.intp]) -> NDArray[np.int32]:
    """Draw the seconds of plays, in hundredths, to the tenth."""
    spread = rng.standard_normal(len(visit), dtype=np.float32) * np.float32(p.PLAY_SIGMA)
    drifted = block.visits.day >= block.timeline.drift
    median = np.where(drifted, p.DRIFTED_SECONDS, 1.0).astype(np.float32) * p.PLAY_SECONDS
    seconds = np.minimum(np.exp(spread) * median[visit].astype(np.float32), p.PLAY_MOST)
    return np.asarray(np.rint(seconds * 10), np.int32) * 10
