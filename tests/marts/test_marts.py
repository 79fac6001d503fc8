"""The marts equal brute force on random logs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import marts_reference as by_hand
from tests.support.examples import examples
from tests.support.marts_log import (
    NAMES,
    START,
    Event,
    Row,
    World,
    crowd,
    marts_of,
    tiny_spec,
    worlds,
)
from tests.support.marts_reference import GAP, People
from whyrank.spec.durations import parse_duration

SPEC = tiny_spec()
MODES = ("ordered", "strict", "any_order")


def keyed(rows: Sequence[Row], *keys: str) -> dict[Any, Row]:
    """Rows by their grain, which no two may share."""
    found = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        rest = {name: value for name, value in row.items() if name not in keys}
        assert key not in found, key
        found[key[0] if len(key) == 1 else key] = rest
    return found


def check(found: Mapping[Any, Row], expected: Mapping[Any, Row]) -> None:
    """Every row and column equal; moments, which are floats, to a billionth."""
    assert set(found) == set(expected)
    for key, row in expected.items():
        assert set(found[key]) == set(row)
        for name, value in row.items():
            other = found[key][name]
            if isinstance(value, float):
                same = math.isclose(other, value, rel_tol=1e-9, abs_tol=1e-9)
            else:
                same = other == value
            assert same, (key, name, other, value)


@settings(max_examples=examples(5))
@given(world=worlds())
def test_marts_equal_brute_force(world: World) -> None:
    compare(world)


@pytest.mark.parametrize("seed", range(6))
def test_marts_equal_brute_force_in_a_crowd(seed: int) -> None:
    """Many people at once: what is rare in a few of them happens to some."""
    compare(crowd(seed))


@pytest.mark.parametrize("seed", range(4))
def test_marts_of_a_log_that_arrives_in_parts(seed: int) -> None:
    """Late events and later links, each part followed by a build of what it touched."""
    world = crowd(seed)
    log = Random(seed).sample(world.log, len(world.log))  # noqa: S311 - no secret
    half, most = len(log) // 2, len(log) - 20
    first = World(log[:half], world.links[:5], world.plans)
    second = World(log[half:most], world.links[5:-5], first=half)
    last = World(log[most:], world.links[-5:], first=most)
    compare(world, marts_of(last, parts=[first, second]))


def compare(world: World, built: dict[str, list[Row]] | None = None) -> None:
    """Compare every mart with brute force, row by row."""
    people, marts = People(world), built or marts_of(world)
    check(keyed(marts["daily_user_metrics"], "day"), by_hand.daily_user_metrics(people, SPEC))
    check(
        keyed(marts["retention_cohorts"], "cohort_day", "day_number"),
        by_hand.retention_cohorts(people, SPEC),
    )
    check(
        keyed(
            marts["funnel_metrics"],
            "funnel", "mode", "segment", "segment_value", "step", "event_name",
        ),
        by_hand.funnel_metrics(people, SPEC),
    )  # fmt: skip
    check(
        keyed(marts["experiment_units"], "experiment_id", "user_id"),
        by_hand.experiment_units(people, SPEC),
    )
    check(
        keyed(
            marts["experiment_daily_metrics"],
            "experiment_id", "variant", "day", "metric", "min_age",
        ),
        by_hand.experiment_daily_metrics(people, SPEC),
    )  # fmt: skip
    sessions = keyed(marts["sessions"], "user_id", "version", "session_start")
    past = {(row["user_id"], row["version"]) for row in marts["past_versions"]}
    assert {
        (user, start): row["primary_intent"]
        for (user, version, start), row in sessions.items()
        if (user, version) not in past
    } == by_hand.intents(people, SPEC)


def test_funnels_equal_brute_force_on_many_short_logs() -> None:
    """Ties, repetitions and chains of exactly the window's length, more than hypothesis draws."""
    rng = Random(0)  # noqa: S311 - no secret
    gaps = [timedelta(0), timedelta(0), *(timedelta(hours=h) for h in (6, 12, 24)), GAP]
    almost = [timedelta(0), timedelta(0), timedelta(0), timedelta(microseconds=1)]
    log = []
    for number in range(12_000):
        when = START
        for _ in range(rng.randint(1, 8)):
            when += rng.choice(gaps) + rng.choice(almost)
            log.append(Event(f"u{number}", when, rng.choice(NAMES[:4])))
    people, rows = People(World(log)), marts_of(World(log), only=["funnel_days"])["funnel_days"]
    for funnel in SPEC.funnels:
        reached = {person: dict.fromkeys(MODES, 0) for person in people.events}
        for row in rows:
            if row["funnel"] == funnel.name:
                mine = reached[row["user_id"]]
                mine.update({mode: max(mine[mode], row[f"{mode}_step"]) for mode in MODES})
        for person, events in people.events.items():
            deepest = by_hand.depths(events, funnel)
            expected = {mode: step if step > 1 else 0 for mode, step in deepest.items()}
            assert reached[person] == expected, (funnel.name, person)


days = st.integers(1, 9).map(lambda n: date(2026, 3, n))


@settings(max_examples=examples(3))
@given(world=worlds(), day=days)
def test_funnel_days_from_a_day_on_need_one_window_before_it(world: World, day: date) -> None:
    for funnel in SPEC.funnels:
        since = datetime.combine(day, time.min) - parse_duration(funnel.within)
        later = World([e for e in world.log if e.event_time >= since])
        if later.log:
            found, expected = (
                [
                    sorted(row.items())
                    for row in marts_of(w, only=["funnel_days"])["funnel_days"]
                    if row["funnel"] == funnel.name and row["day"] >= day
                ]
                for w in (later, World(world.log))
            )
            assert sorted(found) == sorted(expected)


@settings(max_examples=examples(3))
@given(world=worlds(), day=days)
def test_later_events_change_no_day_of_an_experiment(world: World, day: date) -> None:
    end = datetime.combine(day, time.min) + timedelta(days=1)
    before = World([e for e in world.log if e.event_time < end])
    if before.log:
        name = "experiment_daily_metrics"
        then, now = (
            keyed(
                marts_of(w, only=[name, "sessions"])[name],
                "experiment_id",
                "variant",
                "day",
                "metric",
                "min_age",
            )
            for w in (before, World(world.log))
        )
        last = People(before).last
        check(then, {key: row for key, row in now.items() if key[2] <= last})
