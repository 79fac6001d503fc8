"""Models made by whyrank's own runner in this process, in place of dbt in another.

dbt takes four seconds for models that need less than two. They are the same files, and that both
make the same tables is tested (tests/pipeline/test_build.py, tests/engines, tests/spark). Where a
build is only a means, it is made this way; tests of builds ask for the fixture `dbt`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from whyrank.database import connect_duckdb
from whyrank.warehouse.dbt_project import run as dbt_run
from whyrank.warehouse.dbt_project.changes import Changes
from whyrank.warehouse.dbt_project.in_memory import _Runner
from whyrank.warehouse.dbt_project.render import models_of
from whyrank.warehouse.dbt_project.run import NodeResult
from whyrank.warehouse.dialects import DUCKDB


class _Timed(_Runner):
    """Notes what each model took."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.results: list[NodeResult] = []

    def create(self, name: str) -> None:
        if name not in self.done:
            began, start = datetime.now(UTC).replace(tzinfo=None), time.perf_counter()
            before = sum(each.seconds for each in self.results)
            super().create(name)
            within = sum(each.seconds for each in self.results) - before
            seconds = time.perf_counter() - start - within
            self.results.append(NodeResult(name, "success", seconds, started_at=began))


def run_models(
    project: Path, command: str, *, select: Sequence[str] = (), changes: Changes | None = None,
    **rest: Any,
) -> list[NodeResult]:  # fmt: skip
    """Stand in for `whyrank.pipeline.build.run_dbt`, where that would run models on DuckDB."""
    profile = json.loads((project / "profiles.yml").read_text())["whyrank"]["outputs"]["warehouse"]
    if command != "run" or profile["type"] != "duckdb":
        return dbt_run.run_dbt(project, command, select=select, changes=changes, **rest)
    models = models_of(
        {path.relative_to(project).as_posix(): path.read_text() for path in project.rglob("*.sql")}
    )
    schema = profile["schema"]
    landing = f"{schema.removesuffix('_marts')}_landing"
    with connect_duckdb(profile["path"], config=profile["config_options"]) as con:
        con.execute("set timezone = 'UTC'")
        con.execute(f'create schema if not exists "{schema}"')
        runner = _Timed(con, models, schema, landing, changes, DUCKDB)
        if select:
            runner.done += [name for name in models if name not in select]
        for name in models:
            runner.create(name)
    return runner.results
