"""A file that stands for its days: what it does not hold is withdrawn, and stays so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.examples import examples
from tests.support.restating import COLUMNS, CONTENT, Load, Model, ordered, sequences
from tests.support.tiny_log import tiny_spec
from whyrank.errors import DataError
from whyrank.pipeline.ingest import ingest
from whyrank.spec.model import Spec
from whyrank.warehouse.landing.load import LoadResult, load
from whyrank.warehouse.open import open_warehouse

SPEC = tiny_spec()
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("set timezone = 'UTC'")
        yield opened


def counts(result: LoadResult) -> tuple[int, int, int, int]:
    return result.accepted, result.duplicates, result.quarantined, result.withdrawn


@settings(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(loads=sequences())
def test_any_sequence_of_loads_leaves_what_the_rule_says(tmp_path: Path, loads: list[Load]) -> None:
    model = Model()
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        for i, one in enumerate(loads):
            path = one.write(tmp_path / f"{i}.csv")
            result = load(con, SPEC, path, restate=one.restate, now=NOW)
            assert counts(result) == model.take(one)
            for table, expected in (
                ("events", list(model.standing.values())),
                ("withdrawn", model.withdrawn),
            ):
                found = con.execute(f"select {CONTENT} from tiny_landing.{table}").fetchall()
                assert ordered(found) == ordered(expected), table


def take(
    con: duckdb.DuckDBPyConnection, path: Path, *rows: str, restate: bool = False, spec: Spec = SPEC
) -> LoadResult:
    path.write_text("\n".join([COLUMNS, *rows]) + "\n")
    return load(con, spec, path, restate=restate, now=NOW)


def values(con: duckdb.DuckDBPyConnection) -> dict[str, float]:
    return dict(con.execute("select event_id, value from tiny_landing.events").fetchall())


WRONG = ("a,u,2026-03-01T10:00:00Z,view,1,", "b,u,2026-03-01T11:00:00Z,view,2,")
RIGHT = ("a,u,2026-03-01T10:00:00Z,view,1,",)


def test_a_wrong_file_that_is_loaded_again_stays_withdrawn(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    take(con, tmp_path / "wrong.csv", *WRONG)
    assert take(con, tmp_path / "right.csv", *RIGHT, restate=True).withdrawn == 1
    assert take(con, tmp_path / "wrong.csv", *WRONG).duplicates == 2
    assert values(con) == {"a": 1.0}
    # The wrong one was right after all: whoever says so of its days gets them.
    assert take(con, tmp_path / "wrong.csv", *WRONG, restate=True).accepted == 1
    assert values(con) == {"a": 1.0, "b": 2.0}


def test_of_lines_with_one_id_the_first_is_what_a_restating_file_says(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Also where a later line is what stands already."""
    take(con, tmp_path / "old.csv", "a,u,2026-03-01T10:00:00Z,view,2,")
    rows = ("a,u,2026-03-01T10:00:00Z,view,1,", "a,u,2026-03-01T10:00:00Z,view,2,")
    assert counts(take(con, tmp_path / "new.csv", *rows, restate=True)) == (1, 1, 0, 1)
    assert values(con) == {"a": 1.0}


def test_days_are_utc_whatever_the_zone_of_the_file(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Half past midnight in Berlin is of the day before."""
    source = SPEC.source.model_copy(update={"time_zone": "Europe/Berlin"})
    berlin = SPEC.model_copy(update={"source": source})
    old = ("a,u,2026-03-02 00:30:00,view,1,", "b,u,2026-03-02 12:00:00,view,2,")
    take(con, tmp_path / "old.csv", *old, spec=berlin)
    take(con, tmp_path / "new.csv", "c,u,2026-03-01 12:00:00,view,3,", restate=True, spec=berlin)
    assert values(con) == {"b": 2.0, "c": 3.0}


def test_a_file_without_events_restates_nothing_and_says_so(tmp_path: Path) -> None:
    store = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    old, empty = tmp_path / "old.csv", tmp_path / "empty.csv"
    old.write_text("\n".join([COLUMNS, *RIGHT]) + "\n")
    empty.write_text(COLUMNS + "\n")
    ingest(SPEC, store, events=old)
    with pytest.raises(DataError, match="names no day to restate: nothing was withdrawn"):
        ingest(SPEC, store, events=empty, restate=True)
    with store.connect() as con:
        assert con.execute("select count(*) from tiny_landing.events").fetchone() == (1,)


def test_a_file_of_which_nothing_fits_withdraws_nothing(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    take(con, tmp_path / "old.csv", *WRONG)
    bad = take(con, tmp_path / "bad.csv", "a,u,2026-03-01T10:00:00Z,veiw,1,", restate=True)
    assert counts(bad) == (0, 0, 1, 0)
    assert values(con) == {"a": 1.0, "b": 2.0}
