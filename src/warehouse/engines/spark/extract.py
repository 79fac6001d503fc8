"""Tables of Spark's as single Parquet files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ...contracts import select_rows
from .session import SparkConnection


class SparkExtract:
    """Writes tables that a session sees; `contracts.Extract` says how."""

    def __init__(self, con: SparkConnection, schema: str) -> None:
        self._con, self._schema = con, schema

    def first(self, sql: str) -> Any:
        """Return the first value that a statement gives, None when there is no row."""
        found = self._con.execute(sql).fetchone()
        return found[0] if found else None

    def write(self, table: str, path: Path, *, where: str = "", order: str = "") -> None:
        """Write a table's rows as `Extract.write` says; a worker writes them, as one file."""
        rows = self._con.session.sql(select_rows(self._schema, table, where)).repartition(1)
        keys = rows.columns if order == "all" else [order] if order else []
        if keys:
            rows = rows.sortWithinPartitions(*(rows[key].asc_nulls_last() for key in keys))
        folder = path.with_suffix(".written")
        rows.write.mode("overwrite").option("compression", "zstd").parquet(str(folder))
        (written,) = folder.glob("*.parquet")
        written.rename(path)
        shutil.rmtree(folder)
