"""Random logs, and the same features by brute force, one user at a time, in plain Python."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pandas as pd
from hypothesis import strategies as st

from whyrank.spec.load import parse_spec
from whyrank.spec.model import Spec

START = datetime(2026, 3, 1)
GAP = timedelta(minutes=30)
NAMES = ("view", "click", "buy")
DEVICES = ("phone", "desk", None)

SPEC_HEAD = """
name = "tiny"
version = "1"
description = "Every operation once."
[events]
view = { description = "A view." }
click = { description = "A click." }
buy = { description = "A purchase." }
secret = { description = "Knows the future.", label_only = true }
[sessions]
spam_events = 3
spam_seconds = 60
repeat_within = "1d"
bounce_events = 1
[users.attributes]
plan = { static = false }
country = { static = true }
[target]
events = ["buy"]
horizon = "5d"
description = "Buys."
[[scorecard.terms]]
name = "v"
feature = "views"
points = 100
transform = "linear"
cap = 5
reason = "saw {value}"
[bands]
medium = 20
high = 60
[metrics]
revenue = ["buy"]
[[funnels]]
name = "to_buy"
steps = ["view", "click", "buy"]
within = "1d"
"""

FEATURES = """
views: op="count", events=["view"]
views_3d: op="count", events=["view"], window="3d"
anything: op="count"
spent: op="sum", events=["buy"], column="value"
spent_2d: op="sum", events=["buy"], column="value", window="2d"
avg_value: op="mean", column="value"
least: op="min", column="value", window="4d"
most: op="max", column="value"
days: op="active_days"
buy_days_3d: op="active_days", events=["buy"], window="3d"
last: op="days_since_last"
last_buy: op="days_since_last", events=["buy"]
first: op="days_since_first", events=["click"]
buy_share: op="share", events=["buy"]
device: op="latest", type="text", column="device"
device_3d: op="latest", type="text", column="device", window="3d"
prop: op="latest", type="text", column="properties.color"
devices: op="distinct", column="device"
devices_3d: op="distinct", column="device", window="3d"
favourite: op="most_frequent", type="text", column="device"
favourite_2d: op="most_frequent", type="text", column="device", where="value > 0", window="2d"
trips: op="count", events=["buy"], min_gap="1d"
big: op="count", where="value > 10 and device = 'desk'"
sessions: op="sessions"
sessions_3d: op="sessions", window="3d"
bounce_rate: op="session_share", where="is_bounce"
repeat_rate: op="session_share", where="is_repeat"
spam: op="session_sum", column="events", where="is_spam"
length: op="session_mean", column="seconds"
plan: op="attribute", type="text", column="plan", null="none"
country: op="attribute", type="text", column="country"
per_view: op="expression", sql="spent / nullif(views, 0) + coalesce(least, 0)"
per_sight: op="expression", sql="spent / views"
log_spent: op="expression", sql="ln(spent) + sqrt(least)"
bent: op="expression", sql="pow(least, days / 2) + exp(50 * most) + log(2, avg_value)"
whole: op="expression", sql="cast(1e18 * spent as bigint)"
rate: op="entity_rate", events=["click"], column="device", outcome=["buy"], within="2d", smoothing=4
lag: op="entity_rate", events=["click"], column="device", outcome=["buy"], within="2d", min_gap="2h"
worth: op="entity_mean", events=["click"], column="device", of="value", smoothing=3
seen: op="entity_count", events=["view"], column="properties.color"
seen_big: op="entity_count", column="device", where="value > 10"
"""


def tiny_spec(features: str = FEATURES, *, more: str = "") -> Spec:
    """A spec that uses every operation; more: lines that follow those of its funnel."""
    blocks = []
    for line in features.strip().splitlines():
        name, _, rest = line.partition(": ")
        keys = rest.replace(', sql="', '\nsql = "').replace('", ', '"\n').replace("], ", "]\n")
        blocks.append(f'[[features]]\nname = "{name}"\ndescription = "d"\n{keys}\n')
    return parse_spec(SPEC_HEAD + more + "\n" + "\n".join(blocks), "tiny.toml")


@dataclass(frozen=True)
class Event:
    user_id: str
    event_id: str
    event_time: datetime
    event_name: str
    value: float | None
    device: str | None
    color: str | None


@st.composite
def logs(draw: st.DrawFn, users: int = 8, most: int = 14) -> list[Event]:
    """Logs of several users; gaps are drawn near the limits, ties included."""
    gaps = st.sampled_from(
        [0, 1, 60_000_000, 1_800_000_000, 1_800_000_001, 1_799_999_999, 7_200_000_000,
         43_200_000_000, 86_400_000_000, 86_399_999_999, 100_000_000_000]
    )  # fmt: skip
    found: list[Event] = []
    for number in range(draw(st.integers(1, users))):
        when = START + timedelta(microseconds=draw(st.integers(0, 86_400 * 10**6 * 2)))
        if draw(st.booleans()):
            when = datetime(2026, 3, 2) - GAP * draw(st.integers(0, 2))
        for position in range(draw(st.integers(1, most))):
            when += timedelta(microseconds=draw(gaps))
            value = draw(st.one_of(st.none(), st.integers(-5, 40).map(lambda n: n / 2)))
            found.append(
                Event(
                    f"u{number}",
                    f"u{number}-{position:03d}",
                    when,
                    draw(st.sampled_from(NAMES)),
                    value,
                    draw(st.sampled_from(DEVICES)),
                    draw(st.sampled_from(["red", "blue", None])),
                )
            )
    return found


def frame(log: list[Event]) -> pd.DataFrame:
    """The log as the data frame that whyrank reads."""
    return pd.DataFrame(
        {
            "user_id": [e.user_id for e in log],
            "event_id": [e.event_id for e in log],
            "event_time": pd.Series([e.event_time for e in log], dtype="datetime64[us]"),
            "event_name": [e.event_name for e in log],
            "value": pd.Series([e.value for e in log], dtype="float64"),
            "device": [e.device for e in log],
            "properties": [None if e.color is None else f'{{"color": "{e.color}"}}' for e in log],
        }
    )


@dataclass(frozen=True)
class Session:
    start: datetime
    end: datetime
    events: int
    before: datetime | None

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    @property
    def close_day(self) -> date:
        return (self.end + GAP).date()


def sessions_of(events: list[Event]) -> list[Session]:
    """Split one user's events at gaps of more than 30 minutes, by walking through them."""
    runs: list[list[datetime]] = []
    befores: list[datetime | None] = []
    for event in sorted(events, key=lambda e: e.event_time):
        if runs and event.event_time - runs[-1][-1] <= GAP:
            runs[-1].append(event.event_time)
        else:
            befores.append(runs[-1][-1] if runs else None)
            runs.append([event.event_time])
    return [
        Session(run[0], run[-1], len(run), before)
        for run, before in zip(runs, befores, strict=True)
    ]


def features_by_hand(log: list[Event], user: str, as_of: date) -> dict[str, object]:
    """Every feature of the tiny spec but the attributes, for one user, by brute force."""
    midnight = datetime(as_of.year, as_of.month, as_of.day)
    mine = sorted(
        (e for e in log if e.user_id == user and e.event_time < midnight),
        key=lambda e: (e.event_time, e.event_id),
    )

    def within(days: int) -> list[Event]:
        return [e for e in mine if e.event_time >= midnight - timedelta(days=days)]

    def named(events: list[Event], name: str) -> list[Event]:
        return [e for e in events if e.event_name == name]

    def values(events: list[Event]) -> list[float]:
        return [e.value for e in events if e.value is not None]

    def ago(events: list[Event], pick: Callable[[list[date]], date]) -> int | None:
        days = [e.event_time.date() for e in events]
        return (as_of - pick(days)).days - 1 if days else None

    def latest(events: list[Event], of: Callable[[Event], str | None]) -> str | None:
        known = [of(e) for e in events if of(e) is not None]
        return known[-1] if known else None

    def favourite(events: list[Event]) -> str | None:
        known = [(e.device, e.event_time.date()) for e in events if e.device is not None]
        times = Counter(device for device, _ in known)
        last = {device: max(day for d, day in known if d == device) for device in times}
        return max(times, key=lambda d: (times[d], last[d], d), default=None)

    buys = named(mine, "buy")
    trips = sum(
        1
        for i, e in enumerate(buys)
        if i == 0 or e.event_time - buys[i - 1].event_time >= timedelta(days=1)
    )
    closed = [s for s in sessions_of(mine) if s.end + GAP < midnight]
    recent = [s for s in closed if s.close_day >= as_of - timedelta(days=3)]
    spam = [s for s in closed if s.events >= 3 and s.seconds <= 60 * (s.events - 1)]
    repeats = [
        s for s in closed if s.before is not None and s.start - s.before <= timedelta(days=1)
    ]
    spent, views = sum(values(buys)), len(named(mine, "view"))
    least = min(values(within(4)), default=None)
    return {
        "views": views,
        "views_3d": len(named(within(3), "view")),
        "anything": len(mine),
        "spent": spent,
        "spent_2d": sum(values(named(within(2), "buy"))),
        "avg_value": sum(values(mine)) / len(values(mine)) if values(mine) else None,
        "least": least,
        "most": max(values(mine), default=None),
        "days": len({e.event_time.date() for e in mine}),
        "buy_days_3d": len({e.event_time.date() for e in named(within(3), "buy")}),
        "last": ago(mine, max),
        "last_buy": ago(buys, max),
        "first": ago(named(mine, "click"), min),
        "buy_share": len(buys) / len(mine) if mine else None,
        "device": latest(mine, lambda e: e.device),
        "device_3d": latest(within(3), lambda e: e.device),
        "prop": latest(mine, lambda e: e.color),
        "devices": len({e.device for e in mine} - {None}),
        "devices_3d": len({e.device for e in within(3)} - {None}),
        "favourite": favourite(mine),
        "favourite_2d": favourite([e for e in within(2) if (e.value or 0) > 0]),
        "trips": trips,
        "big": sum(1 for e in mine if (e.value or 0) > 10 and e.device == "desk"),
        "sessions": len(closed),
        "sessions_3d": len(recent),
        "bounce_rate": sum(s.events == 1 for s in closed) / len(closed) if closed else None,
        "repeat_rate": len(repeats) / len(closed) if closed else None,
        "spam": float(sum(s.events for s in spam)),
        "length": sum(s.seconds for s in closed) / len(closed) if closed else None,
        "per_view": spent / views + (least or 0) if views else None,
        "per_sight": defined(lambda: spent / views),
        "log_spent": defined(lambda: math.log(spent) + math.sqrt(least)),
        "bent": defined(
            lambda: (
                math.pow(least, len({e.event_time.date() for e in mine}) / 2)
                + math.exp(50 * max(values(mine)))
                + math.log2(sum(values(mine)) / len(values(mine)))
            )
        ),
        "whole": 1e18 * spent if abs(1e18 * spent) < 2**63 else None,
        "worth": _worth_by_hand(log, latest(named(mine, "click"), lambda e: e.device), midnight),
        "seen": _seen_by_hand(named(log, "view"), named(mine, "view"), "color", midnight),
        "seen_big": _seen_by_hand(
            *([e for e in some if (e.value or 0) > 10] for some in (log, mine)), "device", midnight
        ),
        "rate": _rate_by_hand(
            log, latest(named(mine, "click"), lambda e: e.device), midnight, smoothing=4
        ),
        "lag": _rate_by_hand(
            log,
            latest(named(mine, "click"), lambda e: e.device),
            midnight,
            smoothing=50,
            gap=timedelta(hours=2),
        ),
    }


def defined(value: Callable[[], float]) -> float | None:
    """What Python computes, or None where it says that there is no such number."""
    try:
        return value()
    except (ArithmeticError, ValueError, TypeError):
        return None


def _seen_by_hand(
    everyone: list[Event], mine: list[Event], column: str, midnight: datetime
) -> int | None:
    """How many events of all users before midnight have what the user's latest one has."""
    known = [getattr(e, column) for e in mine if getattr(e, column) is not None]
    if not known:
        return None
    return sum(getattr(e, column) == known[-1] for e in everyone if e.event_time < midnight)


def _worth_by_hand(log: list[Event], device: str | None, midnight: datetime) -> float | None:
    """The mean value of clicks on a device, drawn toward the overall mean (weight 3)."""
    known = [
        e
        for e in log
        if e.event_name == "click"
        and e.device is not None
        and e.value is not None
        and e.event_time < midnight
    ]
    if not known:
        return None
    overall = sum(e.value or 0 for e in known) / len(known)
    like = [e.value or 0 for e in known if e.device == device]
    return (sum(like) + 3 * overall) / (len(like) + 3)


def _rate_by_hand(
    log: list[Event],
    entity: str | None,
    midnight: datetime,
    *,
    smoothing: float,
    gap: timedelta = timedelta(microseconds=1),
) -> float | None:
    """The smoothed share of clicks on a device followed by a purchase within two days."""
    trials: Counter[str] = Counter()
    successes: Counter[str] = Counter()
    for event in log:
        closes = event.event_time + timedelta(days=2)
        if event.event_name != "click" or event.device is None:
            continue
        if datetime(closes.year, closes.month, closes.day) >= midnight:
            continue
        trials[event.device] += 1
        successes[event.device] += any(
            other.user_id == event.user_id
            and other.event_name == "buy"
            and event.event_time + gap <= other.event_time <= closes
            for other in log
        )
    if not trials:
        return None
    overall = sum(successes.values()) / sum(trials.values())
    known = entity or ""
    return (successes[known] + smoothing * overall) / (trials[known] + smoothing)
