"""What each model of a build took: its own start and seconds, the rows it reads from and makes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..spec.expressions import quote_name
from ..spec.model import Spec
from .contracts import Connection
from .dbt_project.render import models_of
from .dbt_project.run import NodeResult
from .runs import Run, now

_READ = re.compile(r"\b(?:ref\(\s*|source\(\s*'landing'\s*,\s*)'(\w+)'")


def model_runs(
    con: Connection, spec: Spec, files: Mapping[str, str], models: Sequence[NodeResult]
) -> list[Run]:
    """Return each model's run; rows are those of whole tables, as they stand by now.

    files: the rendered project. A model that reads from a view reads from the view's tables. An
    engine does not say how many of these rows a statement looked at, and an incremental model may
    have looked at few.
    """
    counts = _Counts(con, spec)
    reads = {name: set(_READ.findall(sql)) for name, sql in models_of(files).items()}
    return [
        Run(
            "model", node.name, node.started_at or now(), node.seconds,
            sum(counts.of(table) for table in sorted(_tables(node.name, reads, counts.kept))),
            counts.of(node.name) if node.name in counts.kept else None, "done",
        )
        for node in models
    ]  # fmt: skip


def _tables(model: str, reads: Mapping[str, set[str]], kept: Mapping[str, str]) -> set[str]:
    """Return the tables that a model reads from, at once or through views."""
    found = set()
    for name in reads.get(model, ()):
        found |= {name} if name in kept else _tables(name, reads, kept)
    return found


class _Counts:
    """Rows of the landing tables and the marts, each table counted once and when asked for."""

    def __init__(self, con: Connection, spec: Spec) -> None:
        self._con = con
        self._counts: dict[str, int] = {}
        # Of a name in both schemas, the mart's would be meant; there is none.
        self.kept: dict[str, str] = {}
        for schema in (spec.landing_schema, spec.marts_schema):
            rows = con.execute(
                "select table_name from information_schema.tables "
                "where table_schema = ? and table_type = 'BASE TABLE'",
                [schema],
            ).fetchall()
            self.kept |= {row[0]: f"{quote_name(schema)}.{quote_name(row[0])}" for row in rows}

    def of(self, table: str) -> int:
        """Return how many rows a table holds."""
        if table not in self._counts:
            found = self._con.execute(f"select count(*) from {self.kept[table]}").fetchone()
            self._counts[table] = int(found[0]) if found else 0
        return self._counts[table]
