"""The tiny log in landing tables: loads in any order, with links between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import duckdb
import pandas as pd
from hypothesis import strategies as st

from tests.support.tiny_log import Event, logs, tiny_spec
from whyrank.warehouse.landing.load import create_landing, load

SPEC = tiny_spec()
NOW = datetime(2026, 6, 1)


@contextmanager
def landing() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        create_landing(con, SPEC)
        yield con


def take(
    con: duckdb.DuckDBPyConnection,
    rows: pd.DataFrame,
    kind: str = "events",
    *,
    restate: bool = False,
) -> None:
    if len(rows):
        con.register("arriving", rows)
        load(con, SPEC, "arriving", kind=kind, restate=restate, now=NOW)
        con.unregister("arriving")


def last_load(con: duckdb.DuckDBPyConnection) -> int:
    found = con.execute("select coalesce(max(load_id), 0) from tiny_landing.loads").fetchone()
    assert found is not None
    return int(found[0])


@st.composite
def arrivals(
    draw: st.DrawFn, least: int = 1, most: int = 3
) -> tuple[list[list[Event]], list[pd.DataFrame]]:
    """Several logs packed as different users, cut into loads in any order, with links between."""
    events: list[Event] = []
    packed = draw(st.integers(least, most))
    for number in range(packed):
        events += [
            replace(e, user_id=f"w{number}{e.user_id}", event_id=f"w{number}{e.event_id}")
            for e in draw(logs())
        ]
    loads = draw(st.integers(2, 4))
    parts: list[list[Event]] = [[] for _ in range(loads)]
    for event, part in zip(
        events,
        draw(st.lists(st.integers(0, loads - 1), min_size=len(events), max_size=len(events))),
        strict=True,
    ):
        parts[part].append(event)
    people = sorted({e.user_id for e in events})
    some = st.lists(st.sampled_from(people), max_size=1 + packed, unique=True)
    links = [draw(some) for _ in range(loads)]
    times = st.sampled_from([datetime(2026, 3, d, h) for d in (1, 2, 3, 5) for h in (0, 9, 23)])
    known = st.sampled_from(["known0", "known1", "known2"])
    return parts, [
        pd.DataFrame(
            {
                "anonymous_id": pd.Series(anonymous, dtype="object"),
                "user_id": pd.Series([draw(known) for _ in anonymous], dtype="object"),
                "linked_at": pd.Series([draw(times) for _ in anonymous], dtype="datetime64[us]"),
            }
        )
        for anonymous in links
    ]
