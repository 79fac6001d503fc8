"""One definition, several engines: SQL written for DuckDB, said again for Postgres or Spark.

Models and expressions are written once, in DuckDB's dialect. sqlglot says them again for the
engine; what it does not know, or would say with another meaning, is rewritten here first, on the
parsed tree: every rule keeps the value that DuckDB gives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from jinja2 import Environment, StrictUndefined
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from ..errors import WarehouseError
from . import rules_postgres, rules_spark
from .rules import Rule

Engine = Literal["duckdb", "postgres", "spark"]
_RULES: Final[Mapping[Engine, tuple[Rule, ...]]] = {
    "duckdb": (),
    "postgres": rules_postgres.RULES,
    "spark": rules_spark.RULES,
}


def translate(sql: str, engine: Engine) -> str:
    """Return an SQL statement, written for DuckDB, for an engine.

    Raises WarehouseError when the statement cannot be parsed.

    >>> translate("select arg_max(a, t) from e", "postgres")
    'SELECT (ARRAY_AGG(a ORDER BY t DESC) FILTER(WHERE NOT a IS NULL))[1] FROM e'
    >>> translate("select n / 2 from e", "duckdb")
    'select n / 2 from e'
    """
    if engine == "duckdb":
        return sql
    try:
        tree = parse_one(sql, dialect="duckdb")
    except SqlglotError as error:
        reason = str(error).splitlines()[0]
        raise WarehouseError(f"cannot be said for {engine}: {reason}: {sql[:80]!r}") from None
    for rule in _RULES[engine]:
        tree = _everywhere(tree, rule)
    return tree.sql(dialect=engine, pretty=len(sql) > 200)  # noqa: PLR2004 - to be read


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


def translate_model(text: str, engine: Engine) -> str:
    """Return a dbt model or test, written for DuckDB, for an engine.

    What dbt fills in (ref, source, changed, this) stands as names while the SQL is said again, and
    both forms of an incremental model are, one after the other.
    """
    full, settings = _rendered(text, incremental=False)
    if engine == "spark" and settings.get("materialized") == "incremental":
        return _by_day(text, full, settings) if "meta" in settings else _said(full, engine) + "\n"
    lines = []
    if settings:
        hook = settings.get("pre_hook")
        if hook:
            settings["pre_hook"] = _conditional(_said(_rendered(hook, incremental=True)[0], engine))
        lines.append(f"{{{{ config(**{json.dumps({**settings, **_extras(settings, engine)})}) }}}}")
    if settings.get("materialized") != "incremental":
        return "\n".join([*lines, _said(full, engine), ""])
    later = _rendered(text, incremental=True)[0]
    needed = sorted(set(re.findall(r"whyrank_ref_(\w+?)_end", later)))
    lines += [f"-- depends_on: {{{{ ref('{name}') }}}}" for name in needed]
    lines += ["{% if is_incremental() %}", _said(later, engine), "{% else %}", _said(full, engine)]
    return "\n".join([*lines, "{% endif %}", ""])


def _by_day(text: str, full: str, settings: Mapping[str, Any]) -> str:
    """Return a model whose rows Spark keeps in a folder per day, of which a build replaces some.

    Files have no rows to delete. The folders of the days that change are put aside before dbt runs
    (`spark_days`), and MODEL__before shows the table as it was. The hook brings back those rows of
    them that the delete of other engines would leave, and the statement adds the new ones.
    """
    of = str(settings["meta"]["day_of"])
    day = of if of == "day" else f"{of}_day"
    later = _rendered(text, incremental=True)[0]
    forms = []
    for sql in (later, full):
        dated = sql if of == day else f"select d.*, cast(d.{of} as date) as {day} from ({sql}) as d"
        forms.append(_said(dated, "spark"))
    hook = _rendered(settings["pre_hook"], incremental=True)[0]
    config = {
        "materialized": "incremental",
        "incremental_strategy": "append",
        "partition_by": [day],
        "pre_hook": _conditional(_keeping(hook, day)),
    }
    needed = sorted(set(re.findall(r"whyrank_ref_(\w+?)_end", later)))
    return "\n".join(
        [
            f"{{{{ config(**{json.dumps(config)}) }}}}",
            *(f"-- depends_on: {{{{ ref('{name}') }}}}" for name in needed),
            "{% if is_incremental() %}", forms[0], "{% else %}", forms[1], "{% endif %}", "",
        ]
    )  # fmt: skip


def _keeping(delete: str, day: str) -> str:
    """Return the insert of the rows of changed days that "delete from this using …" would leave."""
    tree = parse_one(delete, dialect="duckdb")
    others = ", ".join(table.sql(dialect="duckdb") for table in tree.args["using"])
    condition = tree.args["where"].sql(dialect="duckdb").replace("whyrank_this_end.", "k.")
    since = "date '0001-01-01' + whyrank_changed_sessions_since_days_is_0_end"
    kept = (
        f"select k.* from whyrank_this_end as k where k.{day} >= {since} "
        f"and not exists (select 1 from {others} {condition})"
    )
    said = _said(kept, "spark").replace("{{ this }}", "{{ this }}__before")
    return f"insert into {{{{ this }}}} {said}"


def _conditional(hook: str) -> str:
    return "{% if is_incremental() %}" + hook + "{% endif %}"


def _extras(settings: Mapping[str, str], engine: Engine) -> dict[str, object]:
    """Settings that Postgres wants besides: rows of touched users are looked up by an index."""
    if engine != "postgres" or ".user_id" not in str(settings.get("pre_hook", "")):
        return {}
    return {"indexes": [{"columns": ["user_id"]}]}


def _rendered(text: str, *, incremental: bool) -> tuple[str, dict[str, Any]]:
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


def _said(sql: str, engine: Engine) -> str:
    """Translate SQL with names in place of dbt's calls, and put the calls back."""
    said = translate(sql, engine).replace("{", "{{ '{' }}")
    for pattern, call in _FILLED:
        said = re.sub(pattern, call, said)
    return said
