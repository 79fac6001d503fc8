"""Loading text files: what is refused keeps its file, line, byte offset and bytes."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.tiny_log import tiny_spec
from whyrank.errors import DataError
from whyrank.warehouse.landing.load import LoadResult, load

SPEC = tiny_spec()
NOW = datetime(2026, 6, 1, tzinfo=UTC)
HEADER = b"user_id,event_time,event_name,value\n"
GOOD = b"u,2026-03-01T10:00:00Z,view,1"


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def loaded(con: duckdb.DuckDBPyConnection, path: Path, body: bytes) -> LoadResult:
    path.write_bytes(body)
    return load(con, SPEC, path, now=NOW)


def quarantine(con: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    return con.execute(
        "select file, line, byte_offset, raw, reason from tiny_landing.quarantine order by line"
    ).fetchall()


@pytest.mark.parametrize("name", ["events.csv", "events.csv.gz"])
def test_refused_rows_of_a_csv_keep_their_place_and_bytes(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, name: str
) -> None:
    bad = [
        (b"u,2026-03-01T10:00:00Z,view,one", "value is not a number"),
        (b"u\xff,2026-03-01T10:00:00Z,view,1", "not valid UTF-8"),
        (b"u,2026-03-01T10:00:00Z,view", "too few columns: 3, header has 4"),
        (b"u,2026-03-01T10:00:00Z,view," + b"9" * (1 << 20), "record longer than 1 MiB"),
        (b",2026-03-01T10:00:00Z,view,1", "user_id is missing"),
    ]
    lines = [line for row, _ in bad for line in (GOOD, row)]
    body = HEADER + b"\n".join(lines) + b"\n"
    packed = gzip.compress(body) if name.endswith(".gz") else body
    result = loaded(con, tmp_path / name, packed)
    assert (result.read, result.accepted, result.quarantined) == (10, 5, 5)
    expected = [
        (str(tmp_path / name), 3 + 2 * i, body.index(b"\n" + row + b"\n") + 1, row, reason)
        for i, (row, reason) in enumerate(bad)
    ]
    assert quarantine(con) == expected


def test_refused_json_lines_keep_theirs(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    good = {"user_id": "u", "event_time": "2026-03-01T10:00:00Z", "event_name": "view", "value": 2}
    nested = {**good, "properties": {"plan": 'it\'s "pro"', "n": [1, {"a": None}]}}
    lines = [
        json.dumps(good).encode(),
        b"{oops",
        b"[1, 2]",
        b"\xff{}",
        json.dumps({**good, "value": "x"}).encode(),
        json.dumps(nested).encode(),
    ]
    result = loaded(con, tmp_path / "events.jsonl", b"\n".join(lines))
    assert (result.read, result.accepted, result.quarantined) == (6, 2, 4)
    assert [(row[1], row[3], row[4]) for row in quarantine(con)] == [
        (2, lines[1], "not valid JSON"),
        (3, lines[2], "not a JSON object"),
        (4, lines[3], "not valid UTF-8"),
        (5, lines[4], "value is not a number"),
    ]
    kept = con.execute("select properties from tiny_landing.events order by line").fetchall()
    assert kept[0][0] is None
    assert json.loads(kept[1][0]) == nested["properties"]


CELL = st.sampled_from([b"u", b"", b"view", b"2026-03-01T10:00:00Z", b'"', b'"a', b'"",', b"\xff"])
LINE = st.one_of(st.just(GOOD), st.lists(CELL, max_size=5).map(b",".join))


@settings(max_examples=examples(30))
@given(lines=st.lists(LINE, max_size=12), end=st.sampled_from([b"\n", b"\r\n"]))
def test_every_byte_of_a_file_is_accepted_or_quarantined(
    tmp_path: Path, lines: list[bytes], end: bytes
) -> None:
    body = HEADER + end.join(lines) + end
    with duckdb.connect() as con:
        result = loaded(con, tmp_path / "events.csv", body)
        left = bytearray(body)
        for _, _, offset, raw, _ in reversed(quarantine(con)):
            assert isinstance(offset, int)
            assert isinstance(raw, bytes)
            assert left[offset : offset + len(raw)] == raw
            del left[offset : offset + len(raw)]
        # What is left of the file is the accepted rows, as another reader of CSV reads them.
        rows = list(csv.reader(io.StringIO(left.decode(), newline="")))[1:]
        kept = con.execute("select user_id from tiny_landing.events order by line").fetchall()
        assert [(row[0],) for row in rows if row] == kept
        assert result.read == len(kept) + len(quarantine(con))


def test_delimiters_are_recognised(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for i, mark in enumerate(b";\t|"):
        body = (HEADER + GOOD.replace(b"u,", b"u%d," % i)).replace(b",", bytes([mark]))
        assert loaded(con, tmp_path / f"{i}.csv", body).accepted == 1


def test_a_grown_file_adds_its_new_rows_only(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "events.csv"
    one = loaded(con, path, HEADER + GOOD + b"\n" + GOOD + b"\nbad\n")
    assert (one.accepted, one.duplicates, one.quarantined) == (2, 0, 1)
    more = (
        HEADER + GOOD + b"\n" + GOOD + b"\nbad\n" + GOOD.replace(b"u,", b"v,") + b"\nworse\nbad\n"
    )
    two = loaded(con, path, more)
    assert (two.accepted, two.duplicates, two.quarantined) == (1, 2, 3)
    assert [row[3] for row in quarantine(con)] == [b"bad", b"worse", b"bad"]


def test_a_file_cut_off_while_loading_leaves_nothing(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "events.csv.gz"
    loaded(con, path, gzip.compress(HEADER + GOOD))
    whole = gzip.compress(HEADER + b"\n".join(b"%d%s" % (i, GOOD) for i in range(2_000_000)))
    with pytest.raises(DataError, match="ends in the middle: was it cut off") as caught:
        loaded(con, path, whole[:-100])
    assert "\n" not in str(caught.value)
    assert con.execute("select count(*) from tiny_landing.events").fetchone() == (1,)
    assert con.execute("select count(*) from tiny_landing.loads").fetchone() == (1,)
