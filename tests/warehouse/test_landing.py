"""Loading: nothing is lost, nothing is counted twice, and bad rows are kept whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.tiny_log import tiny_spec
from whyrank.errors import DataError
from whyrank.events.contract import EVENT_COLUMNS
from whyrank.spec.load import parse_spec, spec_text
from whyrank.spec.model import Spec
from whyrank.warehouse.contracts import LoadResult
from whyrank.warehouse.landing import identity
from whyrank.warehouse.landing.load import load

SPEC = tiny_spec()
NOW = datetime(2026, 6, 1, tzinfo=UTC)
GOOD = "2026-03-01T10:00:00Z"


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    return connection


def load_rows(
    con: duckdb.DuckDBPyConnection, rows: list[dict[str, object]], spec: Spec = SPEC
) -> LoadResult:
    keys = ["event_id", "user_id", "event_time", "event_name", "value", "properties"]
    data = pd.DataFrame({key: [row.get(key) for row in rows] for key in keys}, dtype=object)
    con.register("rows", data.astype("string"))
    return load(con, spec, "rows", now=NOW)


def count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    found = con.execute(f"select count(*) from tiny_landing.{table}").fetchone()
    assert found
    return int(found[0])


BAD = [
    ({"user_id": None}, "user_id is missing"),
    ({"user_id": "  "}, "user_id is missing"),
    ({"user_id": "x" * 1001}, "user_id is longer than 1000 characters"),
    ({"event_time": None}, "event_time is missing"),
    ({"event_time": "yesterday"}, "event_time cannot be read as iso"),
    ({"event_time": "2026-02-30"}, "event_time cannot be read as iso"),
    ({"event_time": "1970-01-01T00:00:00Z"}, "event_time is before 2000-01-01"),
    ({"event_time": "epoch"}, "event_time is before 2000-01-01"),
    ({"event_time": "2262-04-11T23:47:16Z"}, "event_time is in the future"),
    ({"event_time": "infinity"}, "event_time is in the future"),
    ({"event_name": None}, "event_name is missing"),
    ({"event_name": "veiw"}, "event_name is not in the spec's [events]"),
    ({"event_name": "view'; drop table x; --"}, "event_name is not in the spec's [events]"),
    ({"value": "abc"}, "value is not a number"),
    ({"value": "NaN"}, "value is not a finite number"),
    ({"value": "-Infinity"}, "value is not a finite number"),
    ({"value": "1e400"}, "value is not a finite number"),
    ({"value": "1e13"}, "value is beyond 1e+12"),
    ({"properties": "{not json"}, "properties is not a JSON object"),
    ({"properties": "[1]"}, "properties is not a JSON object"),
]


@pytest.mark.parametrize(("change", "reason"), BAD)
def test_a_bad_row_goes_whole_to_quarantine(
    con: duckdb.DuckDBPyConnection, change: dict[str, object], reason: str
) -> None:
    good = {"event_id": "a", "user_id": "u", "event_time": GOOD, "event_name": "view"}
    bad = {**good, "event_id": "b", **change}
    result = load_rows(con, [good, bad])
    assert (result.read, result.accepted, result.quarantined) == (2, 1, 1)
    assert result.reasons == {reason: 1}
    line, raw, said = con.execute(
        "select line, decode(raw), reason from tiny_landing.quarantine"
    ).fetchall()[0]
    assert (line, said) == (2, reason)
    for value in bad.values():
        if isinstance(value, str) and "'" not in value and '"' not in value and "{" not in value:
            assert value in raw


def test_times_are_taken_from_earliest_to_a_day_ahead_of_the_clock(
    con: duckdb.DuckDBPyConnection,
) -> None:
    times = {
        "1999-12-31T23:59:59.999999Z": False,
        "2000-01-01T00:00:00Z": True,
        "2026-06-02T00:00:00Z": True,
        "2026-06-02T00:00:00.000001Z": False,
    }
    load_rows(con, [{"user_id": t, "event_time": t, "event_name": "view"} for t in times])
    kept = {user for (user,) in con.execute("select user_id from tiny_landing.events").fetchall()}
    assert kept == {time for time, fits in times.items() if fits}


@pytest.mark.parametrize(
    ("written", "zone", "utc"),
    [
        ("2026-03-01T10:00:00+02:00", "UTC", datetime(2026, 3, 1, 8)),
        ("2026-03-01 10:00:00", "UTC", datetime(2026, 3, 1, 10)),
        ("2026-03-01 10:00:00", "Europe/Berlin", datetime(2026, 3, 1, 9)),
        ("2026-04-01 10:00:00", "Europe/Berlin", datetime(2026, 4, 1, 8)),
        ("2026-03-01T10:00:00Z", "America/New_York", datetime(2026, 3, 1, 10)),
        ("2026-03-01", "UTC", datetime(2026, 3, 1)),
        ("2026-03-01T10:00:00.123456Z", "UTC", datetime(2026, 3, 1, 10, 0, 0, 123456)),
    ],
)
def test_times_become_utc(
    con: duckdb.DuckDBPyConnection, written: str, zone: str, utc: datetime
) -> None:
    text = SPEC.model_copy(update={"source": SPEC.source.model_copy(update={"time_zone": zone})})
    load_rows(con, [{"user_id": "u", "event_time": written, "event_name": "view"}], text)
    assert con.execute("select event_time from tiny_landing.events").fetchall() == [(utc,)]
    assert con.execute("select current_setting('timezone')").fetchone() == ("UTC",)


@pytest.mark.parametrize(
    ("time_format", "written"),
    [
        ("epoch_s", "1772359200"),
        ("epoch_ms", "1772359200000"),
        ("epoch_us", "1772359200000000"),
        ("%d/%m/%Y %H:%M", "01/03/2026 10:00"),
        ("%d/%m/%Y %H:%M %z", "01/03/2026 12:00 +0200"),
    ],
)
def test_times_are_read_in_the_specs_format(
    con: duckdb.DuckDBPyConnection, time_format: str, written: str
) -> None:
    source = SPEC.source.model_copy(update={"time_format": time_format})
    spec = SPEC.model_copy(update={"source": source})
    load_rows(con, [{"user_id": "u", "event_time": written, "event_name": "view"}], spec)
    found = con.execute("select event_time from tiny_landing.events").fetchall()
    assert found == [(datetime(2026, 3, 1, 10),)]


@pytest.mark.parametrize(
    ("time_format", "kind"), [("%d/%m/%Y %H:%M", "varchar"), ("iso", "timestamp")]
)
def test_times_of_any_kind_without_a_zone_are_of_the_specs_zone(
    con: duckdb.DuckDBPyConnection, time_format: str, kind: str
) -> None:
    update = {"time_format": time_format, "time_zone": "Europe/Berlin"}
    spec = SPEC.model_copy(update={"source": SPEC.source.model_copy(update=update)})
    written = "01/03/2026 10:00" if kind == "varchar" else "2026-03-01 10:00:00"
    con.execute(
        f"create table arriving as select 'u' as user_id, cast('{written}' as {kind}) as "
        "event_time, 'view' as event_name"
    )
    load(con, spec, "arriving", now=NOW)
    found = con.execute("select event_time from tiny_landing.events").fetchall()
    assert found == [(datetime(2026, 3, 1, 9),)]


ROW = st.fixed_dictionaries(
    {
        "event_id": st.sampled_from([None, "", "a", "b", "c"]),
        "user_id": st.sampled_from(["u", "v", None]),
        "event_time": st.sampled_from([GOOD, "2026-03-02T00:00:00Z", "1970-01-01", "no", None]),
        "event_name": st.sampled_from(["view", "buy", "nonsense", None]),
        "value": st.sampled_from([None, "1", "2.5", "nan"]),
    }
)


@settings(max_examples=examples(20))
@given(first=st.lists(ROW, min_size=1, max_size=12), more=st.lists(ROW, max_size=6))
def test_ingest_never_loses_a_row_and_loading_twice_changes_nothing(
    first: list[dict[str, object]], more: list[dict[str, object]]
) -> None:
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        one = load_rows(con, first)
        assert one.accepted + one.duplicates + one.quarantined == one.read == len(first)
        assert count(con, "events") == one.accepted
        assert count(con, "quarantine") == one.quarantined
        state = con.execute("select * exclude (load_id) from tiny_landing.events").fetchall()

        again = load_rows(con, first)
        assert (again.accepted, again.quarantined) == (0, one.quarantined)
        assert (
            con.execute("select * exclude (load_id) from tiny_landing.events").fetchall() == state
        )
        assert count(con, "quarantine") == one.quarantined

        grown = load_rows(con, [*first, *more])
        assert grown.read == len(first) + len(more)
        with duckdb.connect() as fresh:
            fresh.execute("set timezone = 'UTC'")
            whole = load_rows(fresh, [*first, *more])
            assert count(con, "events") == whole.accepted == count(fresh, "events")
            ids = "select event_id from tiny_landing.events order by event_id"
            assert con.execute(ids).fetchall() == fresh.execute(ids).fetchall()


@settings(max_examples=examples(13))
@given(ids=st.lists(st.integers(0, 40), min_size=1, max_size=60), at_once=st.integers(1, 20))
def test_ids_that_come_twice_are_found_a_part_at_a_time(ids: list[int], at_once: int) -> None:
    rows: list[dict[str, object]] = [
        {"event_id": f"e{n}", "user_id": "u", "event_time": GOOD, "event_name": "view"} for n in ids
    ]
    with duckdb.connect() as con, pytest.MonkeyPatch.context() as patch:
        con.execute("set timezone = 'UTC'")
        patch.setattr(identity, "_AT_ONCE", at_once)
        result = load_rows(con, rows)
        assert (result.accepted, result.duplicates) == (len(set(ids)), len(ids) - len(set(ids)))
        assert count(con, "events") == len(set(ids))


def test_equal_rows_without_an_id_are_as_many_events_as_the_file_says(
    con: duckdb.DuckDBPyConnection,
) -> None:
    row: dict[str, object] = {"user_id": "u", "event_time": GOOD, "event_name": "view"}
    assert load_rows(con, [row, row, row]).accepted == 3
    grown = load_rows(con, [row, row, row, row])
    assert (grown.accepted, grown.duplicates) == (1, 3)


def test_an_id_that_looks_like_ours_is_an_id(con: duckdb.DuckDBPyConnection) -> None:
    """Given twice it is one event, and a row without an id is numbered beside it all the same."""
    plain: dict[str, object] = {"user_id": "u", "event_time": GOOD, "event_name": "view"}
    load_rows(con, [plain, plain])
    ids = "select event_id from tiny_landing.events order by event_id"
    ours = [str(row[0]) for row in con.execute(ids).fetchall()]
    other: list[dict[str, object]] = [{**plain, "event_id": "h:1", "value": v} for v in "123"]
    given: list[dict[str, object]] = [{**plain, "event_id": name} for name in ours]
    with duckdb.connect() as fresh:
        fresh.execute("set timezone = 'UTC'")
        # A warehouse's own events, written out and put together twice.
        result = load_rows(fresh, [*given, *given, *other])
        assert (result.accepted, result.duplicates) == (3, 4)
        assert [row[0] for row in fresh.execute(ids).fetchall()] == sorted(["h:1", *ours])
    with duckdb.connect() as fresh:
        fresh.execute("set timezone = 'UTC'")
        assert load_rows(fresh, [plain, *other, plain]).accepted == 3
        assert [row[0] for row in fresh.execute(ids).fetchall()] == sorted(["h:1", *ours])


def test_a_failed_load_leaves_nothing(con: duckdb.DuckDBPyConnection) -> None:
    row: dict[str, object] = {"user_id": "u", "event_time": GOOD, "event_name": "view"}
    load_rows(con, [row])
    con.register("wrong", pd.DataFrame({"user_id": ["u"], "event_time": [GOOD]}))
    with pytest.raises(DataError, match="no column 'event_name'"):
        load(con, SPEC, "wrong", now=NOW)
    assert (count(con, "events"), count(con, "loads")) == (1, 1)


def test_a_load_that_fails_after_its_rows_were_stored_leaves_nothing(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> int:
        assert count(con, "events") == 1
        raise ZeroDivisionError

    monkeypatch.setattr("whyrank.warehouse.landing.load.drop_known_rows", failing)
    with pytest.raises(ZeroDivisionError):
        load_rows(con, [{"user_id": "u", "event_time": GOOD, "event_name": "view"}])
    assert (count(con, "events"), count(con, "loads")) == (0, 0)


def test_integer_times_need_a_format(con: duckdb.DuckDBPyConnection) -> None:
    con.register(
        "rows", pd.DataFrame({"user_id": ["u"], "event_time": [1], "event_name": ["view"]})
    )
    with pytest.raises(DataError, match="set source.time_format"):
        load(con, SPEC, "rows", now=NOW)


def test_values_may_be_computed_and_names_constant(con: duckdb.DuckDBPyConnection) -> None:
    text = spec_text("saas").replace(
        "[events]\n",
        '[source]\nuser_id = "Customer No"\nevent_time = "Bought"\n'
        'event_name = { constant = "page_view" }\n'
        'value = { expression = "qty * price" }\nproperties = ["sku"]\n\n[events]\n',
        1,
    )
    data = pd.DataFrame(
        {
            "Customer No": ["7", "8"],
            "Bought": [GOOD, GOOD],
            "qty": ["2", "x"],
            "price": ["1.5", "2"],
            "sku": ['A"1', "B"],
        }
    )
    con.register("rows", data)
    result = load(con, parse_spec(text), "rows", now=NOW)
    assert result.reasons == {"value is not a number": 1}
    found = con.execute(
        "select user_id, event_name, value, json_extract_string(properties, '$.sku')"
        " from saas_landing.events"
    ).fetchall()
    assert found == [("7", "page_view", 3.0, 'A"1')]


@pytest.mark.parametrize(
    ("written", "number"),
    [("1.234,50", 1234.5), ("-0,5", -0.5), ("12", 12.0), ("1,2,3", None), ("1e3", 1000.0)],
)
def test_numbers_may_have_a_decimal_comma(
    con: duckdb.DuckDBPyConnection, written: str, number: float | None
) -> None:
    source = SPEC.source.model_copy(update={"decimal": ","})
    spec = SPEC.model_copy(update={"source": source})
    row: dict[str, object] = {"user_id": "u", "event_time": GOOD, "event_name": "view"}
    result = load_rows(con, [{**row, "value": written}], spec)
    assert result.quarantined == (number is None)
    found = con.execute("select value from tiny_landing.events").fetchall()
    assert found == ([] if number is None else [(number,)])


@pytest.mark.parametrize(
    ("rows", "reasons"),
    [
        ([("a", "u"), ("u", "v")], 1),
        ([("a", "a")], 1),
        ([("a", "u"), ("a", "v")], 1),
        ([("a", "u"), ("b", "u")], 0),
    ],
)
def test_links_that_make_no_sense_are_refused(
    con: duckdb.DuckDBPyConnection, rows: list[tuple[str, str]], reasons: int
) -> None:
    data = pd.DataFrame(rows, columns=["anonymous_id", "user_id"]).assign(linked_at=GOOD)
    con.register("rows", data)
    result = load(con, SPEC, "rows", kind="aliases", now=NOW)
    assert result.quarantined == reasons
    again = load(con, SPEC, "rows", kind="aliases", now=NOW)
    assert again.accepted == 0


@pytest.mark.parametrize("later", [("u", "v"), ("b", "a")])
def test_a_link_that_makes_a_chain_with_one_of_an_earlier_load_is_refused(
    con: duckdb.DuckDBPyConnection, later: tuple[str, str]
) -> None:
    """a is u's: u has no user of its own, and a is nobody's user."""

    def link(*rows: tuple[str, str]) -> LoadResult:
        data = pd.DataFrame(rows, columns=["anonymous_id", "user_id"]).assign(linked_at=GOOD)
        con.register("rows", data)
        return load(con, SPEC, "rows", kind="aliases", now=NOW)

    assert link(("a", "u")).accepted == 1
    result = link(later)
    assert (result.accepted, result.quarantined) == (0, 1)
    (reason,) = result.reasons
    assert reason.startswith("links to or from an id that is itself linked")
    assert link(("c", "u")).accepted == 1
    found = con.execute("select anonymous_id, user_id from tiny_landing.aliases order by all")
    assert found.fetchall() == [("a", "u"), ("c", "u")]


CONTENT = {
    "user_id": "v",
    "event_time": "2026-03-01T10:00:00.000001Z",
    "event_name": "click",
    "value": "2",
    "session_id": "s2",
    "experiment_id": "e2",
    "variant": "treated",
    "platform": "ios",
    "device": "phone",
    "geo": "FR",
    "properties": '{"color": "red"}',
}


def test_rows_without_an_id_that_differ_in_one_column_are_different_events(
    con: duckdb.DuckDBPyConnection,
) -> None:
    """Loaded after the row that they differ from, and without it.

    In one file, equal rows are told apart by how often they occurred; in two, they are one event.
    """
    assert set(CONTENT) == {*EVENT_COLUMNS} - {"event_id"}
    first = {
        "user_id": "u", "event_time": GOOD, "event_name": "view", "value": "1",
        "session_id": "s1", "experiment_id": "e1", "variant": "control", "platform": "web",
        "device": "desk", "geo": "DE", "properties": '{"color": "blue"}',
    }  # fmt: skip
    rows = [first | {column: other} for column, other in CONTENT.items()]
    con.register("rows", pd.DataFrame([first]))
    assert load(con, SPEC, "rows", now=NOW).accepted == 1
    con.register("rows", pd.DataFrame(rows))
    result = load(con, SPEC, "rows", now=NOW)
    assert (result.accepted, result.duplicates) == (len(CONTENT), 0)


def test_parquet_rows_name_their_row_and_keep_their_cells(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    times = [datetime(2026, 3, 1) + timedelta(hours=i) for i in range(4)]
    data = pd.DataFrame(
        {"user_id": ["a", None, "c", "d"], "event_time": times, "event_name": ["view"] * 4}
    )
    path = tmp_path / "it's.parquet"
    data.to_parquet(path)
    result = load(con, SPEC, path, now=NOW)
    assert (result.accepted, result.quarantined) == (3, 1)
    found = con.execute(
        "select file, line, byte_offset, decode(raw) from tiny_landing.quarantine"
    ).fetchall()
    assert found[0][:3] == (str(path), 2, None)
    assert '"event_name":"view"' in found[0][3]


@pytest.mark.parametrize(
    "kind", [pa.struct([("k", pa.string())]), pa.map_(pa.string(), pa.string())]
)
def test_parquet_properties_may_be_objects_of_their_own(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, kind: pa.DataType
) -> None:
    items = {"k": "it's"} if pa.types.is_struct(kind) else [("k", "it's")]
    table = pa.table(
        {
            "user_id": ["a", "b"],
            "event_time": [datetime(2026, 3, 1)] * 2,
            "event_name": ["view"] * 2,
            "properties": pa.array([items, None], kind),
        }
    )
    pq.write_table(table, tmp_path / "e.parquet")
    assert load(con, SPEC, tmp_path / "e.parquet", now=NOW).accepted == 2
    found = con.execute("select properties from tiny_landing.events order by user_id").fetchall()
    assert [text and json.loads(text) for (text,) in found] == [{"k": "it's"}, None]


def test_counts_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(Exception, match="are not the 3 read"):
        LoadResult("events", "f", read=3, accepted=1, duplicates=1, quarantined=0)
