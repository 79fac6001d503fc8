"""Run a rendered project's models on a connection, without dbt and without files.

The models are the very files that dbt runs; of dbt's language they use `ref`, `source`, `config`,
`this` and `is_incremental`, and of ours `changed`: all that is given here. It serves data frames in
memory and property tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from ...spec.expressions import quote_name
from ..contracts import Connection
from ..dialects import DUCKDB, INCREMENTAL, Dialect
from .changes import Changes
from .render import models_of


def run_models(
    con: Connection,
    files: Mapping[str, str],
    *,
    schema: str,
    landing: str,
    changes: Changes | None = None,
    dialect: Dialect = DUCKDB,
    only: Sequence[str] = (),
) -> list[str]:
    """Create every model of a project in `schema`, reading landing tables from `landing`.

    dialect: what `con` speaks; the files must have been rendered in it.
    changes: what came after the last load that the models in `schema` know; incremental models
    then take up only that. None rebuilds everything. only: create these models and what they
    refer to, and no others; all when empty. Returns the models' names in the order in which they
    were created.

    Raises the engine's own error when a model's SQL fails; an incremental model is then as it was.
    """
    con.execute(f"create schema if not exists {quote_name(schema)}")
    runner = _Runner(con, models_of(files), schema, landing, changes, dialect)
    for name in only or runner.models:
        runner.create(name)
    return runner.done


@lru_cache(maxsize=256)
def _template(text: str) -> Template:
    """Return a compiled model; one that is run again, in any schema, is compiled once."""
    return Environment(undefined=StrictUndefined, autoescape=False).from_string(text)  # noqa: S701


class _Runner:
    """Creates models one by one, those that a model refers to before it."""

    def __init__(
        self,
        con: Connection,
        models: Mapping[str, str],
        schema: str,
        landing: str,
        changes: Changes | None,
        dialect: Dialect,
    ) -> None:
        self.models = models
        self.done: list[str] = []
        self._con, self._schema, self._landing = con, schema, landing
        self._dialect = dialect
        self._variables = None if changes is None else changes.variables()

    def create(self, name: str) -> None:
        """Create a model, unless this was done."""
        if name in self.done:
            return
        settings: dict[str, Any] = {}
        this = f"{quote_name(self._schema)}.{quote_name(name)}"
        sql = self._render(self.models[name], this, settings)
        kind = settings.get("materialized", "table")
        if kind == INCREMENTAL and self._variables is not None:
            self._append(this, sql, self._render(settings.get("pre_hook", ""), this, {}))
        else:
            kind = "view" if kind == "view" else "table"
            for statement in self._dialect.creates(kind, this, sql):
                self._con.execute(statement)
        self.done.append(name)

    def _append(self, this: str, sql: str, hook: str) -> None:
        """Run an incremental model as dbt does: its hook and its rows, both or neither."""
        self._con.execute("begin")
        try:
            if hook.strip():
                self._con.execute(hook)
            self._con.execute(f"insert into {this} {self._dialect.by_name} {sql}")
        except BaseException:
            self._con.execute("rollback")
            raise
        self._con.execute("commit")

    def _render(self, text: str, this: str, settings: dict[str, Any]) -> str:
        def ref(other: str) -> str:
            self.create(other)
            return f"{quote_name(self._schema)}.{quote_name(other)}"

        def config(**given: Any) -> str:
            settings.update(given)
            return ""

        def source(_: str, table: str) -> str:
            return f"{quote_name(self._landing)}.{quote_name(table)}"

        def changed(name: str, default: int) -> int:
            return (self._variables or {}).get(name, default)

        return _template(text).render(
            ref=ref,
            source=source,
            config=config,
            changed=changed,
            this=this,
            is_incremental=lambda: self._variables is not None,
        )
