"""Attributes over time on Postgres, by the rule that holds on DuckDB."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.attribute_rows import SAID, Row, files, last_said, stored, write
from tests.support.examples import examples
from tests.support.tiny_log import tiny_spec
from whyrank.warehouse.open import open_warehouse

from .conftest import Server

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("postgres-files")]
SPEC = tiny_spec()
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def url(postgres: Server) -> str:
    return postgres.new_database()


@settings(
    max_examples=examples(4),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(told=files())
def test_what_was_said_last_is_known_and_the_same_file_twice_is_nothing_new(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[list[Row]]
) -> None:
    monkeypatch.chdir(tmp_path)
    with psycopg.connect(url, autocommit=True) as con, open_warehouse(url).loader() as loader:
        con.execute("drop schema if exists tiny_landing cascade")
        for place, rows in enumerate(told):
            path = write(tmp_path / f"{place}.csv", rows)
            first = loader.load(SPEC, path, kind="users", now=NOW)
            again = loader.load(SPEC, path, kind="users", now=NOW)
            assert first.read == len(rows)
            assert (again.accepted, again.duplicates) == (0, len(rows))
            everything = [row for file in told[: place + 1] for row in file]
            assert stored(con.execute(SAID).fetchall()) == last_said(everything)
