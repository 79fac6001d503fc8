"""Lint the SQL of dbt's models, data tests and hooks with sqlfluff (`.sqlfluff` names the rules).

    python -m tests.sql_lint

The templates are not SQL before they are rendered, so this renders them for one spec that has each
operation (but expressions, which sqlglot writes), a funnel and both kinds of metric, in DuckDB's
dialect: the one in which they are written. (Others are sqlglot's translations, tested by running
them.) Both forms of an incremental model are linted. Lines are numbered as rendered, so each is
printed below what is wrong with it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from multiprocessing import Pool
from pathlib import Path, PurePath
from textwrap import dedent
from typing import Any

from jinja2 import Environment, StrictUndefined
from sqlfluff.core import FluffConfig, Linter

from tests.support.tiny_log import FEATURES, tiny_spec
from whyrank.features.compiler import compile_features
from whyrank.spec.model import Spec
from whyrank.warehouse.dbt_project.render import render_project

PROCESSES = 2
CONFIG = Path(__file__).resolve().parents[2] / ".sqlfluff"
MORE = """
segments = ["country"]
[population]
where = "views > 0"
[experiments]
pre_period = "3d"
strata = ["country"]
metrics = [
    { name = "clicks", kind = "count", events = ["click"], within = "2d" },
    { name = "kept", kind = "active", after = "1d", within = "3d" },
]
"""


def plain_spec() -> Spec:
    """Return a spec with one feature of each operation, none of which sqlglot writes."""
    first: dict[str, str] = {}
    for line in FEATURES.strip().splitlines():
        operation = re.findall(r'op="(\w+)"', line)[0]
        if operation != "expression":
            first.setdefault(operation, line)
    return tiny_spec("\n".join(first.values()), more=MORE)


def sql_files(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield the SQL that an engine is given, by a path that names its template and its form."""
    files = render_project(spec, compile_features(spec), [date(2026, 3, 3), date(2026, 3, 9)])
    for path, text in files.items():
        if not path.endswith(".sql") or path.startswith("macros/"):
            continue
        name = path.removesuffix(".sql")
        full, settings = _filled(text, name, incremental=False)
        yield path, full
        if hook := settings.get("pre_hook"):
            yield f"{name}.hook.sql", _filled(hook, name, incremental=True)[0]
            yield f"{name}.incremental.sql", _filled(text, name, incremental=True)[0]


def _filled(text: str, name: str, *, incremental: bool) -> tuple[str, dict[str, Any]]:
    """Fill in what dbt would, by plain names; lines that held nothing but its marks are empty."""
    settings: dict[str, Any] = {}
    sql = (
        Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - SQL
        .from_string(text)
        .render(
            ref=lambda model: model,
            source=lambda group, table: f"{group}.{table}",
            changed=lambda _, default: default,
            this=PurePath(name).name,
            config=lambda **given: settings.update(given) or "",
            is_incremental=lambda: incremental,
        )
    )
    lines = [line if line.strip() else "" for line in dedent(sql).strip().split("\n")]
    return "\n".join([*lines, ""]), settings


@cache
def _linter() -> Linter:
    return Linter(config=FluffConfig.from_root(extra_config_path=str(CONFIG)))


def faults_of(file: tuple[str, str]) -> list[str]:
    """Return a line for each fault in an SQL file, given as its path and text."""
    path, text = file
    lines = text.split("\n")
    return [
        f"{path}:{fault.line_no}: {fault.rule_code()} {fault.desc()}\n"
        f"    {lines[fault.line_no - 1].strip()}"
        for fault in _linter().lint_string(text, fname=path).get_violations()
    ]


def lint(files: Mapping[str, str]) -> list[str]:
    """Return a line for each fault in some SQL files, given by path."""
    longest_first = sorted(files.items(), key=lambda file: -len(file[1]))
    with Pool(PROCESSES) as pool:
        return sorted(fault for found in pool.imap(faults_of, longest_first) for fault in found)


def main() -> int:
    """Print what is wrong; return the exit code."""
    found = lint(dict(sql_files(plain_spec())))
    sys.stdout.write("".join(f"{line}\n" for line in found))
    sys.stdout.write(f"{len(found)} faults in the SQL of the dbt project\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
