"""The rule of restated days on Postgres: the same model as for DuckDB, and so the same rule."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.examples import examples
from tests.support.restating import CONTENT, Load, Model, ordered, sequences
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
    max_examples=examples(6),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(loads=sequences())
def test_any_sequence_of_loads_leaves_what_the_rule_says(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: list[Load]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = Model()
    with psycopg.connect(url, autocommit=True) as con, open_warehouse(url).loader() as loader:
        con.execute("drop schema if exists tiny_landing cascade")
        for i, one in enumerate(loads):
            path = one.write(tmp_path / f"{i}.csv")
            result = loader.load(SPEC, path, restate=one.restate, now=NOW)
            counts = (result.accepted, result.duplicates, result.quarantined, result.withdrawn)
            assert counts == model.take(one)
            for table, expected in (
                ("events", list(model.standing.values())),
                ("withdrawn", model.withdrawn),
            ):
                found = con.execute(f"select {CONTENT} from tiny_landing.{table}").fetchall()
                assert ordered(found) == ordered(expected), table
