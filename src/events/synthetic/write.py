"""Files of any size in bounded memory, whole or not at all, the same bytes every time.

Everything is first written in a temporary folder beside the output, on the same file system, and
moved into place at the end. One thread writes each file in pieces of a fixed length, so neither
the number of processors nor the pace of the sort shows in the bytes.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from ...database import connect_duckdb
from ...errors import DataError, UsageError, WarehouseError
from ...files import scratch_folder
from .manifest import manifest_name, noted

SUFFIXES = (".csv", ".csv.gz", ".parquet")
ROWS = 131_072  # rows a piece: a Parquet row group, a run of CSV text
SORT_MEMORY = "768MB"  # what the sort may hold before it spills to disk


def beside(out: Path, role: str) -> Path:
    """Return the companion file of `out` for `role`.

    Raises UsageError where the name of `out` does not end in a known format.

    >>> beside(Path("data/raw_events.csv.gz"), "users").as_posix()
    'data/raw_events_users.csv.gz'
    """
    stem = stem_of(out)
    return out.with_name(f"{stem}_{role}{out.name.removeprefix(stem)}")


def manifest_of(out: Path) -> Path:
    """Return where it is noted which bytes were generated as `out` and beside it.

    >>> manifest_of(Path("data/raw_events.csv")).as_posix()
    'data/raw_events_generated.json'
    """
    return out.with_name(manifest_name(stem_of(out)))


def stem_of(out: Path) -> str:
    """Return a file's name without the suffix that says its format; raises as `beside` does.

    >>> stem_of(Path("data/2026.q1.csv.gz"))
    '2026.q1'
    """
    suffix = next((s for s in SUFFIXES if out.name.endswith(s) and out.name != s), None)
    if suffix is None:
        raise UsageError(
            f"cannot tell the format of {str(out)!r}: end the name in {', '.join(SUFFIXES)}"
        )
    return out.name.removesuffix(suffix)


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Give a temporary folder beside `out`, removed with all it holds when the block ends.

    Raises UsageError where there cannot be one, DataError where writing inside the block fails.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder) / "list.csv"
    ...     with staged(target) as temporary:
    ...         _ = (temporary / "new").write_text("done")
    ...         publish({temporary / "new": target}, target)
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['list.csv', 'list_generated.json']
    """
    with ExitStack() as held:
        try:
            if out.is_dir():
                raise UsageError(f"cannot write {str(out)!r}: it is a folder; name a file in it")
            if not out.parent.is_dir():
                raise UsageError(
                    f"cannot write {str(out)!r}: there is no folder {str(out.parent)!r}; "
                    "create it first"
                )
            folder = held.enter_context(scratch_folder(out))
        except OSError as error:
            raise UsageError(
                f"cannot write in the folder {str(out.parent)!r}: {error.strerror}; "
                "choose a folder you may write to"
            ) from error
        try:
            yield folder
        except (OSError, WarehouseError, duckdb.Error, pa.ArrowException) as error:
            reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
            raise DataError(
                f"cannot write {str(out)!r}: {reason}; nothing was kept, check the space and "
                f"the limits of the folder {str(out.parent)!r}"
            ) from error


def publish(files: Mapping[Path, Path], out: Path) -> None:
    """Move finished files, given as temporary: final, into place in this order; see `staged`.

    What they hold is noted beside `out`, so that a later dataset may replace them.

    Raises UsageError, before moving any, where a folder stands in a target's place.
    """
    for target in files.values():
        if target.is_dir():
            raise UsageError(f"cannot write {str(target)!r}: it is a folder; move it away")
    with noted(files, manifest_of(out)):
        for temporary, target in files.items():
            temporary.replace(target)


class TableFile:
    """A CSV (plain or gzip) or Parquet file, by its suffix, written table by table.

    CSV has a header, UTF-8, `\\n` line ends, empty cells for null, and times in ISO 8601 UTC with
    microseconds; its text must hold no comma, quote or line break (ArrowInvalid otherwise).

    Tables have the schema `schema`, or `coded`, if given, with text as numbers and dictionary; the
    file shows no difference. A coded table should be ROWS long, or the last, to be written as is.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "n.csv"
    ...     schema = pa.schema([("n", pa.int64()), ("t", pa.timestamp("us", "UTC"))])
    ...     with TableFile(path, schema) as file:
    ...         file.write(pa.table({"n": [7, None], "t": [0, None]}, schema=schema))
    ...     path.read_text().split()
    ['n,t', '7,1970-01-01T00:00:00.000000Z', ',']
    """

    def __init__(self, path: Path, schema: pa.Schema, coded: pa.Schema | None = None) -> None:
        self.path, self.schema, self.coded = path, schema, coded
        self._held: list[pa.Table] = []
        self._files = ExitStack()

    def __enter__(self) -> Self:
        if self.path.name.endswith(".parquet"):
            self._parquet: pq.ParquetWriter | None = self._files.enter_context(self._writer())
            return self
        self._parquet = None
        raw: BinaryIO = self._files.enter_context(self.path.open("wb"))
        if self.path.name.endswith(".gz"):
            # neither name nor time of writing in the header: they would change the bytes
            zipped = gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0)
            raw = self._files.enter_context(zipped)  # type: ignore[assignment]
        self._text = raw
        self._text.write((",".join(self.schema.names) + "\n").encode())
        return self

    def _writer(self) -> pq.ParquetWriter:
        if self.coded is None:
            return pq.ParquetWriter(self.path, self.schema, compression="zstd")
        words = [field.name for field in self.coded if pa.types.is_dictionary(field.type)]
        # without the Arrow schema in it, a reader takes the columns for the text that they are
        return pq.ParquetWriter(
            self.path, self.coded, compression="zstd", use_dictionary=words, store_schema=False
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._files:
            if kind is None and self._held:
                self._emit(pa.concat_tables(self._held))

    def write(self, table: pa.Table) -> None:
        """Append `table`, which must have this file's schema (the coded one, if given)."""
        self._held.append(table)
        if sum(t.num_rows for t in self._held) < ROWS:
            return
        rows = pa.concat_tables(self._held)
        whole = rows.num_rows - rows.num_rows % ROWS
        for first in range(0, whole, ROWS):
            self._emit(rows.slice(first, ROWS))
        self._held = [rows.slice(whole)]

    def _emit(self, table: pa.Table) -> None:
        if self._parquet is not None:
            self._parquet.write_table(table, row_group_size=ROWS)
            return
        if self.coded is not None:
            table = table.cast(self.schema)
        columns = [_iso(c) if pa.types.is_timestamp(c.type) else c for c in table.columns]
        # In one chunk: behind an empty first chunk pyarrow 25 writes offsets in place of text.
        text = pa.Table.from_arrays(columns, names=table.column_names).combine_chunks()
        sink = pa.BufferOutputStream()
        options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
        pyarrow.csv.write_csv(text, sink, options)
        self._text.write(sink.getvalue())


def sorted_batches(parts: Path, by: str, spill: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file in the order `by` (SQL), spilling to the folder `spill`.

    `by` must order rows fully, or the result is not the same every time.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parts = Path(folder) / "parts.parquet"
    ...     pq.write_table(pa.table({"n": [3, 1, 2]}), parts)
    ...     [b["n"].to_pylist() for b in sorted_batches(parts, "n", Path(folder) / "spill")]
    [[1, 2, 3]]
    """
    with connect_duckdb(
        config={"memory_limit": SORT_MEMORY, "temp_directory": str(spill)}
    ) as connection:
        # a folder called `a*b` is no pattern, one called `a=b` no column
        plain = re.sub(r"([*?\[])", r"[\1]", str(parts))
        rows = connection.read_parquet(plain, hive_partitioning=False)
        yield from rows.order(by).to_arrow_reader(ROWS)


def _iso(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = column.cast(pa.timestamp("us")).cast(pa.string())
    text = pc.replace_substring(text, " ", "T", max_replacements=1)
    return pc.binary_join_element_wise(text, "Z", "")
