"""Open a text file of events and stream it as Arrow batches."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import pyarrow as pa

from ...errors import DataError
from ...files import check_file
from ...types import Progress
from .lines import Chunk, chunks
from .parse import batch_of, schema_of

CSV_SUFFIXES = (".csv", ".tsv")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
DELIMITERS = ",;\t|"
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
BATCH_BYTES = 16 << 20
MAX_RECORD_BYTES = 1 << 20


def open_records(
    path: Path,
    *,
    batch_bytes: int = BATCH_BYTES,
    max_record_bytes: int = MAX_RECORD_BYTES,
    progress: Progress = lambda *_: None,
) -> RecordStream:
    """Open a CSV or JSON-lines file, plain or gzip, by its suffix.

    batch_bytes: bytes read at a time. max_record_bytes: longer records are refused, whole.
    progress: called with the bytes read so far and in all, as the file lies on disk.

    Raises DataError in one line when the file is missing, a folder, forbidden, empty, of another
    kind, not UTF-8 by its first bytes, or its header cannot be used.
    """
    name = path.name.lower().removesuffix(".gz")
    if not name.endswith(CSV_SUFFIXES + JSON_SUFFIXES):
        raise DataError(
            f"{path}: cannot tell what it is by its name: use .csv, .tsv, .jsonl, .ndjson or .json "
            "(each also with .gz), or .parquet"
        )
    check_file(path)
    # The csv module's own limit on fields is lower than ours on records.
    csv.field_size_limit(max(csv.field_size_limit(), max_record_bytes))
    try:
        raw = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from None
    try:
        form: Literal["csv", "jsonl"] = "csv" if name.endswith(CSV_SUFFIXES) else "jsonl"
        return RecordStream(path, raw, form, batch_bytes, max_record_bytes, progress)
    except BaseException:
        raw.close()
        raise


class RecordStream:
    """A file being read: its format, its columns, and a reader of Arrow batches.

    Batches hold line (1-based), byte_offset (in the decompressed file), raw (bytes without the
    line terminator), reason (null where the record could be read), then each column as text, an
    empty field as null. Blank lines are no records. `failure` is the DataError that ended the
    batches early, for consumers that report a stream's errors as their own.
    """

    def __init__(
        self,
        path: Path,
        raw: IO[bytes],
        form: Literal["csv", "jsonl"],
        batch_bytes: int,
        max_record_bytes: int,
        progress: Progress,
    ) -> None:
        self.format = form
        self.records_read = 0
        self.failure: DataError | None = None
        self._path = path
        self._raw = raw
        self._max = max_record_bytes
        self._progress = progress
        self._size = os.fstat(raw.fileno()).st_size
        packed = path.name.lower().endswith(".gz")
        self._file: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=raw) if packed else raw
        first = self._begin(batch_bytes)
        self._delimiter = self._pick_delimiter(first) if form == "csv" else None
        bom = len(UTF8_BOM) if first.startswith(UTF8_BOM) else 0
        self._chunks = chunks(
            _joined(first[bom:], self._read),
            size=batch_bytes,
            max_record=max_record_bytes,
            delimiter=self._delimiter.encode() if self._delimiter else None,
            where=str(path),
            offset=bom,
        )
        self.columns = self._header() if form == "csv" else ["json"]

    def __enter__(self) -> Self:
        """Begin reading."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._raw.close()

    def reader(self) -> pa.RecordBatchReader:
        """Return the batches, to be read once."""
        return pa.RecordBatchReader.from_batches(schema_of(self.columns), self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for chunk in self._chunks:
                if len(chunk.starts):
                    self.records_read += len(chunk.starts)
                    self._progress(self._raw.tell(), self._size)
                    yield batch_of(
                        chunk, self.columns, delimiter=self._delimiter, max_record=self._max
                    )
        except DataError as error:
            self.failure = error
            raise

    def _read(self, size: int) -> bytes:
        with self._named_errors():
            return self._file.read(size)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except EOFError:
            raise DataError(f"{self._path}: ends in the middle: was it cut off?") from None
        except (gzip.BadGzipFile, zlib.error):
            raise DataError(f"{self._path}: is named .gz but is not gzip, or is damaged") from None
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read: {error.strerror or error}") from None

    def _begin(self, size: int) -> bytes:
        """Read until the first line is whole, and refuse what can be seen to be wrong."""
        first = self._read(size)
        while first and b"\n" not in first and (more := self._read(size)):
            first += more
            if len(first) > self._max + size:
                break
        if not first.removeprefix(UTF8_BOM).strip():
            raise DataError(f"{self._path}: is empty")
        if first.startswith(UTF16_BOMS):
            raise DataError(f"{self._path}: is UTF-16: save it as UTF-8")
        if self.format == "csv" and b"\n" not in first and b"\r" in first.rstrip(b"\r"):
            raise DataError(f"{self._path}: its lines end in CR alone: save it with LF line ends")
        return first

    def _pick_delimiter(self, first: bytes) -> str:
        """Take the candidate that the header line has most of; a comma when it has none."""
        header = first.split(b"\n", 1)[0].decode("utf-8", "replace")
        counted = Counter(character for character in header if character in DELIMITERS)
        return counted.most_common(1)[0][0] if counted else ","

    def _header(self) -> list[str]:
        chunk = next(self._chunks)
        raw = chunk.data[chunk.starts[0] : chunk.ends[0]]
        rest = Chunk(
            chunk.data,
            chunk.starts[1:],
            chunk.ends[1:],
            chunk.lines[1:],
            chunk.offset,
            frozenset(i - 1 for i in chunk.unterminated if i),
        )
        self._chunks = chain([rest], self._chunks)
        try:
            text = raw.decode("utf-8")
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter or ","))
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{self._path}: its header line cannot be read: {error}") from None
        names = [name.strip() for name in rows[0]]
        if "" in names:
            raise DataError(f"{self._path}: column {names.index('') + 1} of the header has no name")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"{self._path}: the header names {twice[0]!r} twice: rename one")
        return names


def _joined(first: bytes, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Return a read function that gives the bytes already read first."""
    rest = io.BytesIO(first)

    def joined(size: int) -> bytes:
        return rest.read(size) or read(size)

    return joined
