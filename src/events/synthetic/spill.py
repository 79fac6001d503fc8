"""Records of numbers, many times larger than memory, put in time order through one file on disk.

Blocks come in any order of time. Each is parted by stretches of time when it is put away; then
one stretch after another is gathered from all blocks and sorted in memory. What is held is one
stretch and, for each block, where its parts stand in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

MOST_STRETCHES = 20_000
_PLACE_BITS = 26  # of a key: the place among the records of a stretch


class TimeSorter:
    """Puts records with a field `time`, in [0, end), in order; equal times keep their order.

    >>> import tempfile
    >>> rows = np.array([(5, 0), (0, 1), (5, 2)], [("time", "<i8"), ("n", "<i8")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with TimeSorter(Path(folder) / "spill", rows.dtype, end=6, stretches=2) as sorter:
    ...         sorter.put(rows)
    ...         [part["n"].tolist() for part in sorter.pieces(rows=2)]
    [[1, 0], [2]]
    """

    def __init__(self, path: Path, record: np.dtype[np.void], *, end: int, stretches: int) -> None:
        self.path, self.record, self.count = path, record, 0
        stretches = max(1, min(stretches, MOST_STRETCHES, end))
        # short enough for its moments to stand above the place in one key of 63 bits
        self._stretch = min(-(-end // stretches), 1 << (63 - _PLACE_BITS))
        self._stretches = -(-end // self._stretch)
        self._bounds: list[NDArray[np.int64]] = []

    def __enter__(self) -> Self:
        self._file = self.path.open("w+b", buffering=0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def put(self, records: NDArray[np.void]) -> None:
        """Put a block of records away."""
        stretch = (records["time"] // self._stretch).astype(np.uint16)
        order = np.argsort(stretch, kind="stable")
        sizes = np.bincount(stretch, minlength=self._stretches)
        self._bounds.append(self.count + np.concatenate([[0], np.cumsum(sizes)]))
        self._write(records[order])
        self.count += len(records)

    def _write(self, records: NDArray[np.void]) -> None:
        rest = memoryview(records.view(np.uint8).data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def pieces(self, rows: int) -> Iterator[NDArray[np.void]]:
        """Yield all records in order, so many at a time; the last piece may be shorter."""
        held: list[NDArray[np.void]] = []
        count = 0
        for number in range(self._stretches):
            held.append(self._sorted(number))
            count += len(held[-1])
            if count < rows:
                continue
            part = np.concatenate(held)
            whole = len(part) - len(part) % rows
            for first in range(0, whole, rows):
                yield part[first : first + rows]
            held, count = [part[whole:].copy()], count - whole
        if count:
            yield np.concatenate(held)

    def _sorted(self, number: int) -> NDArray[np.void]:
        bounds = [(int(b[number]), int(b[number + 1])) for b in self._bounds]
        found = np.empty(sum(high - low for low, high in bounds), self.record)
        at = 0
        for low, high in bounds:
            self._file.seek(low * self.record.itemsize)
            self._fill(found[at : at + high - low])
            at += high - low
        # keys of moment and place sort several times as fast as places sorted by moment
        key = (found["time"] - number * self._stretch) << _PLACE_BITS
        key |= np.arange(len(found))
        key.sort()
        return np.take(found, key & ((1 << _PLACE_BITS) - 1))

    def _fill(self, part: NDArray[np.void]) -> None:
        rest = memoryview(part.view(np.uint8).data)
        while rest:
            got = self._file.readinto(rest)
            if not got:
                raise OSError(f"{self.path} ended early")
            rest = rest[got:]
