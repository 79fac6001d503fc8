"""Turn records into fields, or into a reason why not."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from .lines import UNTERMINATED, Chunk

NOT_UTF8 = "not valid UTF-8"
NOT_CSV = "not a CSV record"
LEADING = (
    pa.field("line", pa.int64()),
    pa.field("byte_offset", pa.int64()),
    pa.field("raw", pa.binary()),
    pa.field("reason", pa.string()),
)


def schema_of(columns: Sequence[str]) -> pa.Schema:
    """Return the schema of batches: line, byte_offset, raw, reason, then the fields as text."""
    return pa.schema([*LEADING, *(pa.field(name, pa.string()) for name in columns)])


def batch_of(
    chunk: Chunk, columns: Sequence[str], *, delimiter: str | None, max_record: int
) -> pa.RecordBatch:
    """Return a chunk's records as one batch; empty fields are null.

    Clean chunks are parsed at once; one with anything odd in it is parsed record by record.
    """
    spans = list(zip(chunk.starts.tolist(), chunk.ends.tolist(), strict=True))
    raw = [chunk.data[start:end] for start, end in spans]
    reasons: list[str | None] = [None] * len(raw)
    fields = None
    longest = max(len(record) for record in raw)
    if not chunk.unterminated and longest <= max_record:
        fields = _at_once(chunk, raw, columns, delimiter)
    if fields is None:
        fields = _one_by_one(chunk, raw, columns, delimiter, max_record, reasons)
    leading = [
        pa.array(chunk.lines, pa.int64()),
        pa.array(chunk.starts + chunk.offset, pa.int64()),
        pa.array(raw, pa.binary()),
        pa.array(reasons, pa.string()),
    ]
    return pa.RecordBatch.from_arrays([*leading, *fields], schema=schema_of(columns))


def _at_once(
    chunk: Chunk, raw: list[bytes], columns: Sequence[str], delimiter: str | None
) -> list[pa.Array] | None:
    """Parse a whole chunk, or return None when something in it needs a closer look."""
    try:
        if delimiter is None:
            return [pc.cast(pa.array(raw, pa.binary()), pa.string())]
        names = [str(i) for i in range(len(columns))]
        region = pa.py_buffer(chunk.data)[int(chunk.starts[0]) : int(chunk.ends[-1])]
        table = pacsv.read_csv(
            pa.BufferReader(region),
            pacsv.ReadOptions(
                column_names=names, use_threads=False, block_size=max(region.size + 1, 16)
            ),
            pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != len(raw):
        return None
    return [column.combine_chunks() for column in table.columns]


def _one_by_one(
    chunk: Chunk,
    raw: list[bytes],
    columns: Sequence[str],
    delimiter: str | None,
    max_record: int,
    reasons: list[str | None],
) -> list[pa.Array]:
    """Parse record by record, writing why a record cannot be read into `reasons`."""
    rows: list[list[str | None]] = []
    for i, record in enumerate(raw):
        found: list[str | None] | str
        if i in chunk.unterminated:
            found = UNTERMINATED
        elif len(record) > max_record:
            found = f"record longer than {_size(max_record)}"
        else:
            found = _fields(record, len(columns), delimiter)
        if isinstance(found, str):
            reasons[i] = found
            rows.append([None] * len(columns))
        else:
            rows.append(found)
    return [pa.array(list(column), pa.string()) for column in zip(*rows, strict=True)]


def _fields(record: bytes, width: int, delimiter: str | None) -> list[str | None] | str:
    """Return a record's fields, empty ones as None, or why it has none."""
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError:
        return NOT_UTF8
    if delimiter is None:
        return [text]
    try:
        # A carriage return by itself ends a line too, and a line of nothing is no row.
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows = [row for row in lines if row]
    except csv.Error:
        return NOT_CSV
    if len(rows) != 1:
        return NOT_CSV
    if len(rows[0]) != width:
        many = "many" if len(rows[0]) > width else "few"
        return f"too {many} columns: {len(rows[0])}, header has {width}"
    return [field or None for field in rows[0]]


def _size(limit: int) -> str:
    return f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit:,} bytes"
