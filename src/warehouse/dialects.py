"""One definition, several engines: SQL is written for DuckDB and translated for the others.

Models and expressions are written once, in DuckDB's dialect. sqlglot translates them; what it does
not know, or would give another meaning, is rewritten first, on the parsed tree. Every rule keeps
the value that DuckDB gives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from ..errors import WarehouseError
from .rules import Rule

Settings = Mapping[str, Any]

INCREMENTAL: Final = "delete_insert"  # the materialisation in dbt/macros


def _replacing(kind: str, name: str, sql: str) -> Sequence[str]:
    return [f"create or replace {kind} {name} as {sql}"]


@dataclass(frozen=True)
class Dialect:
    """How an engine writes what is written for DuckDB.

    name: sqlglot's name of the dialect. rules: rewrites of the parsed tree before sqlglot writes
    it. creates: returns the statements that create a view or table, of its kind, name and SQL.
    by_name: the words that let an insert match columns by name. exact_sums: whether sums of doubles
    end in the digits that DuckDB's have. model_settings: what a model's config has besides. days:
    writes an incremental model whose rows are replaced by day, for engines that cannot delete rows.
    project_settings: lines of YAML for all models, given the folder of the tables' files.
    landing_types: of columns of the landing tables, where they are not DuckDB's. landing_indexes:
    statements that create them, {schema} open. refuses_here: whether rows are checked in the
    landing tables themselves, which then have columns for what is wrong with a row.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    creates: Callable[[str, str, str], Sequence[str]] = _replacing
    by_name: str = ""
    exact_sums: bool = False
    model_settings: Callable[[Settings], Settings] = lambda _: {}
    days: Callable[[str, str, Settings], str] | None = None
    project_settings: Callable[[str], str] = lambda _: ""
    landing_types: Mapping[str, str] = field(default_factory=dict)
    landing_indexes: tuple[str, ...] = ()
    refuses_here: bool = False


DUCKDB: Final = Dialect("duckdb", by_name="by name", exact_sums=True, refuses_here=True)


def translate(sql: str, dialect: Dialect) -> str:
    """Return an SQL statement, written for DuckDB, in a dialect.

    Raises WarehouseError when the statement cannot be parsed.

    >>> from whyrank.warehouse.engines.postgres.dialect import POSTGRES
    >>> translate("select arg_max(a, t) from e", POSTGRES)
    'SELECT (ARRAY_AGG(a ORDER BY t DESC) FILTER(WHERE NOT a IS NULL))[1] FROM e'
    >>> translate("select n / 2 from e", DUCKDB)
    'select n / 2 from e'
    """
    if dialect is DUCKDB:
        return sql
    try:
        tree = parse_one(sql, dialect="duckdb")
    except SqlglotError as error:
        reason = str(error).splitlines()[0]
        raise WarehouseError(
            f"cannot be translated for {dialect.name}: {reason}: {sql[:80]!r}"
        ) from None
    for rule in dialect.rules:
        tree = _everywhere(tree, rule)
    return tree.sql(dialect=dialect.name, pretty=len(sql) > 200)  # noqa: PLR2004 - to be read


def _everywhere(tree: exp.Expr, rule: Rule) -> exp.Expr:
    """Apply a rule to every node, those inside first: a rule copies what it finds inside."""
    for node in reversed(list(tree.walk())):
        said = rule(node)
        if said is node:
            continue
        if node is tree:
            tree = said
        else:
            node.replace(said)
    return tree


def translate_model(text: str, dialect: Dialect) -> str:
    """Return a dbt model or test, written for DuckDB, in a dialect.

    What dbt fills in (ref, source, changed, this) stands as names while the SQL is translated, and
    both forms of an incremental model are, one after the other.
    """
    if dialect is DUCKDB:
        return text
    full, settings = rendered(text, incremental=False)
    incremental = settings.get("materialized") == INCREMENTAL
    if dialect.days and incremental:
        if "meta" in settings:
            return dialect.days(text, full, settings)
        return translated_model(full, dialect) + "\n"
    lines = []
    if settings:
        hook = settings.get("pre_hook")
        if hook:
            sql, _ = rendered(hook, incremental=True)
            settings["pre_hook"] = when_incremental(translated_model(sql, dialect))
        lines.append(config_line({**settings, **dialect.model_settings(settings)}))
    if not incremental:
        return "\n".join([*lines, translated_model(full, dialect), ""])
    later, _ = rendered(text, incremental=True)
    forms = (translated_model(later, dialect), translated_model(full, dialect))
    return "\n".join([*lines, *both_forms(later, *forms)])


def config_line(settings: Settings) -> str:
    """Return a model's call of config."""
    return f"{{{{ config(**{json.dumps(settings)}) }}}}"


def both_forms(later: str, incremental: str, full: str) -> list[str]:
    """Return the lines of an incremental model: its form for new rows, and the one for all.

    later: the incremental form as it was rendered, which says what it refers to.
    """
    needed = sorted(set(re.findall(r"whyrank_ref_(\w+?)_end", later)))
    return [
        *(f"-- depends_on: {{{{ ref('{name}') }}}}" for name in needed),
        "{% if is_incremental() %}", incremental, "{% else %}", full, "{% endif %}", "",
    ]  # fmt: skip


def when_incremental(hook: str) -> str:
    """Return a hook that runs in incremental builds alone."""
    return "{% if is_incremental() %}" + hook + "{% endif %}"


def rendered(text: str, *, incremental: bool) -> tuple[str, dict[str, Any]]:
    """Fill in dbt's calls with names that are plain SQL, and return what config was given."""
    settings: dict[str, Any] = {}
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - SQL
    sql = environment.from_string(text).render(
        ref=lambda name: f"whyrank_ref_{name}_end",
        source=lambda group, table: f"whyrank_source_{group}_of_{table}_end",
        changed=lambda name, default: f"whyrank_changed_{name}_is_{default}_end",
        this="whyrank_this_end",
        config=lambda **given: settings.update(given) or "",
        is_incremental=lambda: incremental,
    )
    return sql, settings


_FILLED = (
    (r"whyrank_ref_(\w+?)_end", r"{{ ref('\1') }}"),
    (r"whyrank_source_(\w+?)_of_(\w+?)_end", r"{{ source('\1', '\2') }}"),
    (r"whyrank_changed_(\w+?)_is_(\w+?)_end", r"{{ changed('\1', \2) }}"),
    (r"whyrank_this_end", r"{{ this }}"),
)


def translated_model(sql: str, dialect: Dialect) -> str:
    """Translate SQL with names in place of dbt's calls, and put the calls back."""
    said = translate(sql, dialect).replace("{", "{{ '{' }}")
    for pattern, call in _FILLED:
        said = re.sub(pattern, call, said)
    return said
