"""A log of many days in loads that touch old ones, and what a build makes of it on both engines."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np

from tests.support.parity import check_rows, rows_of
from tests.support.tiny_log import Event, tiny_spec
from whyrank.warehouse.base import Warehouse

SPEC = tiny_spec()
DATES = [date(2026, 3, 6), date(2026, 3, 9)]
USERS = 120
# Halves of the gap of half an hour: sessions touch, join and just do not join, over midnight too.
STEP = timedelta(minutes=15)


def random_events(seed: int) -> list[Event]:
    """A log of many small users, around midnights, some rows with nothing but a time and a name."""
    rng = np.random.default_rng(seed)
    made = []
    for user in range(USERS):
        for number in range(int(rng.integers(1, 9))):
            day = date(2026, 3, 2) + timedelta(days=int(rng.integers(0, 6)))
            start = datetime.combine(day, datetime.min.time()) + timedelta(hours=23)
            made.append(
                Event(
                    event_id=f"e{user}-{number}",
                    user_id=f"u{user}",
                    event_time=start + STEP * int(rng.integers(0, 9)),
                    event_name=str(rng.choice(["view", "click", "buy"])),
                    value=None if rng.random() < 0.3 else float(rng.integers(1, 40)) / 4,
                    device=[None, "phone", "desk"][int(rng.integers(0, 3))],
                    color=[None, "red"][int(rng.integers(0, 2))],
                )
            )
    return made


def loads(seed: int) -> list[list[Event]]:
    """The log in three loads: one that has a first day of its own, and two with late events."""
    rng = np.random.default_rng([seed, 1])
    noon = datetime(2026, 3, 1, 12)
    founder = [
        Event("founder", f"first-{name}", noon + STEP * number, name, 1.0, "desk", "red")
        for number, name in enumerate(("view", "click", "buy"))
    ]
    parts: list[list[Event]] = [founder, [], []]
    for event in random_events(seed):
        # The last two days come in the last load alone; what is older may come in any.
        late = event.event_time >= datetime(2026, 3, 6)
        parts[2 if late else int(rng.integers(0, 3))].append(event)
    return parts


def modes(warehouse: Warehouse) -> list[str]:
    with warehouse.reading() as con:
        rows = con.execute(
            "select name from tiny_landing.runs where kind = 'build' order by started_at"
        ).fetchall()
    return [row[0] for row in rows]


def inodes(day: Path) -> set[int]:
    """Return the files of a day's folder, which may be put aside meanwhile."""
    with suppress(FileNotFoundError):
        return {file.stat().st_ino for file in day.glob("*.parquet")}
    return set()


def check_marts(here: Warehouse, marts: Path) -> int:
    """Compare every table of Spark's with DuckDB's; return how many there are."""
    with here.reading() as duck, duckdb.connect() as con:
        assert isinstance(duck, duckdb.DuckDBPyConnection)
        tables = duck.execute(
            "select table_name from information_schema.tables "
            "where table_schema = 'tiny_marts' and table_type = 'BASE TABLE'"
        ).fetchall()
        con.execute("set timezone = 'UTC'")
        for (name,) in sorted(tables):
            files = marts / name / "**" / "*.parquet"
            con.execute(
                f"create view {name} as select * from "
                f"read_parquet('{files}', hive_partitioning = true)"
            )
            columns = [row[0] for row in duck.execute(f"describe tiny_marts.{name}").fetchall()]
            check_rows(
                name, rows_of(duck, f"tiny_marts.{name}", columns), rows_of(con, name, columns)
            )
    return len(tables)
