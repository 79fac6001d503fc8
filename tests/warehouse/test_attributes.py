"""Attributes over time: what was said last holds, also when it was said before."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pandas as pd
from hypothesis import HealthCheck, given, settings

from tests.support.attribute_rows import SAID, Row, files, last_said, stored, write
from tests.support.examples import examples
from tests.support.tiny_log import Event, frame, tiny_spec
from whyrank.warehouse.frames import features_of
from whyrank.warehouse.landing.load import load

SPEC = tiny_spec()
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=files())
def test_what_was_said_last_is_known_and_the_same_file_twice_is_nothing_new(
    tmp_path: Path, told: list[list[Row]]
) -> None:
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        for place, rows in enumerate(told):
            path = write(tmp_path / f"{place}.csv", rows)
            first = load(con, SPEC, path, kind="users", now=NOW)
            again = load(con, SPEC, path, kind="users", now=NOW)
            assert first.read == len(rows)
            assert (again.accepted, again.duplicates) == (0, len(rows))
            everything = [row for file in told[: place + 1] for row in file]
            assert stored(con.execute(SAID).fetchall()) == last_said(everything)


def test_an_attribute_that_goes_back_is_back() -> None:
    log = [Event("ana", "1", datetime(2026, 3, 1), "view", None, None, None)]
    for said in (["DE"], ["DE", "FR"], ["DE", "FR", "DE"], ["DE", "FR", "FR", "DE", "DE"]):
        people = pd.DataFrame({"user_id": ["ana"] * len(said), "country": said})
        table, _ = features_of(frame(log), SPEC, users=people, as_of=[date(2026, 3, 4)], now=NOW)
        assert [row["country"] for row in table.to_pylist()] == said[-1:]
