"""The columns of the three files: events, users (attributes over time) and each user's truth.

Text of few values travels as numbers with a dictionary, all the way into a Parquet file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from . import parameters as p
from . import unfold as u
from .effects import NEVER
from .outcomes import Block, Outcomes

TIMESTAMP = pa.timestamp("us", tz="UTC")
EVENT_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("user_id", pa.string()),
        ("event_time", TIMESTAMP),
        ("event_name", pa.string()),
        ("value", pa.float64()),  # seconds of a play, price of a purchase, else null
        ("session_id", pa.string()),
        ("experiment_id", pa.string()),  # on every event from the user's exposure on
        ("variant", pa.string()),
        ("platform", pa.string()),
        ("device", pa.string()),
        ("geo", pa.string()),
    ]
)
_PLAIN = ("event_id", "event_time", "value")
CODED_SCHEMA = pa.schema(
    field if field.name in _PLAIN else field.with_type(pa.dictionary(pa.int32(), pa.string()))
    for field in EVENT_SCHEMA
)
USER_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("valid_from", TIMESTAMP),
        ("signup_time", TIMESTAMP),
        ("acquisition_channel", pa.string()),
        ("country", pa.string()),
        ("device_type", pa.string()),
        ("uses_playlists", pa.bool_()),  # the adopted feature
    ]
)
TRUTH_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("activity", pa.float64()),
        ("buy_chance", pa.float64()),
        ("lifetime_days", pa.float64()),
        ("churn_time", TIMESTAMP),  # null where it is after the log
        ("arm", pa.string()),
        ("exposure_time", TIMESTAMP),
        *((f"{name}_{arm}", pa.float64())
          for name in ("plays", "converted", "revenue", "retained")
          for arm in p.VARIANTS),
        ("visits_before_launch", pa.int64()),
        ("propensity", pa.float64()),  # null where the user cannot adopt
        ("adopted_time", TIMESTAMP),
        ("plays_unadopted", pa.float64()),
        ("plays_adopted", pa.float64()),
        ("rollout_time", TIMESTAMP),
        ("plays_without_rollout", pa.float64()),
        ("plays_with_rollout", pa.float64()),
    ]
)  # fmt: skip

MOST_USERS = 10**8 - 1  # what the digits of a user_id hold
_CHUNK, _CHUNK_DIGITS = 10_000, 4
_Words = Callable[[NDArray[np.int64]], pa.Array]
_DIGITS = np.array([list(f"{n:04d}".encode()) for n in range(_CHUNK)], np.uint8)


def numbered(prefix: str, numbers: NDArray[np.int64], chunks: int) -> pa.Array:
    """Return `prefix`, one letter, before numbers of four digits a chunk.

    >>> numbered("u", np.array([1, 12345]), chunks=2).to_pylist()
    ['u00000001', 'u00012345']
    """
    width = 1 + chunks * _CHUNK_DIGITS
    letters = np.empty((len(numbers), width), np.uint8)
    letters[:, 0] = ord(prefix)
    rest = numbers
    for last in range(width, 1, -_CHUNK_DIGITS):
        rest, low = np.divmod(rest, _CHUNK)
        letters[:, last - _CHUNK_DIGITS : last] = _DIGITS[low]
    bounds = np.arange(len(numbers) + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(bounds), pa.py_buffer(letters))


def user_ids(numbers: NDArray[np.int64]) -> pa.Array:
    """Return the user ids of 0-based `numbers`."""
    return numbered("u", numbers + 1, chunks=2)


def event_table(records: NDArray[np.void], number: int, start: date) -> pa.Table:
    """Return a piece of the ordered log as CODED_SCHEMA; `number` events stand before it."""
    code, value = records["code"], records["value"]
    variant = code >> u.VARIANT_AT
    columns = [
        numbered("e", np.arange(number + 1, number + 1 + len(records)), chunks=3),
        _coded_ids(records["user"], user_ids),
        timestamps(records["time"], start),
        _coded(code, 0, u.NAME_BITS, p.EVENT_NAMES),
        pa.array(value / 100, mask=value == u.NO_VALUE),
        _coded_ids(records["visit"], lambda n: numbered("s", n + 1, chunks=3)),
        _coded(np.zeros_like(code), 0, 1, [p.EXPERIMENT_ID], mask=variant == 0),
        _coded(np.maximum(variant - 1, 0), 0, 1, p.VARIANTS, mask=variant == 0),
        _coded(code, u.PLATFORM_AT, u.PLATFORM_BITS, p.PLATFORMS),
        _coded(code, u.DEVICE_AT, u.DEVICE_BITS, p.DEVICES),
        _coded(code, u.COUNTRY_AT, u.COUNTRY_BITS, p.COUNTRIES),
    ]
    return pa.Table.from_arrays(columns, schema=CODED_SCHEMA)


def _coded(
    code: NDArray[np.int32],
    at: int,
    bits: int,
    words: Sequence[str],
    mask: NDArray[np.bool_] | None = None,
) -> pa.DictionaryArray:
    places = pa.array((code >> at) & ((1 << bits) - 1), mask=mask)
    return pa.DictionaryArray.from_arrays(places, pa.array(words))


def _coded_ids(numbers: NDArray[np.int64], words: _Words) -> pa.DictionaryArray:
    found = pa.array(np.ascontiguousarray(numbers)).dictionary_encode()
    return pa.DictionaryArray.from_arrays(found.indices, words(found.dictionary.to_numpy()))


def user_table(block: Block, start: date) -> pa.Table:
    """Return what is known of one block's users: a row from the signup, one from the adoption."""
    people, effects = block.people, block.effects
    n = len(people)
    adopters = np.flatnonzero(effects.adopted_at < NEVER)
    signup = signup_times(block)
    user = np.concatenate([np.arange(n), adopters])
    since = np.concatenate([signup, effects.adopted_at[adopters]])
    adopted = np.arange(len(user)) >= n
    order = np.lexsort((since, user))
    user = user[order]
    columns = [
        user_ids(user + block.offset),
        timestamps(since[order], start),
        timestamps(signup[user], start),
        pa.array(p.CHANNELS).take(pa.array(people.channel[user])),
        pa.array(p.COUNTRIES).take(pa.array(people.country[user])),
        pa.array(p.DEVICES).take(pa.array(people.device[user])),
        pa.array(adopted[order]),
    ]
    return pa.Table.from_arrays(columns, schema=USER_SCHEMA)


def signup_times(block: Block) -> NDArray[np.int64]:
    """Return when users signed up: at their first visit, if on a day of the log."""
    first = np.searchsorted(block.visits.user, np.arange(len(block.people)))
    signup_day = block.people.signup_day
    new = signup_day >= 0
    times = signup_day * p.DAY + block.people.signup_moment
    times[new] = block.visits.start[first[new]]
    return times


def truth_table(block: Block, outcomes: Outcomes, start: date) -> pa.Table:
    """Return what really holds of one block's users."""
    people, effects = block.people, block.effects
    gone = (people.signup_day + people.lifetime) * p.DAY
    churn = np.where(gone < block.end, gone, 0).astype(np.int64)
    of_arms = (outcomes.plays, outcomes.converted, outcomes.revenue, outcomes.retained)
    columns = [
        user_ids(np.arange(len(people)) + block.offset),
        pa.array(people.activity),
        pa.array(people.buys),
        pa.array(people.lifetime),
        timestamps(np.where(gone < block.end, churn, NEVER), start),
        pa.array(p.VARIANTS).take(pa.array(people.arm)),
        timestamps(effects.exposed_at, start),
        *(_numbers(values) for pair in of_arms for values in pair),
        pa.array(effects.history),
        _numbers(effects.propensity),
        timestamps(effects.adopted_at, start),
        *(_numbers(values) for values in outcomes.adoption),
        timestamps(effects.rolled_at, start),
        *(_numbers(values) for values in outcomes.rollout),
    ]
    return pa.Table.from_arrays(columns, schema=TRUTH_SCHEMA)


def _numbers(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def timestamps(since: NDArray[np.int64], start: date) -> pa.Array:
    """Return microseconds since `start` as points in time, null where NEVER."""
    epoch = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp())
    never = since == NEVER
    return pa.array(np.where(never, 0, since) + epoch * 1_000_000, mask=never).cast(TIMESTAMP)
