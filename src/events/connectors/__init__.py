"""Connectors: each turns the files of a known public data set into events and users.

`olist.py` reads the Olist Brazilian e-commerce data set: its files, its errors, its result;
`olist_sql.py` says, in SQL, which facts become known when.

A connector is a function (folder, *, con) that leaves two relations on a DuckDB connection,
events and users, in the columns of the event contract, and returns their names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .olist import read_olist

# By the name that `whyrank ingest --connector` takes.
CONNECTORS: dict[str, Callable[..., Any]] = {"olist": read_olist}
