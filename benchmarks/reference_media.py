"""Load a media world into DuckDB by hand, or make its tables of it.

python -m benchmarks.reference_media load EVENTS USERS DATABASE
python -m benchmarks.reference_media build DATE DATABASE
"""

from __future__ import annotations

import string
import sys
from pathlib import Path

import duckdb

SCRIPT = Path(__file__).with_name("reference_media.sql")
SETTINGS = {
    "memory_limit": "4GiB",
    "preserve_insertion_order": False,
    "storage_compatibility_version": "latest",
}


def load(events: str, users: str, database: str) -> None:
    """CREATE TABLE AS from the files, times as plain UTC timestamps."""
    with duckdb.connect(database, config=SETTINGS) as con:
        con.execute("set timezone = 'UTC'")
        con.execute(
            "create table events as select * replace "
            f"(make_timestamp(epoch_us(event_time)) as event_time) from read_parquet('{events}')"
        )
        con.execute(
            "create table users as select * replace "
            f"(make_timestamp(epoch_us(valid_from)) as valid_from) from read_parquet('{users}')"
        )


def build(as_of: str, database: str) -> None:
    """Run the hand-written script, with the memory that whyrank gives DuckDB."""
    sql = string.Template(SCRIPT.read_text(encoding="utf-8"))
    with duckdb.connect(database, config=SETTINGS) as con:
        con.execute("set timezone = 'UTC'")
        con.execute(sql.substitute(as_of=as_of))


if __name__ == "__main__":
    {"load": load, "build": build}[sys.argv[1]](*sys.argv[2:])
