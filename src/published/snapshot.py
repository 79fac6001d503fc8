"""A published snapshot in memory, as named feature columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import WarehouseError
from ..types import Floats, Integers

KEYS = ("user_id", "in_population")


class Snapshot:
    """Users' features as of one date, ordered by user_id.

    >>> table = pa.table({"user_id": ["a", "b"], "views": [3, None], "device": ["web", None]})
    >>> snapshot = Snapshot(table)
    >>> snapshot.numeric("views").tolist()
    [3.0, nan]
    >>> snapshot.categorical("device")[0].tolist()
    [0, -1]
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @classmethod
    def read(
        cls, path: Path, features: tuple[str, ...], *, population_only: bool = True
    ) -> Snapshot:
        """Read some features from a snapshot file; by default only of users in the population.

        Raises:
            WarehouseError: A feature is not in the file.
        """
        with pq.ParquetFile(path) as file:
            missing = [name for name in features if name not in file.schema_arrow.names]
            if missing:
                raise WarehouseError(
                    f"the snapshot has no feature {missing[0]!r}: the spec changed since the last "
                    "build; run `whyrank build` again"
                )
            table = file.read(columns=list(dict.fromkeys((*KEYS, *features))))
        if population_only:
            inside = table.column("in_population")
            if not pc.all(inside).as_py():
                table = table.filter(inside)
        return cls(table)

    @classmethod
    def stack(cls, snapshots: Sequence[Snapshot]) -> Snapshot:
        """Concatenate snapshots that have the same features."""
        tables = [snapshot._table for snapshot in snapshots]  # noqa: SLF001 - the same class
        return cls(pa.concat_tables(tables))

    def __len__(self) -> int:
        """Return how many users there are."""
        return int(self._table.num_rows)

    @property
    def user_ids(self) -> pa.ChunkedArray:
        """The users' ids, in order."""
        return self._table.column("user_id")

    def take(self, rows: NDArray[np.int64]) -> Snapshot:
        """Return the users at these positions, in this order."""
        return Snapshot(self._table.take(pa.array(rows)))

    def replaced(self, name: str, other: Snapshot, rows: NDArray[np.int64]) -> Snapshot:
        """Return the same users, with one feature taken from the given rows of another snapshot.

        >>> snapshot = Snapshot(pa.table({"user_id": ["a", "b"], "views": [3, 4]}))
        >>> snapshot.replaced("views", snapshot, np.array([1, 1])).numeric("views").tolist()
        [4.0, 4.0]
        """
        column = other._table.column(name).take(pa.array(rows))
        place = self._table.column_names.index(name)
        return Snapshot(self._table.set_column(place, name, column))

    def numeric(self, name: str) -> Floats:
        """Return a numeric or boolean feature, shape (n,), null as NaN.

        Raises:
            KeyError: There is no feature of that name.
            TypeError, ValueError: The feature is not numeric.
        """
        column = self._table.column(name)
        if pa.types.is_temporal(column.type):
            raise TypeError(f"{name}: {column.type}")
        if pa.types.is_boolean(column.type):
            column = pc.cast(column, pa.uint8())
        values: Floats = column.to_numpy().astype(np.float64, copy=False)
        return values

    def categorical(self, name: str) -> tuple[Integers, list[str]]:
        """Return a categorical feature: codes, shape (n,), -1 for null, and the categories."""
        encoded = pc.dictionary_encode(self._table.column(name)).combine_chunks()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = (
                encoded.chunk(0)
                if encoded.num_chunks
                else pa.DictionaryArray.from_arrays(
                    pa.array([], pa.int32()), pa.array([], pa.string())
                )
            )
        codes = pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int64)
        return codes, [str(text) for text in encoded.dictionary.to_pylist()]

    def rows(self) -> list[dict[str, object]]:
        """Return each user's features as a dictionary; meant for few users."""
        return list(self._table.to_pylist())
