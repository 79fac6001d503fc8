"""A warehouse by its URL."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ..errors import UsageError
from ..extras import require
from .base import Warehouse

SCHEME: Final = "duckdb:///"
POSTGRES: Final = ("postgresql://", "postgres://")
SPARK: Final = "spark://"
_DATA: Final = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".gz", ".xlsx"})
_ODD: Final = ("#", "?", "{", "}")  # dbt takes paths for URLs and for templates


def open_warehouse(url: str) -> Warehouse:
    """Return the warehouse that a URL names.

    "duckdb:///data/whyrank.duckdb" is a file: three slashes begin a path relative to the current
    folder, four an absolute one. "postgresql://user@host/database" is a Postgres database,
    "spark://host:port" a Spark master. Raises UsageError for another form of URL,
    InstallError where the extra of Postgres or Spark is not installed.

    >>> open_warehouse("duckdb:///data/whyrank.duckdb").files.as_posix()
    'data/whyrank'
    """
    if url.startswith(POSTGRES):
        require("postgres", "a postgresql:// warehouse")
        from .engines.postgres.warehouse import PostgresWarehouse

        return PostgresWarehouse(url)
    if url.startswith(SPARK):
        from .engines.spark.warehouse import open_spark

        return open_spark(url)
    if not url.startswith(SCHEME) or not Path(url.removeprefix(SCHEME)).suffix:
        raise UsageError(
            f"warehouse {_shown(url)!r} is not a DuckDB URL: write duckdb:///PATH.duckdb "
            "(a fourth slash begins an absolute path), postgresql://USER@HOST/DATABASE or "
            "spark://HOST:PORT"
        )
    from .engines.duckdb.warehouse import DuckDBWarehouse

    path = Path(url.removeprefix(SCHEME))
    _refuse_odd(path)
    if path.stem.endswith(("_marts", "_landing")):
        # DuckDB names the catalog after the file, and could not tell it from a spec's schema.
        raise UsageError(
            f"warehouse {path}: a name ending in _marts or _landing is taken; rename it"
        )
    return DuckDBWarehouse(path)


def _refuse_odd(path: Path) -> None:
    """Raise UsageError for a path at which no warehouse can be, or in which dbt reads something."""
    if path.name.startswith(":memory:"):
        raise UsageError(f"warehouse {path}: keeps nothing; name a file")
    if path.suffix.lower() in _DATA:
        raise UsageError(
            f"warehouse {path}: is a file of data by its name, in which nothing can be stored; "
            "name the warehouse NAME.duckdb, and load the file by `whyrank ingest`"
        )
    odd = [letter for letter in _ODD if letter in str(path.absolute())]
    if odd:
        raise UsageError(
            f"warehouse {path.absolute()}: {odd[0]!r} in a path means something else to dbt, which "
            f"builds there: choose a folder and a name without {' '.join(_ODD)}"
        )


def _shown(url: str) -> str:
    """Return as much of a URL as can hold no secret, wherever somebody put a password.

    >>> _shown("mysql://ana:se/cr@et@host/shop?password=secret")
    'mysql://...'
    >>> _shown("data/shop")
    'data/shop'
    """
    scheme, separator, rest = url.partition("://")
    if separator and re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme, re.IGNORECASE):
        path = rest.partition("?")[0]
        return f"{scheme}://{path if scheme == 'duckdb' and '@' not in rest else '...'}"
    return "..." if "@" in url or "?" in url else url
