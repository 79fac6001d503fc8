"""What sqlglot does not know of Spark, or would say with another meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp, parse_one

from ....errors import WarehouseError
from ...dialects import (
    Dialect,
    Settings,
    both_forms,
    config_line,
    rendered,
    translated_model,
    when_incremental,
)
from ...rules import boolean, divided, latest

_WHOLE: Final = {exp.DataType.Type.BIGINT, exp.DataType.Type.INT, exp.DataType.Type.SMALLINT}


def _greatest(value: exp.Expr, keys: list[exp.Expr], known: exp.Expr) -> exp.Expr:
    """Say the value of the greatest keys by max_by, the keys as one struct."""
    order = exp.Anonymous(this="struct", expressions=keys)
    picked = exp.Anonymous(this="max_by", expressions=[value, order])
    return exp.Filter(this=picked, expression=exp.Where(this=known))


def _tried(node: exp.Expr) -> exp.Expr:
    """try_cast(x as t): Spark cuts decimals off where DuckDB rounds, doubles to even."""
    if not isinstance(node, exp.TryCast):
        return node
    value, kind = node.this.copy(), node.to.copy()
    if kind.this == exp.DataType.Type.BOOLEAN:
        return boolean(value, kind)
    if kind.this not in _WHOLE:
        return node
    if isinstance(value, exp.RegexpExtract):
        exact = exp.TryCast(this=value, to=exp.DataType.build("decimal(38, 18)"), safe=True)
        value = exp.Anonymous(this="round", expressions=[exact])
    else:
        value = exp.Anonymous(this="rint", expressions=[value])
    return exp.TryCast(this=value, to=kind, safe=True)  # else it is said as a cast that fails


def _json(node: exp.Expr) -> exp.Expr:
    """json_extract_string(text, '$."key"'): the member's text."""
    if not isinstance(node, exp.JSONExtractScalar):
        return node
    parts = [p.this for p in node.expression.expressions if isinstance(p, exp.JSONPathKey)]
    quoted = [part for part in parts if "'" in str(part)]
    if quoted:
        raise WarehouseError(
            f"property {quoted[0]!r}: Spark finds no member of JSON with a quote in its name: "
            "rename it in the log, or build on another warehouse"
        )
    path = "$" + "".join(f"['{part}']" for part in parts)
    return exp.Anonymous(
        this="get_json_object", expressions=[node.this.copy(), exp.Literal.string(path)]
    )


def _between(node: exp.Expr) -> exp.Expr:
    """date_diff('day', a, b) of dates, and of microseconds between times."""
    if not isinstance(node, exp.DateDiff):
        return node
    unit = str(node.args.get("unit") or "day").strip("'").lower()
    later, earlier = node.this.copy(), node.expression.copy()
    if unit == "day":
        return exp.Anonymous(
            this="datediff", expressions=[exp.cast(later, "date"), exp.cast(earlier, "date")]
        )
    if unit == "microsecond":
        name = exp.Column(this=exp.to_identifier("MICROSECOND"))
        return exp.Anonymous(this="timestampdiff", expressions=[name, earlier, later])
    raise WarehouseError(f"date_diff of {unit!r} has no rule for spark")


def _exact(node: exp.Expr) -> exp.Expr:
    """X / y and avg(x) of decimals are doubles; Spark would keep a few digits of a decimal."""
    if isinstance(node, exp.Avg):
        return exp.Avg(this=exp.cast(node.this.copy(), "double"))
    if isinstance(node, exp.Div) and not isinstance(node.this, exp.Cast):
        return exp.Div(this=exp.cast(node.this.copy(), "double"), expression=node.expression.copy())
    return node


def _bounded(node: exp.Expr) -> exp.Expr:
    """Both bounds of a window's frame are intervals of one type: seconds."""
    if not (isinstance(node, exp.Interval) and isinstance(node.parent, exp.WindowSpec)):
        return node
    unit = str(node.args.get("unit") or "").lower()
    if unit not in {"day", "days"}:
        return node
    seconds = exp.Literal.string(str(int(node.this.name) * 86_400))
    return exp.Interval(this=seconds, unit=exp.var("SECOND"))


def _filtered(node: exp.Expr) -> exp.Expr:
    """f(x) filter (where c) over w: over all rows, x null where c does not hold."""
    if not (isinstance(node, exp.Filter) and isinstance(node.parent, exp.Window)):
        return node
    call: exp.Expr = node.this.copy()
    where, value = node.expression.this, call.this
    if isinstance(value, exp.Star):
        value = exp.Literal.number(1)
    call.set("this", exp.Case(ifs=[exp.If(this=where.copy(), true=value.copy())]))
    return call


def _chosen(node: exp.Expr) -> exp.Expr:
    """Materialising a common table expression is Spark's own choice."""
    if isinstance(node, exp.CTE) and node.args.get("materialized") is not None:
        said = node.copy()
        said.set("materialized", None)
        return said
    return node


def _by_day(text: str, full: str, settings: Settings) -> str:
    """Return a model whose rows Spark keeps in a folder per day, of which a build replaces some.

    Files have no rows to delete. The folders of the days that change are staged before dbt runs
    (`days`), and MODEL__before shows the table as it was. The hook brings back those rows of
    them that the delete of other engines would leave, and the statement adds the new ones.
    """
    of = str(settings["meta"]["day_of"])
    day = of if of == "day" else f"{of}_day"
    later = rendered(text, incremental=True)[0]
    forms: list[str] = []
    for sql in (later, full):
        dated = sql if of == day else f"select d.*, cast(d.{of} as date) as {day} from ({sql}) as d"
        forms.append(translated_model(dated, SPARK))
    hook = rendered(settings["pre_hook"], incremental=True)[0]
    config = {
        "materialized": "incremental",
        "incremental_strategy": "append",
        "partition_by": [day],
        "pre_hook": when_incremental(_keeping(hook, day)),
    }
    return "\n".join([config_line(config), *both_forms(later, *forms)])


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
    said = translated_model(kept, SPARK).replace("{{ this }}", "{{ this }}__before")
    return f"insert into {{{{ this }}}} {said}"


def _creates(kind: str, name: str, sql: str) -> Sequence[str]:
    using = "using parquet" if kind == "table" else ""
    return [f"drop {kind} if exists {name}", f"create {kind} {name} {using} as {sql}"]


def _located(folder: str) -> str:
    return (
        f"    +file_format: parquet\n    +location_root: {folder}\n"
        "    marts:\n      features:\n        user_features:\n          +partition_by: [as_of]\n"
    )


SPARK: Final = Dialect(
    "spark",
    rules=(
        latest(_greatest),
        _tried,
        _json,
        _between,
        divided,
        _exact,
        _bounded,
        _filtered,
        _chosen,
    ),
    creates=_creates,
    days=_by_day,
    project_settings=_located,
)
