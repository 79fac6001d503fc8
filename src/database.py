"""Connections to DuckDB: every one that whyrank opens, opened alike."""

from __future__ import annotations

from collections.abc import Mapping
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

MEMORY = ":memory:"


def quote_path(path: str | Path, within: str = "") -> str:
    """Return a file's path as an SQL literal that names this file alone.

    DuckDB takes a path for a pattern: ev[1].parquet would read ev1.parquet. within: a pattern of
    files in the folder that the path names.

    >>> quote_path("it's/ev[1].parquet")
    "'it''s/ev[[]1].parquet'"
    >>> quote_path("days", "**/*.parquet")
    "'days/**/*.parquet'"
    """
    literal = escape(str(path)) + (f"/{within}" if within else "")
    return "'" + literal.replace("'", "''") + "'"


def connect_duckdb(
    database: str | Path = MEMORY,
    *,
    read_only: bool = False,
    config: Mapping[str, str | bool | int | float | list[str]] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file, or a database in memory, that prints nothing.

    DuckDB draws a progress bar on standard output when a statement takes over two seconds and the
    process looks interactive, as a notebook and `python -c` do; it would stand in the middle of
    what a command prints. Raises duckdb.Error when the file cannot be opened.

    >>> with connect_duckdb() as con:
    ...     con.execute("select current_setting('enable_progress_bar')").fetchone()
    (False,)
    """
    import duckdb

    con = duckdb.connect(str(database), read_only=read_only, config=dict(config or {}))
    con.execute("set enable_progress_bar = false")
    return con
