"""Marts built load by load equal those of the whole log, in whatever order it arrives."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.marts_log import HEAD, MARTS, NOW, World, frames, worlds
from whyrank.features.compiler import compile_features
from whyrank.spec.load import parse_spec
from whyrank.warehouse.dbt_project.changes import NO_DAY, changes_since
from whyrank.warehouse.dbt_project.in_memory import run_models
from whyrank.warehouse.dbt_project.render import models_of, render_project
from whyrank.warehouse.landing.load import create_landing, load

SPEC = parse_spec(HEAD + MARTS, "tiny.toml")
FILES = render_project(SPEC, compile_features(SPEC), [date(2026, 3, 9)])
# Views follow their tables; changed users are those of the last load, which differ by design.
TABLES = sorted(set(models_of(FILES)) - {"changed_users", "changed_events", "changed_attributes"})
Rows = dict[tuple[Any, ...], tuple[Any, ...]]


def take(con: duckdb.DuckDBPyConnection, kind: str, rows: pd.DataFrame, **options: bool) -> None:
    if len(rows):
        con.register("arriving", rows)
        load(con, SPEC, "arriving", kind=kind, now=NOW, **options)
        con.unregister("arriving")


def last_load(con: duckdb.DuckDBPyConnection) -> int:
    found = con.execute("select coalesce(max(load_id), 0) from tiny_landing.loads").fetchone()
    return int(found[0]) if found else 0


def build(con: duckdb.DuckDBPyConnection, schema: str, built: int | None = None) -> None:
    changes = None if built is None else changes_since(con, SPEC, built, marts=schema)
    run_models(con, FILES, schema=schema, landing="tiny_landing", changes=changes)


def rows_of(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> list[tuple[Any, ...]]:
    found = con.execute(f"select * from {schema}.{table}").fetchall()
    # Sorted by what is no float: floats may differ in their last digits.
    return sorted(found, key=lambda row: repr([v for v in row if not isinstance(v, float)]))


def alike(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other


def check(con: duckdb.DuckDBPyConnection) -> None:
    for table in TABLES:
        later, anew = rows_of(con, "later", table), rows_of(con, "anew", table)
        assert len(later) == len(anew), (table, later, anew)
        for one, other in zip(later, anew, strict=True):
            assert all(map(alike, one, other)), (table, one, other)


@st.composite
def deliveries(draw: st.DrawFn, world: World) -> list[dict[str, pd.DataFrame]]:
    """The world in two to four loads: as time goes on, or some events late; all else anywhere."""
    whole = frames(world)
    count = draw(st.integers(2, 4))
    order = whole["events"].sort_values("event_time").index
    cuts = sorted(draw(st.integers(0, len(order))) for _ in range(count - 1))
    late = draw(st.booleans())
    part_of = {}
    for position, index in enumerate(order):
        on_time = sum(position >= cut for cut in cuts)
        part_of[index] = draw(st.integers(on_time, count - 1)) if late else on_time
    parts = []
    for number in range(count):
        events = whole["events"].loc[[i for i in order if part_of[i] == number]]
        parts.append({"events": events})
    for kind in ("users", "aliases"):
        chosen = [draw(st.integers(0, count - 1)) for _ in range(len(whole[kind]))]
        for number in range(count):
            parts[number][kind] = whole[kind][[c == number for c in chosen]]
    return parts


@st.composite
def corrections(draw: st.DrawFn, log: pd.DataFrame) -> pd.DataFrame:
    """Some events as they should have been; moving the last ones back makes the log shorter."""
    picked = draw(st.lists(st.sampled_from(list(log.index[-8:])), max_size=3, unique=True))
    changed = log.loc[picked].copy()
    hours = [draw(st.sampled_from([0, -1, -30, -75])) for _ in picked]
    changed["event_time"] += pd.Series(
        [timedelta(hours=h) for h in hours], index=changed.index, dtype="timedelta64[us]"
    )
    return changed


@settings(max_examples=examples(4), deadline=None)
@given(world=worlds(), data=st.data())
def test_marts_built_load_by_load_equal_those_of_the_whole_log(
    world: World, data: st.DataObject
) -> None:
    parts = data.draw(deliveries(world), label="deliveries")
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        create_landing(con, SPEC)
        built: int | None = None
        for part in parts:
            for kind, rows in part.items():
                take(con, kind, rows)
            log = standing(con)
            if len(log) and data.draw(st.booleans(), label="restate"):
                take(con, "events", data.draw(corrections(log)), restate=True)
            if len(log) and last_load(con) != built:
                build(con, "later", built)
                built = last_load(con)
        if built is not None:
            build(con, "anew")
            check(con)


def standing(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return con.execute(
        "select user_id, event_id, event_time, event_name, value, experiment_id, variant "
        "from tiny_landing.events order by event_time, event_id"
    ).df()


def test_users_alone_change_no_day() -> None:
    """Attributes that are given again are taken up, and no event is read for them."""
    times = [datetime(2026, 3, d, 9) for d in (1, 2, 3)]
    events = pd.DataFrame(
        {
            "user_id": "ana", "event_id": ["a", "b", "c"], "event_time": times,
            "event_name": "view", "value": 1.0, "experiment_id": "e1", "variant": "a",
        }
    )  # fmt: skip
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        create_landing(con, SPEC)
        take(con, "events", events)
        take(con, "users", pd.DataFrame({"user_id": ["ana"], "plan": ["free"]}))
        build(con, "later")
        take(con, "users", pd.DataFrame({"user_id": ["ana"], "plan": ["paid"]}))
        assert changes_since(con, SPEC, 2, marts="later").since == NO_DAY
        build(con, "later", 2)
        build(con, "anew")
        check(con)
        assert con.execute("select plan from later.experiment_units").fetchall() == [("paid",)]


def test_a_log_that_got_shorter_leaves_no_days_behind() -> None:
    """The last day, days after the one before it, is restated to nothing that anybody may see.

    Bo, whom no load touches, was old enough for every metric and is not any more.
    """
    log = pd.DataFrame(
        {
            "user_id": ["bo", "ana", "ana", "ana", "ana"], "event_id": ["z", "a", "b", "c", "d"],
            "event_time": [datetime(2026, 3, d, 9) for d in (1, 1, 2, 8, 8)],
            "event_name": ["view", "view", "view", "view", "secret"],
            "value": 1.0, "experiment_id": "e1", "variant": "a",
        }
    )  # fmt: skip
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        create_landing(con, SPEC)
        take(con, "events", log)
        build(con, "later")
        take(con, "events", log.tail(1), restate=True)
        assert changes_since(con, SPEC, 1, marts="later").since == date(2026, 3, 8)
        build(con, "later", 1)
        build(con, "anew")
        check(con)
        assert con.execute("select max(day) from later.daily_user_metrics").fetchall() == [
            (date(2026, 3, 2),)
        ]


def test_a_day_at_a_time() -> None:
    """Units of every age, old and new, on each of the days that come one by one.

    Each in two loads; some events are of midnight, and one user's sessions go on past it.
    """
    days = [date(2026, 3, 1) + timedelta(days=n) for n in range(9)]
    names = ["click", "buy", "view", "secret"]
    rows = [
        {
            "user_id": f"u{first}-{other}", "event_id": f"{first}-{other}-{day}",
            "event_time": datetime(2026, 3, day + 1, first), "value": float(first + day),
            "event_name": names[(first + other + day) % 4],
            "experiment_id": "e1", "variant": "ab"[other],
        }
        for first in range(9)
        for other in range(2)
        for day in range(first, 9)
        if (first * day + other) % 3
    ]  # fmt: skip
    night = [datetime(2026, 3, d, *at) for d in range(1, 10) for at in [(0, 10), (23, 50)]]
    rows += [
        {
            "user_id": "night", "event_id": f"night-{n}", "event_time": time, "value": 1.0,
            "event_name": "view", "experiment_id": None, "variant": None,
        }
        for n, time in enumerate(night)
    ]  # fmt: skip
    log = pd.DataFrame(rows)
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        create_landing(con, SPEC)
        for day in days:
            mine = log[log["event_time"].dt.date == day]
            for half in (mine[::2], mine[1::2]):
                take(con, "events", half)
                build(con, "later", last_load(con) - 1 or None)
        build(con, "anew")
        check(con)
