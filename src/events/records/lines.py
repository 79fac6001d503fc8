"""Find records in a stream of bytes: physical lines, or lines joined by a quoted newline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError

NEWLINE, CARRIAGE, QUOTE = 10, 13, 34
UNTERMINATED = "unterminated quote"
HARD_LIMIT = 64 << 20


@dataclass(frozen=True)
class Chunk:
    """Records found in a piece of the file.

    data: the bytes. starts, ends: each record's first byte and the byte after its last, without
    the line terminator, as positions in data. lines: the physical line (1-based) each starts on.
    offset: position of data[0] in the (decompressed) file. unterminated: positions in `starts`
    of records that open a quote which nothing closes.
    """

    data: bytes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    lines: NDArray[np.int64]
    offset: int
    unterminated: frozenset[int]


def chunks(
    read: Callable[[int], bytes],
    *,
    size: int,
    max_record: int,
    delimiter: bytes | None,
    where: str,
    offset: int = 0,
    line: int = 1,
) -> Iterator[Chunk]:
    """Yield the records of a stream, piece by piece, every record in exactly one piece.

    read: returns up to that many bytes, none at the end. size: bytes to read at a time.
    max_record: a quoted field that would make a record longer than this is taken for an
    unterminated quote: its first physical line alone is a (bad) record and reading goes on with
    the next line. delimiter: of a CSV, for which quotes join lines; None where they do not.
    offset, line: where in the file the stream starts.

    Raises DataError when a line is longer than 64 MiB.
    """
    carry = b""
    while True:
        more = read(size)
        data = carry + more
        if not data:
            return
        lines = _physical_lines(data, final=not more)
        used, chunk = _grouped(data, lines, not more, max_record, delimiter, offset, line)
        if len(chunk.starts):
            yield chunk
        if not more:
            return
        carry = data[used:]
        offset += used
        line += int(np.searchsorted(lines.next_starts, used, side="right"))
        if len(carry) > HARD_LIMIT:
            raise DataError(
                f"{where}: line {line} is longer than {HARD_LIMIT >> 20} MiB: is this a text file?"
            )


@dataclass(frozen=True)
class _Lines:
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    next_starts: NDArray[np.int64]


def _physical_lines(data: bytes, *, final: bool) -> _Lines:
    """Return the whole lines in data; the last one needs no newline at the end of the file."""
    newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE).astype(np.int64)
    next_starts = newlines + 1
    if final and (len(newlines) == 0 or next_starts[-1] < len(data)):
        newlines = np.append(newlines, len(data))
        next_starts = np.append(next_starts, len(data))
    starts = np.concatenate([[0], next_starts[:-1]]).astype(np.int64)[: len(newlines)]
    return _Lines(starts, newlines, next_starts)


def _grouped(
    data: bytes,
    lines: _Lines,
    final: bool,
    max_record: int,
    delimiter: bytes | None,
    offset: int,
    first_line: int,
) -> tuple[int, Chunk]:
    """Join lines into records; return how many bytes they take, and the records."""
    count = len(lines.starts)
    heads = np.arange(count)
    tails = heads
    bad: list[int] = []
    if delimiter is not None and b'"' in data:
        quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == QUOTE)
        per_line = np.diff(np.searchsorted(quotes, lines.next_starts), prepend=0)
        odd = np.flatnonzero(per_line % 2)
        if len(odd):
            heads, tails, bad, count = _join(data, lines, odd, final, max_record, delimiter)
    used = int(lines.next_starts[count - 1]) if count else 0
    starts, ends = lines.starts[heads], lines.ends[tails]
    carriage = (
        np.frombuffer(data, np.uint8)[np.maximum(ends - 1, 0)] == CARRIAGE if data else ends > 0
    )
    ends = ends - (carriage & (ends > starts))
    kept = ends > starts
    places = np.cumsum(kept) - 1
    return used, Chunk(
        data,
        starts[kept],
        ends[kept],
        first_line + heads[kept],
        offset,
        frozenset(int(places[i]) for i in bad if kept[i]),
    )


def _join(
    data: bytes,
    lines: _Lines,
    odd: NDArray[np.int64],
    final: bool,
    max_record: int,
    delimiter: bytes,
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int], int]:
    """Join the lines of quoted fields that hold newlines.

    A line with an even number of quotes stands alone. One with an odd number opens a field that
    the next such line closes, unless its odd quote is a letter of an unquoted field.

    Returns first and last line of each record, which records are unterminated, and how many lines
    were used: fewer than all when a field is still open at the end of the data.
    """
    total = len(lines.starts)
    joined: list[tuple[int, int]] = []
    alone: list[int] = []
    used = total
    place = 0
    while place < len(odd):
        line = int(odd[place])
        if not opens_quote(data[lines.starts[line] : lines.ends[line]], delimiter):
            place += 1
            continue
        close = int(odd[place + 1]) if place + 1 < len(odd) else None
        end = int(lines.ends[close]) if close is not None else len(data)
        too_long = end - int(lines.starts[line]) > max_record
        if close is not None and not too_long:
            joined.append((line, close))
            place += 2
        elif too_long or final:
            alone.append(line)
            place += 1
        else:
            used = line
            break
    inside = np.zeros(total, dtype=bool)
    for first, last in joined:
        inside[first + 1 : last + 1] = True
    heads = np.flatnonzero(~inside[:used])
    tails = heads.copy()
    last_of = dict(joined)
    for i in np.flatnonzero(np.isin(heads, [first for first, _ in joined])):
        tails[i] = last_of[int(heads[i])]
    bad = np.flatnonzero(np.isin(heads, alone)).tolist()
    return heads, tails, bad, used


def opens_quote(line: bytes, delimiter: bytes) -> bool:
    """Return whether a line ends inside a quoted field.

    >>> opens_quote(b'a,"b', b","), opens_quote(b'5" pipe,b', b",")
    (True, False)
    """
    place = 0
    while True:
        if line[place : place + 1] == b'"':
            close = _closing(line, place + 1)
            if close < 0:
                return True
            place = close + 1
        following = line.find(delimiter, place)
        if following < 0:
            return False
        place = following + 1


def _closing(line: bytes, place: int) -> int:
    """Return where the quote that closes a field stands, doubled ones passed over, or -1."""
    while True:
        close = line.find(b'"', place)
        if close < 0 or line[close + 1 : close + 2] != b'"':
            return close
        place = close + 2
