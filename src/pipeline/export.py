"""Export a snapshot as CSV: every user's features, for eyes and spreadsheets."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from ..database import connect_duckdb, quote_path
from ..escapes import KEY, escape_formula_sql, key_sql
from ..files import atomic_write
from ..scoring.lists import refuse_foreign
from ..spec.expressions import quote_name, quote_text
from ..spec.model import Spec
from ..warehouse.base import Warehouse
from ..warehouse.builds import read_built
from ..warehouse.duckdb_errors import translated


def export_features(
    spec: Spec, warehouse: Warehouse, out: Path, *, as_of: date | None = None
) -> int:
    """Write user_features.csv of a date (the latest when None); return how many users it holds.

    One row per user: user_id, as_of, the spec's features and in_population; cells that a
    spreadsheet would run as a formula get an apostrophe before them, and where ids do, user_key has
    them to join by.

    Raises WarehouseError when the date is not built, or the spec's features changed since;
    UsageError when a file that is not whyrank's would be replaced.
    """
    refuse_foreign([out])
    published = read_built(spec, warehouse)
    source = f"read_parquet({quote_path(published.snapshot(as_of))})"
    if published.info.sampled_below:
        files = quote_path(published.everyone("user_features"), "**/*.parquet")
        day = quote_text(str(as_of or published.as_of_dates[-1]))
        everyone = f"read_parquet({files}, hive_partitioning = true)"
        source = f"(select * from {everyone} where as_of = date {day})"
    limits = warehouse.settings_beside()
    with connect_duckdb(config=limits) as con, atomic_write(out) as temporary, translated(str(out)):
        texts = {
            row[0]
            for row in con.execute(f"describe select * from {source}").fetchall()
            if row[1] == "VARCHAR"
        }
        names = ["user_id", "as_of", *(f.name for f in spec.features), "in_population"]
        written = [
            f"{escape_formula_sql(quote_name(name))} as {quote_name(name)}"
            if name in texts
            else quote_name(name)
            for name in names
        ]
        differ = f"select count(*) from {source} where {escape_formula_sql('user_id')} <> user_id"
        if (con.execute(differ).fetchone() or (0,))[0]:
            written.insert(1, f"{key_sql('user_id')} as {KEY}")
        columns = ", ".join(written)
        done = con.execute(
            f"copy (select {columns} from {source} order by user_id) "
            f"to {quote_text(str(temporary))} (format csv, header)"
        ).fetchone()
    return int(done[0]) if done else 0
