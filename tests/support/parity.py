"""Whether two engines made the same tables: exact for counts and keys, 1e-9 relative for floats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import duckdb

from whyrank.warehouse.dbt_project.render import models_of


def plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value


def same(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(a) and math.isnan(b))
    return type(a) is type(b) and a == b


def rows_of(con: Any, table: str, columns: list[str]) -> list[tuple[object, ...]]:
    names = ", ".join(f'"{name}"' for name in columns)
    found = con.execute(f"select {names} from {table}").fetchall()
    return in_order(found)


def in_order(rows: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return rows as plain values, by what is no float first: floats may end in other digits."""
    found = [tuple(plain(value) for value in row) for row in rows]
    exact = [repr([value for value in row if type(value) is not float]) for row in found]
    return [row for _, _, row in sorted(zip(exact, map(repr, found), found, strict=True))]


def check_rows(name: str, here: list[tuple[object, ...]], there: list[tuple[object, ...]]) -> None:
    """Fail on the first row that two tables of a name do not share."""
    assert len(here) == len(there), name
    for one, other in zip(here, there, strict=True):
        assert all(map(same, one, other)), (name, one, other)


def check_parity(duck: duckdb.DuckDBPyConnection, con: Any, files: Mapping[str, str]) -> None:
    """Fail unless every model's table in the schema `parity` is the same on both connections."""
    for table in models_of(files):
        columns = [row[0] for row in duck.execute(f"describe parity.{table}").fetchall()]
        name = f"parity.{table}"
        check_rows(name, rows_of(duck, name, columns), rows_of(con, name, columns))
