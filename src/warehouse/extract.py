"""Tables of a warehouse as Parquet files, whichever engine holds them: Arrow in between.

From Postgres they come by ADBC, batch by batch, in one transaction that sees one state of them all.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import WarehouseError
from ..spec.expressions import quote_name, quote_text
from .engine import Connection, Warehouse

if TYPE_CHECKING:
    from .spark_session import SparkConnection


class Extract(Protocol):
    """Writes tables of one schema, in one state, to Parquet files."""

    def first(self, sql: str) -> Any:
        """Return the first value that a statement gives, None when there is no row."""
        ...

    def write(self, table: str, path: Path, *, where: str = "", order: str = "") -> None:
        """Write a table's rows, those that meet an SQL condition, in the order of a column.

        order: "all" for the order of all columns; rows come as they lie when it is empty.
        """
        ...


@contextmanager
def extracting(warehouse: Warehouse, con: Connection, schema: str) -> Iterator[Extract]:
    """Open a schema for extraction; `con` is the warehouse's connection.

    Raises WarehouseError when the warehouse fails on the way.
    """
    if isinstance(con, duckdb.DuckDBPyConnection):  # also of Spark: its catalog
        yield _FromDuckDB(con, schema)
        return
    if warehouse.engine == "spark":
        yield _FromSpark(cast("SparkConnection", con), schema)
        return
    # Only here: they load pandas and libpq, for which scoring from a file would wait.
    import adbc_driver_manager
    import adbc_driver_postgresql.dbapi as adbc

    from .postgres import PostgresWarehouse, advice

    server = cast("PostgresWarehouse", warehouse)
    try:
        with adbc.connect(server.uri) as source, source.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
            cursor.execute("set timezone = 'UTC'")
            yield _FromPostgres(cursor, schema)
    except adbc_driver_manager.Error as error:
        raise WarehouseError(f"warehouse {warehouse.name}: {advice(str(error))}") from None


def _rows(schema: str, table: str, where: str, columns: str = "*") -> str:
    sql = f"select {columns} from {quote_name(schema)}.{quote_name(table)}"
    return sql + (f" where {where}" if where else "")


class _FromDuckDB:
    def __init__(self, con: duckdb.DuckDBPyConnection, schema: str) -> None:
        self._con, self._schema = con, schema

    def first(self, sql: str) -> Any:
        """Return the first value that a statement gives, None when there is no row."""
        found = self._con.execute(sql).fetchone()
        return found[0] if found else None

    def write(self, table: str, path: Path, *, where: str = "", order: str = "") -> None:
        """Write a table's rows as `Extract.write` says."""
        sql = _rows(self._schema, table, where) + (f" order by {order}" if order else "")
        self._con.execute(
            f"copy ({sql}) to {quote_text(str(path))} (format parquet, compression zstd)"
        )


class _FromSpark:
    def __init__(self, con: SparkConnection, schema: str) -> None:
        self._con, self._schema = con, schema

    def first(self, sql: str) -> Any:
        """Return the first value that a statement gives, None when there is no row."""
        found = self._con.execute(sql).fetchone()
        return found[0] if found else None

    def write(self, table: str, path: Path, *, where: str = "", order: str = "") -> None:
        """Write a table's rows as `Extract.write` says; a worker writes them, as one file."""
        rows = self._con.session.sql(_rows(self._schema, table, where)).repartition(1)
        keys = rows.columns if order == "all" else [order] if order else []
        if keys:
            rows = rows.sortWithinPartitions(*(rows[key].asc_nulls_last() for key in keys))
        folder = path.with_suffix(".written")
        rows.write.mode("overwrite").option("compression", "zstd").parquet(str(folder))
        (written,) = folder.glob("*.parquet")
        written.rename(path)
        shutil.rmtree(folder)


class _FromPostgres:
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
        sql = _rows(self._schema, table, where, ", ".join(columns.values()))
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
