"""Text records: every byte of a file is in exactly one record, however it is cut into batches."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from whyrank.errors import DataError
from whyrank.events.records import parse
from whyrank.events.records.source import open_records


class Record(NamedTuple):
    """One record as it was read."""

    line: int
    offset: int
    raw: bytes
    reason: str | None
    fields: tuple[str | None, ...]


def read(path: Path, batch: int = 1 << 20, longest: int = 1 << 20) -> list[Record]:
    with open_records(path, batch_bytes=batch, max_record_bytes=longest) as stream:
        table = pa.Table.from_batches(list(stream.reader()), stream.reader().schema)
        assert stream.records_read == table.num_rows
    columns = [column.to_pylist() for column in table.columns]
    return [Record(*row[:4], tuple(row[4:])) for row in zip(*columns, strict=True)]


def written(path: Path, body: bytes) -> Path:
    path.write_bytes(body)
    return path


TEXT = st.text(st.sampled_from("ab,;\"'\n\r\té€ \\"), max_size=6)
WIDTH = 3
ROWS = st.lists(st.tuples(*[TEXT] * WIDTH), max_size=8)
# Pieces that make every hard case likely: quotes open, closed, doubled; both line ends; bad UTF-8.
PIECES = [b"a", b"b,", b",", b'"', b'""', b',"', b'",', b"\n", b"\r\n", b"\r", b"\xff", b"\xc3\xa9"]
MESS = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)


@given(
    rows=ROWS,
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    delimiter=st.sampled_from(",;\t|"),
    batch=st.integers(1, 40),
)
def test_what_a_csv_writer_wrote_is_read_back(
    tmp_path: Path, rows: list[tuple[str, ...]], end: str, quoting: int, delimiter: str, batch: int
) -> None:
    if any("\r" in field for row in rows for field in row):
        quoting = csv.QUOTE_ALL  # the csv module of 3.11 leaves a lone CR unquoted
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=quoting, delimiter=delimiter)  # type: ignore[arg-type]
    writer.writerows([("x", "y", "z"), *rows])
    path = written(tmp_path / "t.csv", text.getvalue().encode())
    found = read(path, batch)
    assert [record.reason for record in found] == [None] * len(rows)
    assert [record.fields for record in found] == [
        tuple(field or None for field in row) for row in rows
    ]


@given(body=MESS, batch=st.integers(1, 60), longest=st.sampled_from([4, 12, 1 << 20]))
def test_no_byte_is_lost_and_every_place_is_right(
    tmp_path: Path, body: bytes, batch: int, longest: int
) -> None:
    data = b"x,y\n" + body
    place = 4
    for record in read(written(tmp_path / "t.csv", data), batch, longest):
        assert data[record.offset : record.offset + len(record.raw)] == record.raw
        assert data[place : record.offset].strip(b"\r\n") == b""
        assert record.line == 1 + data[: record.offset].count(b"\n")
        place = record.offset + len(record.raw)
    assert data[place:].strip(b"\r\n") == b""


@given(body=MESS, batch=st.integers(1, 60))
def test_how_a_file_is_cut_into_batches_changes_nothing(
    tmp_path: Path, body: bytes, batch: int
) -> None:
    path = written(tmp_path / "t.csv", b"x,y\n" + body)
    assert read(path, batch) == read(path)


@example(body=b"\rb,")
@example(body=b"b,\r\r\nc,d")
@example(body=b"a\rb,")
@given(body=MESS)
def test_parsing_at_once_is_parsing_one_by_one(tmp_path: Path, body: bytes) -> None:
    path = written(tmp_path / "t.csv", b"x,y\n" + body)
    quick = read(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse, "_at_once", lambda *_: None)
        assert read(path) == quick


@given(body=MESS)
def test_gzip_reads_as_the_file_in_it(tmp_path: Path, body: bytes) -> None:
    data = b"x,y\n" + body
    plain = written(tmp_path / "t.csv", data)
    packed = written(tmp_path / "t.csv.gz", gzip.compress(data, mtime=0))
    assert read(packed, 7) == read(plain)


@given(lines=st.lists(st.sampled_from([b'{"a": "x"}', b"{", b'"', b"\xff", b""]), max_size=9))
def test_json_lines_are_one_record_each(tmp_path: Path, lines: list[bytes]) -> None:
    path = written(tmp_path / "t.jsonl", b"\n".join([b"{}", *lines]))
    found = read(path, 5)
    assert [record.raw for record in found] == [b"{}", *(line for line in lines if line)]
    for record in found:
        bad = record.raw == b"\xff"
        assert record.reason == (parse.NOT_UTF8 if bad else None)
        assert record.fields == (None if bad else record.raw.decode(),)


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"\xef\xbb\xbfx,y\n1,2\n")
    with open_records(path) as stream:
        assert stream.columns == ["x", "y"]
    assert read(path) == [Record(2, 7, b"1,2", None, ("1", "2"))]


def test_an_open_quote_costs_its_own_line_and_no_other(tmp_path: Path) -> None:
    good = [f"{i},fine" for i in range(200)]
    lines = [*good[:100], '100,"never closed', *good[100:]]
    path = written(tmp_path / "t.csv", ("x,y\n" + "\n".join(lines)).encode())
    for batch in (64, 1 << 20):
        found = read(path, batch)
        assert [record.fields[0] for record in found if not record.reason] == [
            str(i) for i in range(200)
        ]
        (bad,) = (record for record in found if record.reason)
        assert (bad.line, bad.raw, bad.reason) == (102, b'100,"never closed', "unterminated quote")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2,3", "too many columns: 3, header has 2"),
        (b"1", "too few columns: 1, header has 2"),
        (b"\xff\xfe,2", "not valid UTF-8"),
        (b"1,\xe9t\xe9", "not valid UTF-8"),
        (b"1,a\rb", "not a CSV record"),
        (b"1," + b"x" * 100, "record longer than 60 bytes"),
    ],
)
def test_a_record_that_cannot_be_read_says_why_and_keeps_its_bytes(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    path = written(tmp_path / "t.csv", b"x,y\n1,2\n" + line + b"\n3,4\n")
    found = read(path, longest=60)
    assert [record.fields for record in found] == [("1", "2"), (None, None), ("3", "4")]
    assert (found[1].line, found[1].offset, found[1].raw) == (3, 8, line)
    assert found[1].reason == reason


def test_a_cell_of_10_mb_is_refused_whole_and_its_neighbours_stay(tmp_path: Path) -> None:
    cell = b"x" * 10_000_000
    for quoted in (cell, b'"' + cell + b'"'):
        path = written(tmp_path / "t.csv", b"x,y\n1,2\n3," + quoted + b"\n5,6\n")
        found = read(path)
        assert [record.fields for record in found] == [("1", "2"), (None, None), ("5", "6")]
        assert found[1].raw == b"3," + quoted
        assert found[1].reason == "record longer than 1 MiB"


def _nothing(path: Path) -> None:
    del path


def _bytes(body: bytes) -> Callable[[Path], None]:
    return lambda path: void(path.write_bytes(body))


def void(_: object) -> None:
    """Drop a result."""


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("missing.csv", _nothing, "cannot be opened: No such file or directory"),
        ("folder.csv", Path.mkdir, "is a folder: name one file in it"),
        ("events.xlsx", _bytes(b"x"), "cannot tell what it is by its name"),
        ("empty.csv", _bytes(b""), "is empty"),
        ("blank.csv", _bytes(b"\xef\xbb\xbf\n \n"), "is empty"),
        ("wide.csv", _bytes("x,y\n1,2\n".encode("utf-16")), "is UTF-16: save it as UTF-8"),
        ("latin.csv", _bytes("größe,y\n".encode("latin-1")), "its header line cannot be read"),
        ("mac.csv", _bytes(b"x,y\r1,2\r"), "its lines end in CR alone"),
        ("twice.csv", _bytes(b"x,y, x\n1,2,3\n"), "the header names 'x' twice: rename one"),
        ("nameless.csv", _bytes(b"x,,z\n1,2,3\n"), "column 2 of the header has no name"),
        ("plain.csv.gz", _bytes(b"x,y\n1,2\n"), "is named .gz but is not gzip"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_line(
    tmp_path: Path, name: str, make: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(DataError, match=said) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_gzip_file_cut_off_is_an_error_and_not_a_short_file(tmp_path: Path) -> None:
    data = gzip.compress(b"x,y\n" + b"1,2\n" * 10_000, mtime=0)
    path = written(tmp_path / "t.csv.gz", data[: len(data) // 2])
    with pytest.raises(DataError, match="ends in the middle: was it cut off"):
        read(path, 64)


def test_progress_rises_to_the_size_of_the_file(tmp_path: Path) -> None:
    for name, pack in (("t.csv", bytes), ("t.csv.gz", gzip.compress)):
        path = written(tmp_path / name, pack(b"x,y\n" + b"1,2\n" * 50_000))
        seen: list[tuple[int, int]] = []
        with open_records(path, batch_bytes=10_000, progress=lambda *at: seen.append(at)) as stream:
            assert sum(batch.num_rows for batch in stream.reader()) == 50_000
        assert len(seen) >= 20
        assert seen == sorted(seen)
        assert seen[-1] == (path.stat().st_size,) * 2
