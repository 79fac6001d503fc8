"""Incremental builds: in whatever order events arrive, the tables are those of a full build."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import duckdb
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.tiny_landing import arrivals, landing, last_load, take
from tests.support.tiny_log import Event, frame, tiny_spec
from whyrank.features.compiler import compile_features
from whyrank.spec.load import load_spec
from whyrank.warehouse.dbt_project.changes import EVERY_DAY, changes_since
from whyrank.warehouse.dbt_project.in_memory import run_models
from whyrank.warehouse.dbt_project.render import render_project
from whyrank.warehouse.landing.load import create_landing, load

SPEC = tiny_spec()
NOW = datetime(2026, 6, 1)
FILES = render_project(SPEC, compile_features(SPEC), [date(2026, 3, 3), date(2026, 3, 9)])
TABLES = (
    "sessions",
    "user_days",
    "user_day_values",
    "entity_days",
    "outcomes",
    "daily_events",
    "user_features",
    "daily_user_metrics",
    "retention_cohorts",
    "funnel_days",
    "funnel_metrics",
)


def build(con: duckdb.DuckDBPyConnection, schema: str, built_load: int | None = None) -> None:
    changes = None if built_load is None else changes_since(con, SPEC, built_load, marts=schema)
    run_models(con, FILES, schema=schema, landing="tiny_landing", changes=changes)


def differences(con: duckdb.DuckDBPyConnection, one: str, other: str) -> dict[str, list[object]]:
    """Rows that stand in one schema and not in the other, by table."""
    found = {}
    for table in TABLES:
        for a, b in ((one, other), (other, one)):
            rows = con.execute(
                f"select * from {a}.{table} except all select * from {b}.{table}"
            ).fetchall()
            if rows:
                found[f"{table} only in {a}"] = rows
    return found


def restated(log: list[Event], brought: list[Event]) -> list[Event]:
    """The log after a load that holds all events of its days, by walking through it."""
    days = {e.event_time.date() for e in brought}
    ids = {e.event_id for e in brought}
    stay = [e for e in log if e.event_time.date() not in days and e.event_id not in ids]
    return [*stay, *brought]


@st.composite
def corrections(draw: st.DrawFn, log: list[Event]) -> list[Event]:
    """A few events of the log as they should have been: other values, another hour, or new ids."""
    picked = draw(st.lists(st.sampled_from(log), max_size=4, unique_by=lambda e: e.event_id))
    changed = []
    for event in picked:
        kind = draw(st.sampled_from(["same", "value", "moved", "new"]))
        changed.append(
            {
                "same": event,
                "value": replace(event, value=draw(st.sampled_from([None, 1.5, 12.0]))),
                "moved": replace(
                    event, event_time=event.event_time + timedelta(hours=draw(st.integers(-30, 9)))
                ),
                "new": replace(event, event_id=f"{event.event_id}-new"),
            }[kind]
        )
    return changed


@settings(max_examples=examples(5), deadline=None)
@given(arriving=arrivals(most=6), data=st.data())
def test_incremental_builds_equal_a_full_one(
    arriving: tuple[list[list[Event]], list[pd.DataFrame]], data: st.DataObject
) -> None:
    """Late events, repeated ones, new links and restated days, each followed by a build."""
    parts, aliases = arriving
    log: list[Event] = []
    with landing() as con:
        built: int | None = None
        for part, links in zip(parts, aliases, strict=True):
            take(con, links, "aliases")
            take(con, frame([*log[:2], *part]))
            log += part
            if log and data.draw(st.booleans(), label="restate"):
                brought = data.draw(corrections(log), label="brought")
                take(con, frame(brought), restate=True)
                log = restated(log, brought)
            if not log or last_load(con) == built:
                continue
            build(con, "later", built)
            built = last_load(con)
        assert standing(con) == sorted((e.event_id, e.event_time, e.value) for e in log)
        build(con, "anew")
        assert not differences(con, "later", "anew")


def standing(con: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    rows = con.execute("select event_id, event_time, value from tiny_landing.events").fetchall()
    return sorted(rows)


def test_nothing_touched_changes_nothing() -> None:
    """A second build after no load leaves every row, and touches nobody."""
    with landing() as con:
        events = [
            Event(
                "ana", f"a{i}", datetime(2026, 3, 1 + i // 3, 9 + i % 3), "view", 1.0, "desk", None
            )
            for i in range(9)
        ]
        take(con, frame(events))
        build(con, "later")
        before = con.execute("select * from later.sessions order by all").fetchall()
        build(con, "later", last_load(con))
        assert con.execute("select count(*) from later.changed_users").fetchone() == (0,)
        assert con.execute("select * from later.sessions order by all").fetchall() == before


def test_attributes_and_duplicates_change_no_day() -> None:
    """The rows of daily_events stay where they lie, down to their place in the table."""
    day = datetime(2026, 3, 1, 9)
    events = [
        Event("ana", f"a{i}", day + timedelta(days=i), "view", 1.0, None, None) for i in (0, 1)
    ]
    people = pd.DataFrame({"user_id": ["ana"], "country": ["DE"]})
    where = "select day, events, rowid from later.daily_events order by day"
    with landing() as con:
        take(con, frame(events))
        build(con, "later")
        before = con.execute(where).fetchall()
        take(con, people, "users")
        take(con, frame(events[:1]))
        build(con, "later", 1)
        assert con.execute(where).fetchall() == before
        build(con, "anew")
        assert not differences(con, "later", "anew")
        # A link does, and so does an event: its own day, and those after it.
        later = Event("ana", "b", day + timedelta(days=1), "view", 1.0, None, None)
        take(con, frame([later]))
        assert changes_since(con, SPEC, 3, marts="later").since == later.event_time.date()
        link = {"anonymous_id": ["anon"], "user_id": ["ana"], "linked_at": [day]}
        take(con, pd.DataFrame(link), "aliases")
        assert changes_since(con, SPEC, 3, marts="later").since == EVERY_DAY


def test_only_what_a_late_event_can_reach_is_made_anew() -> None:
    """Sessions that closed before the late event keep their rows, down to where they lie."""
    events = [
        Event("ana", f"a{d}-{h}", datetime(2026, 3, d, h), "view", 1.0, "desk", None)
        for d in range(1, 9)
        for h in (8, 20)
    ]
    late = Event("ana", "late", datetime(2026, 3, 5, 8, 10), "buy", 7.0, "desk", None)
    with landing() as con:
        take(con, frame(events))
        build(con, "later")
        where = "select session_start, rowid from later.sessions order by session_start"
        before = con.execute(where).fetchall()
        take(con, frame([late]))
        build(con, "later", 1)
        after = con.execute(where).fetchall()
    kept = [start for start, row in after if (start, row) in before]
    assert kept == [start for start, _ in before if start < datetime(2026, 3, 5, 8)]
    assert len(after) == len(before)


def test_attributes_that_are_given_again_replace_the_earlier_ones() -> None:
    spec = load_spec("saas")
    files = render_project(spec, compile_features(spec), [date(2026, 3, 9)])
    events = [
        Event(user, f"{user}{i}", datetime(2026, 3, 1 + i, 9), "page_view", 1.0, "desk", None)
        for user in ("ana", "bo")
        for i in range(3)
    ]
    people = pd.DataFrame({"user_id": ["ana", "bo"], "email": ["a@x", "b@x"], "country": "DE"})
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        create_landing(con, spec)
        for kind, rows in (("events", frame(events)), ("users", people)):
            con.register("arriving", rows)
            load(con, spec, "arriving", kind=kind, now=NOW)
        run_models(con, files, schema="later", landing="saas_landing")
        con.register("arriving", people.assign(email=["new@x", "b@x"]))
        load(con, spec, "arriving", kind="users", now=NOW)
        changes = changes_since(con, spec, 2, marts="later")
        run_models(con, files, schema="later", landing="saas_landing", changes=changes)
        run_models(con, files, schema="anew", landing="saas_landing")
        found, expected = (
            con.execute(f"select user_id, email from {schema}.user_details order by 1").fetchall()
            for schema in ("later", "anew")
        )
    assert found == expected == [("ana", "new@x"), ("bo", "b@x")]
