"""DuckDB on one thread: tests run side by side, and threads of small queries wait in turn."""

from __future__ import annotations

from typing import Any

import duckdb

_connect = duckdb.connect


def connect(database: Any = ":memory:", *given: Any, **more: Any) -> duckdb.DuckDBPyConnection:
    """Stand in for `duckdb.connect`: one thread, unless the caller says otherwise."""
    config = {"threads": 1, **more.pop("config", {})}
    return _connect(database, *given, config=config, **more)
