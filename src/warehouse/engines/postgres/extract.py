"""Tables of a Postgres database as Parquet files: by ADBC, batch by batch, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import pyarrow.parquet as pq

from ....errors import WarehouseError
from ....spec.expressions import quote_name
from ...contracts import Extract, select_rows
from .errors import advice


@contextmanager
def extracting(uri: str, name: str, schema: str) -> Iterator[Extract]:
    """Open a schema for extraction, in one state of all its tables.

    uri: what libpq connects with. name: what messages call the warehouse.

    Raises WarehouseError when the server fails on the way.
    """
    try:
        with adbc.connect(uri) as source, source.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
            cursor.execute("set timezone = 'UTC'")
            yield PostgresExtract(cursor, schema)
    except adbc_driver_manager.Error as error:
        raise WarehouseError(f"warehouse {name}: {advice(str(error))}") from None


class PostgresExtract:
    """Writes tables that a cursor reads; `contracts.Extract` says how."""

    def __init__(self, cursor: Any, schema: str) -> None:
        self._cursor, self._schema = cursor, schema

    def first(self, sql: str) -> Any:
        """Return the first value that a statement gives, None when there is no row."""
        self._cursor.execute(sql)
        found = self._cursor.fetchone()
        return found[0] if found else None

    def write(self, table: str, path: Path, *, where: str = "", order: str = "") -> None:
        """Write a table's rows as `Extract.write` says."""
        columns = self._columns(table)
        sql = select_rows(self._schema, table, where, ", ".join(columns.values()))
        keys = list(columns) if order == "all" else [order] if order else []
        sql += f" order by {', '.join(map(self._bytewise, keys))}" if keys else ""
        self._cursor.execute(sql)
        reader = self._cursor.fetch_record_batch()
        exact = {n: pa.decimal128(*kind) for n, kind in self._decimals.items()}
        schema = pa.schema([f.with_type(exact.get(f.name, f.type)) for f in reader.schema])
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in reader:
                arrays = [c.cast(f.type) for c, f in zip(batch.columns, schema, strict=True)]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))

    def _columns(self, table: str) -> dict[str, str]:
        """Return SQL by column name: decimals come as text, and become decimals again here."""
        self._cursor.execute(
            "select column_name, data_type, numeric_precision, numeric_scale "
            "from information_schema.columns "
            "where table_schema = $1 and table_name = $2 order by ordinal_position",
            [self._schema, table],
        )
        rows = self._cursor.fetchall()
        self._types = {row[0]: row[1] for row in rows}
        self._decimals = {
            row[0]: (row[2], row[3]) for row in rows if row[1] == "numeric" and row[2]
        }
        sql = {}
        for name, kind in self._types.items():
            as_is = quote_name(name)
            other = "text" if name in self._decimals else "double precision"
            sql[name] = f"cast({as_is} as {other}) as {as_is}" if kind == "numeric" else as_is
        return sql

    def _bytewise(self, column: str) -> str:
        """Return a sort key that orders text by its bytes and nulls last, as DuckDB does."""
        text = self._types.get(column) in {"text", "character varying"}
        collated = ' collate "C"' if text else ""
        return f"{quote_name(column)}{collated} nulls last"
