"""What people do in a visit: pages, a login, a demo request, the signup, bookings, bursts.

Who converts is decided visit by visit: each visit of someone not yet signed up may be the one
with the signup, with a probability that grows with intent; likewise for bookings, more readily
after the signup. So conversions spread through the period, and many people of high intent have not
converted when it ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .population import DEVICES, People
from .visits import Visits

ROBOT_PRICING_SHARE = 0.3  # of bursts that hammer the pricing page
EVENT_NAMES = (
    "page_view",
    "pricing_view",
    "demo_request",
    "signup",
    "calendar_booking",
    "login",
)
PAGE, PRICING, DEMO, SIGNUP, BOOKING, LOGIN = range(6)

EARLY_BOOKING = 0.15  # chance of booking before signup, against after it
REPEAT_BOOKING = 0.20  # chance of a further booking, against the first
KEPT_AFTER = 0.6  # share of visits that still happen once converted
LOOKS_AFTER = 0.3  # interest in prices and demos once converted, against before
LOGIN_SHARE = 0.8  # visits of signed-up people that begin with a login
OTHER_DEVICE = 0.08  # visits made on another device than the usual one

PAGE_SECONDS = 65.0  # mean time on a page
IDLE_SHARE, IDLE_SECONDS = 0.012, 900.0  # pages left open, and their mean time on top
MAX_PAGE_SECONDS = 1800.0  # the longest time on page that the website reports
BURST_MIN_EVENTS, BURST_MEAN_EXTRA, BURST_MAX_EVENTS = 20, 25, 160
BURST_GAP_SECONDS = 0.3  # mean gap between the events of a burst
TIE_SHARE = 0.05  # gaps in a burst that are nought: two events in the same microsecond


@dataclass(frozen=True)
class Plan:
    """What is to happen in each visit: equally long arrays, one entry a visit.

    `user`, `start` as in Visits; `number` counts a user's visits from 1. A visit is `signed`
    when it comes after the one with the signup.
    """

    user: NDArray[np.intp]
    start: NDArray[np.int64]
    number: NDArray[np.int64]
    burst: NDArray[np.bool_]
    login: NDArray[np.bool_]
    demo: NDArray[np.bool_]
    signup: NDArray[np.bool_]
    booking: NDArray[np.bool_]
    signed: NDArray[np.bool_]
    pages: NDArray[np.int64]  # page and pricing views
    pricing: NDArray[np.float64]  # chance that a page is the pricing page
    device: NDArray[np.intp]
    platform: NDArray[np.intp]


@dataclass(frozen=True)
class Events:
    """The events of one block, by visit and then in the order they were made.

    `user` is the position in the block, `time` microseconds since the period's start, `dwell`
    tenths of a second on the page (-1 where the event is no view).
    """

    user: NDArray[np.intp]
    time: NDArray[np.int64]
    visit: NDArray[np.int64]
    name: NDArray[np.uint8]
    dwell: NDArray[np.int16]
    device: NDArray[np.intp]
    platform: NDArray[np.intp]


def plan_visits(rng: np.random.Generator, people: People, visits: Visits) -> Plan:
    """Decide what happens in each visit; some visits after converting do not happen.

    >>> from .population import draw_people
    >>> people = draw_people(np.random.default_rng(7), 2)
    >>> visits = Visits(np.array([0, 0, 1]), np.array([0, 10**11, 5]))
    >>> plan_visits(np.random.default_rng(7), people, visits).number
    array([1, 2, 1])
    """
    user, n = visits.user, len(visits.user)
    burst = rng.random(n) < people.trait("burst_chance")[user]
    push = (people.intent**2 * people.readiness)[user]
    signup_at, booking_at, booking = _conversions(rng, people, user, push * ~burst)
    order = np.arange(n)
    signed, converted = order > signup_at, order > np.maximum(signup_at, booking_at)

    looks = np.where(converted, LOOKS_AFTER, 1.0)
    demo = (rng.random(n) < people.trait("demo_chance")[user] * push * looks) & ~burst
    login = signed & (rng.random(n) < LOGIN_SHARE) & ~burst
    share = (people.trait("pricing_share") * people.taste * (0.3 + 1.4 * people.intent))[user]
    pricing = np.minimum(share * looks, 0.6)
    # a robot hammers one page, sometimes the pricing page
    pricing = np.where(burst, (rng.random(n) < ROBOT_PRICING_SHARE).astype(np.float64), pricing)
    device = _devices(rng, people, user)
    columns = {
        "user": user,
        "start": visits.start,
        "burst": burst,
        "login": login,
        "demo": demo,
        "signup": order == signup_at,
        "booking": booking,
        "signed": signed,
        "pages": _pages(rng, people, user, burst),
        "pricing": pricing,
        "device": device,
        "platform": np.where(device == 0, 0, people.app[user]),
    }
    keep = ~converted | (rng.random(n) < KEPT_AFTER)
    kept = {name: column[keep] for name, column in columns.items()}
    return Plan(number=_count_within(kept["user"]), **kept)


def draw_events(rng: np.random.Generator, plan: Plan, end: int) -> Events:
    """Unfold visits into events, all before `end` (microseconds since the period's start).

    Times run from each visit's start, so those of one user are nearly but, where two visits
    overlap, not always in order.
    """
    size = plan.pages + plan.login + plan.demo + plan.signup + plan.booking
    first = np.cumsum(size) - size
    visit = np.repeat(np.arange(len(size)), size)
    n = len(visit)

    name = np.where(rng.random(n) < plan.pricing[visit], PRICING, PAGE).astype(np.uint8)
    name[first[plan.login]] = LOGIN
    # deeds of one visit follow one another, with pages before and after
    at = first + plan.login + (rng.random(len(size)) * (plan.pages + 1)).astype(np.int64)
    for code, does in ((DEMO, plan.demo), (SIGNUP, plan.signup), (BOOKING, plan.booking)):
        name[at[does]] = code
        at = at + does

    gap = _gaps(rng, plan.burst[visit])
    elapsed = np.cumsum(gap) - gap
    time = plan.start[visit] + elapsed - elapsed[first][visit]
    shown = np.minimum(gap // 100_000, int(MAX_PAGE_SECONDS * 10))
    dwell = np.where(name <= PRICING, shown, -1).astype(np.int16)
    keep = time < end
    visit = visit[keep]
    return Events(
        user=plan.user[visit],
        time=time[keep],
        visit=plan.number[visit],
        name=name[keep],
        dwell=dwell[keep],
        device=plan.device[visit],
        platform=plan.platform[visit],
    )


def _conversions(
    rng: np.random.Generator,
    people: People,
    user: NDArray[np.intp],
    push: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Return, per visit, the user's signup visit and first booking visit, and who books in it.

    A position past all visits stands for never. `push` scales the probabilities.
    """
    order, n = np.arange(len(user)), len(people.segment)
    signs = rng.random(len(user)) < people.trait("signup_chance")[user] * push
    signup_at = _first(signs, user, n)[user]
    ease = np.where(order >= signup_at, 1.0, EARLY_BOOKING)
    chance = people.trait("booking_chance")[user] * push * ease
    u = rng.random(len(user))
    booking_at = _first(u < chance, user, n)[user]
    again = (order > booking_at) & (u < chance * REPEAT_BOOKING)
    return signup_at, booking_at, (order == booking_at) | again


def _first(hit: NDArray[np.bool_], user: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Return each user's first position where `hit`, or one past all where there is none."""
    at = np.flatnonzero(hit)[::-1]
    first = np.full(n, len(hit))
    first[user[at]] = at  # of repeated indices the last assignment stays: the earliest
    return first


def _count_within(user: NDArray[np.intp]) -> NDArray[np.int64]:
    position = np.arange(len(user))
    new = np.concatenate([[True], user[1:] != user[:-1]])
    return position - np.maximum.accumulate(np.where(new, position, 0)) + 1


def _pages(
    rng: np.random.Generator,
    people: People,
    user: NDArray[np.intp],
    burst: NDArray[np.bool_],
) -> NDArray[np.int64]:
    mean = people.trait("pages_per_visit")
    depth = 1 + (mean - 1) * people.depth * (0.6 + 0.8 * people.intent)
    pages = rng.geometric(1 / depth[user])
    pages[burst] = BURST_MIN_EVENTS - 1 + rng.geometric(1 / BURST_MEAN_EXTRA, burst.sum())
    return np.minimum(pages, BURST_MAX_EVENTS)


def _devices(rng: np.random.Generator, people: People, user: NDArray[np.intp]) -> NDArray[np.intp]:
    other = rng.random(len(user)) < OTHER_DEVICE
    step = rng.integers(1, len(DEVICES), len(user))
    return (people.device[user] + np.where(other, step, 0)) % len(DEVICES)


def _gaps(rng: np.random.Generator, burst: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Draw the time from each event to the next, microseconds."""
    unit, u = rng.standard_exponential(len(burst)), rng.random(len(burst))
    idle = PAGE_SECONDS + IDLE_SECONDS * (u < IDLE_SHARE)
    quick = BURST_GAP_SECONDS * (u >= TIE_SHARE)
    return (unit * np.where(burst, quick, idle) * 1e6).astype(np.int64)
