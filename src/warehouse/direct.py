"""Run a rendered project's models on a DuckDB connection, without dbt and without files.

The models are the very files that dbt runs; of dbt's language they use `ref`, `source` and
`config`, which is all that is given here. It serves data frames in memory and property tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
from jinja2 import Environment, StrictUndefined

from ..spec.expressions import quote_name
from .project import models_of


def run_models(
    con: duckdb.DuckDBPyConnection,
    files: Mapping[str, str],
    *,
    schema: str,
    landing: str,
    only: Sequence[str] = (),
) -> list[str]:
    """Create every model of a project in `schema`, reading landing tables from `landing`.

    only: create these models and what they refer to, and no others; all when empty. Returns the
    models' names in the order in which they were created.

    Raises duckdb.Error when a model's SQL fails.
    """
    con.execute(f"create schema if not exists {quote_name(schema)}")
    models = models_of(files)
    done: list[str] = []

    def create(name: str) -> None:
        if name in done:
            return
        settings: dict[str, str] = {}

        def ref(other: str) -> str:
            create(other)
            return f"{quote_name(schema)}.{quote_name(other)}"

        def config(**given: str) -> str:
            settings.update(given)
            return ""

        def source(_: str, table: str) -> str:
            return f"{quote_name(landing)}.{quote_name(table)}"

        environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - SQL
        sql = environment.from_string(models[name]).render(ref=ref, source=source, config=config)
        kind = "view" if settings.get("materialized") == "view" else "table"
        con.execute(f"create or replace {kind} {quote_name(schema)}.{quote_name(name)} as {sql}")
        done.append(name)

    for name in only or models:
        create(name)
    return done
