"""The columns of the three files: events, users (attributes over time) and truth.

Blocks of events travel compactly, as numbers (`PART_SCHEMA`), until they are in time order, and
get their words only on the way into the file (`event_table`). Users and truth, far smaller, are
made block by block at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .actions import BOOKING, EVENT_NAMES, SIGNUP, Events, Plan
from .population import CHANNELS, COUNTRIES, DEVICES, PLATFORMS, SEGMENTS, People

TIMESTAMP = pa.timestamp("us", tz="UTC")
# `seq` keeps the order in which a user's events of one microsecond were made
PART_SCHEMA = pa.schema(
    [
        ("time", pa.int64()),
        ("user", pa.int32()),
        ("seq", pa.int32()),
        ("visit", pa.int32()),
        ("name", pa.uint8()),
        ("dwell", pa.int16()),
        ("platform", pa.uint8()),
        ("device", pa.uint8()),
        ("geo", pa.uint8()),
    ]
)
EVENT_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("user_id", pa.string()),
        ("event_time", TIMESTAMP),
        ("event_name", pa.string()),
        ("value", pa.float64()),  # seconds on the page for views, null for deeds
        ("session_id", pa.string()),
        ("platform", pa.string()),
        ("device", pa.string()),
        ("geo", pa.string()),
    ]
)
USER_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("valid_from", TIMESTAMP),
        ("email", pa.string()),
        ("owner", pa.string()),
        ("crm_id", pa.string()),
        ("country", pa.string()),
        ("device_type", pa.string()),
        ("acquisition_channel", pa.string()),
        ("account_balance", pa.float64()),
    ]
)
TRUTH_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("intent", pa.float64()),
        ("segment", pa.string()),
        ("first_seen", TIMESTAMP),
        ("signup_time", TIMESTAMP),
        ("booking_time", TIMESTAMP),
        ("converted_time", TIMESTAMP),
    ]
)

OWNERS = ("Zoë Krüger", "Łukasz Wójcik", "Siobhán O'Neill", "Renée Dubois", "Priya Raman")
FORENAMES = ("alex", "bo", "chris", "dana", "eli", "fran", "gal", "jo", "kim", "lee", "max", "sam")
SURNAMES = ("adams", "brook", "chen", "diaz", "ek", "fox", "gupta", "hahn", "ito", "kaya", "moss")
CHANGE_SHARE = 0.15  # visits of signed-up people that change their balance
CHANGE_MEAN = 90.0  # mean change of the balance at intent 0.5, account currency
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Block:
    """Everything drawn for one block of users; `offset` is the number of its first user."""

    offset: int
    start: date
    people: People
    plan: Plan
    events: Events

    def earliest(self, *names: int) -> NDArray[np.int64]:
        """Return each user's earliest event of these names (of all, if none is given).

        Microseconds since `start`, NEVER where there is no such event.
        """
        earliest = np.full(len(self.people.intent), NEVER)
        chosen = np.isin(self.events.name, names or range(len(EVENT_NAMES)))
        np.minimum.at(earliest, self.events.user[chosen], self.events.time[chosen])
        return earliest


def part_table(block: Block) -> pa.Table:
    """Return one block's events as numbers."""
    events = block.events
    columns: tuple[NDArray[Any], ...] = (
        events.time,
        events.user + block.offset,
        np.arange(len(events.time)),
        events.visit,
        events.name,
        events.dwell,
        events.platform,
        events.device,
        block.people.country[events.user],
    )
    arrays = [
        pa.array(c.astype(f.type.to_pandas_dtype(), copy=False))
        for c, f in zip(columns, PART_SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=PART_SCHEMA)


def event_table(part: pa.RecordBatch, number: int, start: date) -> pa.Table:
    """Return a batch of the ordered log in words; `number` events stand before it."""
    user = user_ids(part["user"])
    dwell = part["dwell"].to_numpy()
    columns = [
        _numbered("e", pa.array(np.arange(number + 1, number + 1 + part.num_rows)), 10),
        user,
        _timestamps(part["time"].to_numpy(), start),
        pa.array(EVENT_NAMES).take(part["name"]),
        pa.array(dwell / 10.0, mask=dwell < 0),
        pc.binary_join_element_wise(user, part["visit"].cast(pa.string()), "-"),
        pa.array(PLATFORMS).take(part["platform"]),
        pa.array(DEVICES).take(part["device"]),
        pa.array(COUNTRIES).take(part["geo"]),
    ]
    return pa.Table.from_arrays(columns, schema=EVENT_SCHEMA)


def truth_table(block: Block) -> pa.Table:
    """Return what really holds of one block's users: intent, segment and conversion times."""
    people, numbers = block.people, np.arange(len(block.people.intent)) + block.offset
    signup, booking = block.earliest(SIGNUP), block.earliest(BOOKING)
    times = (block.earliest(), signup, booking, np.maximum(signup, booking))
    columns = [
        user_ids(pa.array(numbers)),
        pa.array(people.intent),
        pa.array([s.name for s in SEGMENTS]).take(pa.array(people.segment)),
        *(_timestamps(t, block.start) for t in times),
    ]
    return pa.Table.from_arrays(columns, schema=TRUTH_SCHEMA)


def user_table(rng: np.random.Generator, block: Block) -> pa.Table:
    """Return one block's attributes: a row at first sight and one per change of the balance."""
    people, plan = block.people, block.plan
    change = plan.signed & (rng.random(len(plan.user)) < CHANGE_SHARE)
    change &= plan.start > block.earliest(SIGNUP)[plan.user]
    changed = plan.user[change]
    cents = 1 + rng.gamma(2.0, CHANGE_MEAN * 100 * people.intent[changed]).astype(np.int64)

    n = len(people.intent)
    user = np.concatenate([np.arange(n), changed])
    since = np.concatenate([block.earliest(), plan.start[change]])
    cents = np.concatenate([np.zeros(n, np.int64), cents])
    order = np.lexsort((since, user))
    user, since, running = user[order], since[order], np.cumsum(cents[order])
    balance = running - running[np.searchsorted(user, user)]  # each user's first row adds 0
    who = pa.array(user)
    columns = [
        user_ids(pa.array(user + block.offset)),
        _timestamps(since, block.start),
        *(column.take(who) for column in _contacts(rng, people, block.offset)),
        pa.array(balance / 100),
    ]
    return pa.Table.from_arrays(columns, schema=USER_SCHEMA)


def user_ids(numbers: pa.Array) -> pa.Array:
    """Return the user ids of 0-based `numbers`.

    >>> user_ids(pa.array([0, 41])).to_pylist()
    ['u0000001', 'u0000042']
    """
    return _numbered("u", pc.add(numbers.cast(pa.int64()), 1), 7)


def _contacts(rng: np.random.Generator, people: People, offset: int) -> list[pa.Array]:
    n = len(people.intent)
    number = pa.array(np.arange(offset + 1, offset + n + 1))
    forename, surname, owner = (
        pa.array(names).take(pa.array(rng.integers(0, len(names), n)))
        for names in (FORENAMES, SURNAMES, OWNERS)
    )
    local = pc.binary_join_element_wise(forename, surname, number.cast(pa.string()), ".")
    return [
        pc.binary_join_element_wise(local, "example.com", "@"),
        owner,
        _numbered("CRM-", number, 6),
        pa.array(COUNTRIES).take(pa.array(people.country)),
        pa.array(DEVICES).take(pa.array(people.device)),
        pa.array(CHANNELS).take(pa.array(people.channel)),
    ]


def _timestamps(since: NDArray[np.int64], start: date) -> pa.Array:
    """Return microseconds since `start` as points in time, null where NEVER."""
    epoch = datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()
    never = since == NEVER
    return pa.array(np.where(never, 0, since) + int(epoch) * 1_000_000, mask=never).cast(TIMESTAMP)


def _numbered(prefix: str, numbers: pa.Array, width: int) -> pa.Array:
    digits = pc.utf8_lpad(numbers.cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, "")
