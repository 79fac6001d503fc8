"""Open a file (or a data frame) of rows as a relation that DuckDB can read in one pass.

Whatever the format, the relation `incoming` has `line` (1-based; the row number where there are
no lines), `byte_offset` (null where there are no bytes), `raw` (SQL, see Opened) and the fields.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ...database import quote_path
from ...errors import DataError
from ...events.contract import Fields
from ...files import check_file
from ...spec.expressions import quote_name, quote_text

if TYPE_CHECKING:
    import pyarrow as pa

    from ...types import Progress

PARQUET_SUFFIXES = (".parquet", ".pq")
_LEADING = ("line", "byte_offset", "raw", "reason")


@dataclass(frozen=True)
class Opened:
    """A relation to load, its fields, and where a row came from, as SQL.

    `row` is carried along with every row; `raw` makes a refused row's bytes of it, as `_row`.
    """

    relation: str
    fields: Fields
    line: str
    byte_offset: str
    row: str
    raw: str


@contextmanager
def open_source(
    con: duckdb.DuckDBPyConnection, source: Path | str, progress: Progress = lambda *_: None
) -> Iterator[Opened]:
    """Open a file by its suffix, or a relation already on the connection by its name.

    progress: called with the bytes read so far and in all, while a text file is read.

    Raises DataError in one line when the file is missing, empty, no file, or not what its suffix
    says.
    """
    if isinstance(source, str):
        yield _relation(con, source, f"relation {source}")
        return
    check_file(source)
    if source.name.lower().endswith(PARQUET_SUFFIXES):
        yield _parquet(con, source)
    else:
        # Only here: Parquet is DuckDB's to read, and need not wait for what parses text.
        from ...events.records.source import open_records

        with open_records(source, progress=progress) as stream:
            reader = stream.reader()
            fields = stream.columns
            con.register("incoming", _renamed(reader))
            try:
                yield _records(fields, stream.format, str(source))
            except duckdb.Error:
                if stream.failure is not None:
                    raise stream.failure from None
                raise
            finally:
                con.unregister("incoming")


def _renamed(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Give the fields names of our own, so that a file's header cannot clash with ours."""
    import pyarrow as pa

    count = len(reader.schema) - len(_LEADING)
    names = [*_LEADING, *(f"f{i}" for i in range(count))]
    schema = pa.schema(
        [field.with_name(name) for field, name in zip(reader.schema, names, strict=True)]
    )
    batches = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in reader)
    return pa.RecordBatchReader.from_batches(schema, batches)


def _records(names: list[str], form: str, where: str) -> Opened:
    if form == "jsonl":
        fields: Fields = _JsonFields(where)
    else:
        columns = {name: (f"f{i}", "VARCHAR") for i, name in enumerate(names)}
        fields = Fields(where, columns, "reason")
    return Opened("incoming", fields, "line", "byte_offset", "raw", "_row")


class _JsonFields(Fields):
    """Fields of JSON lines: any name is there, as a row may or may not have it."""

    def __init__(self, where: str) -> None:
        super().__init__(
            where,
            _AnyName(),
            "coalesce(reason, case when not json_valid(f0) then 'not valid JSON'"
            " when json_type(try_cast(f0 as json)) <> 'OBJECT' then 'not a JSON object' end)",
        )

    def sql(self, name: str) -> str | None:
        """Return the field taken out of the row's object, null where it has none."""
        path = quote_text('$."' + name.replace('"', "") + '"')
        return f"try(json_extract_string(f0, {path}))"

    def type(self, name: str) -> str:
        """Every field of JSON is read as text first."""
        del name
        return "VARCHAR"

    def others(self, keys: Collection[str]) -> str:
        """The whole object serves as attributes: the keys in it do no harm."""
        del keys
        return "f0"


class _AnyName(dict[str, tuple[str, str]]):
    """Field names of a source whose rows may have any."""

    def __contains__(self, name: object) -> bool:
        return True


def _parquet(con: duckdb.DuckDBPyConnection, path: Path) -> Opened:
    if not path.exists():
        raise DataError(f"{path}: there is no such file")
    relation = f"read_parquet({quote_path(path)}, file_row_number = true)"
    try:
        described = con.execute(f"describe select * from {relation}").fetchall()
    except duckdb.Error as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as Parquet: {reason}") from None
    columns = {
        row[0]: (quote_name(row[0]), str(row[1]))
        for row in described
        if row[0] != "file_row_number"
    }
    return Opened(
        f"{relation} as incoming",
        Fields(str(path), columns),
        "file_row_number + 1",
        "cast(null as bigint)",
        "incoming",
        "encode(cast(to_json(_row) as varchar))",
    )


def _relation(con: duckdb.DuckDBPyConnection, name: str, where: str) -> Opened:
    described = con.execute(f"describe select * from {quote_name(name)}").fetchall()
    columns = {row[0]: (quote_name(row[0]), str(row[1])) for row in described}
    numbered = f"(select *, row_number() over () as _line from {quote_name(name)}) as incoming"
    return Opened(
        numbered,
        Fields(where, columns),
        "_line",
        "cast(null as bigint)",
        "incoming",
        "encode(cast(to_json(_row) as varchar))",
    )
