"""Run the hand-written DuckDB script on a file: python reference_duckdb.py EVENTS USERS DATE DB."""

from __future__ import annotations

import string
import sys
from pathlib import Path

import duckdb

SCRIPT = Path(__file__).with_name("reference_saas.sql")


def main(events: str, users: str, as_of: str, database: str) -> None:
    """Create user_features in a new database, with the memory that whyrank gives DuckDB."""
    sql = string.Template(SCRIPT.read_text(encoding="utf-8"))
    settings = {"memory_limit": "4GiB", "preserve_insertion_order": False}
    with duckdb.connect(database, config=settings) as con:
        con.execute("set timezone = 'UTC'")
        con.execute(sql.substitute(events=events, users=users, as_of=as_of))


if __name__ == "__main__":
    main(*sys.argv[1:])
