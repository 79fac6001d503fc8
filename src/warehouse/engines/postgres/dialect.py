"""What sqlglot does not know of Postgres, or would say with another meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from ....errors import WarehouseError
from ...dialects import Dialect, Settings
from ...rules import boolean, divided, latest

_WHOLE: Final = {
    exp.DataType.Type.BIGINT: 2**63,
    exp.DataType.Type.INT: 2**31,
}
_DECIMAL: Final = (18, 3)  # DuckDB's, where digits are not given


def _first(value: exp.Expr, keys: list[exp.Expr], known: exp.Expr) -> exp.Expr:
    """Say the value of the greatest keys as the first of an ordered array."""
    ordered = [exp.Ordered(this=key, desc=True, nulls_first=True) for key in keys]
    listed = exp.ArrayAgg(this=exp.Order(this=value, expressions=ordered))
    picked = exp.Paren(this=exp.Filter(this=listed, expression=exp.Where(this=known)))
    return exp.Bracket(this=picked, expressions=[exp.Literal.number(1)], offset=1)


def _tried(node: exp.Expr) -> exp.Expr:
    """try_cast(x as t): null where the value does not fit, which Postgres cannot say.

    A text is cast to a number through regexp_extract alone (spec.expressions.text_as), so that
    what counts as a number is the same everywhere.
    """
    if not isinstance(node, exp.TryCast):
        return node
    value, kind = node.this.copy(), node.to.copy()
    if kind.this == exp.DataType.Type.BOOLEAN:
        return boolean(value, kind)
    if isinstance(value, exp.RegexpExtract):
        value = exp.Anonymous(this="substring", expressions=[value.this, value.expression])
        if kind.this != exp.DataType.Type.DOUBLE:
            value = exp.cast(value, "decimal")
    if kind.this in _WHOLE:
        return _within(_round(value), kind, _WHOLE[kind.this])
    if kind.this == exp.DataType.Type.DECIMAL:
        given = [int(part.name) for part in kind.expressions]
        digits, places = (*given, 0)[:2] if given else _DECIMAL
        kind = exp.DataType.build(f"decimal({digits}, {places})")
        most = 10 ** (digits - places)
        if isinstance(node.this, exp.RegexpExtract):
            value = _round(value, exp.Literal.number(places))
        fits = exp.LT(this=exp.Abs(this=value.copy()), expression=exp.Literal.number(most))
        return exp.Case(ifs=[exp.If(this=fits, true=exp.Cast(this=value, to=kind))])
    return exp.Cast(this=value, to=kind)


def _round(*arguments: exp.Expr) -> exp.Expr:
    """Postgres's own round: numerics away from zero, doubles to even, as DuckDB's casts do."""
    return exp.Anonymous(this="round", expressions=[*arguments])


def _within(value: exp.Expr, kind: exp.DataType, beyond: int) -> exp.Expr:
    """Return a cast to whole numbers from -beyond to below it, null outside of them."""
    low = exp.GTE(this=value.copy(), expression=exp.Literal.number(-beyond))
    high = exp.LT(this=value.copy(), expression=exp.Literal.number(beyond))
    return exp.Case(ifs=[exp.If(this=exp.and_(low, high), true=exp.Cast(this=value, to=kind))])


def _json(node: exp.Expr) -> exp.Expr:
    """json_extract_string(text, '$."key"'): the member's text, compared byte by byte."""
    if not isinstance(node, exp.JSONExtractScalar):
        return node
    parts = [p.this for p in node.expression.expressions if isinstance(p, exp.JSONPathKey)]
    member: exp.Expr = exp.cast(node.this.copy(), "json")
    for part in parts[:-1]:
        member = exp.JSONExtract(this=member, expression=exp.Literal.string(str(part)))
    read = exp.Anonymous(
        this="json_extract_path_text",
        expressions=[member, *(exp.Literal.string(str(part)) for part in parts[-1:])],
    )
    return exp.Collate(this=exp.Paren(this=read), expression=exp.to_identifier("C", quoted=True))


def _rounded(node: exp.Expr) -> exp.Expr:
    """round(x, n): half away from zero, as decimals do; Postgres rounds doubles to even."""
    if not isinstance(node, exp.Round):
        return node
    decimals = node.args.get("decimals")
    exact = exp.cast(node.this.copy(), "decimal")
    rounded = exp.Round(this=exact, decimals=decimals.copy() if decimals else None)
    return exp.cast(rounded, "double")


def _days(node: exp.Expr) -> exp.Expr:
    """date_diff('day', a, b) of dates, and of microseconds between times."""
    if not isinstance(node, exp.DateDiff):
        return node
    unit = str(node.args.get("unit") or "day").strip("'").lower()
    later, earlier = node.this.copy(), node.expression.copy()
    if unit == "day":
        return exp.Paren(
            this=exp.Sub(this=exp.cast(later, "date"), expression=exp.cast(earlier, "date"))
        )
    if unit == "microsecond":
        between = exp.Paren(this=exp.Sub(this=later, expression=earlier))
        seconds = exp.Extract(this=exp.var("epoch"), expression=between)
        return exp.cast(exp.Mul(this=seconds, expression=exp.Literal.number(1_000_000)), "bigint")
    raise WarehouseError(f"date_diff of {unit!r} has no rule for postgres")


def _creates(kind: str, name: str, sql: str) -> Sequence[str]:
    return [f"drop {kind} if exists {name} cascade", f"create {kind} {name} as {sql}"]


def _indexed(settings: Settings) -> Settings:
    """Look rows of changed users up by an index."""
    if ".user_id" not in str(settings.get("pre_hook", "")):
        return {}
    return {"indexes": [{"columns": ["user_id"]}]}


def _analyzed(_: str) -> str:
    """Count a table's rows at once: the server does so by itself long after the next model."""
    hook = "{{ 'analyze ' ~ this if model.config.materialized != 'view' }}"
    return f'    +post-hook: "{hook}"\n'


POSTGRES: Final = Dialect(
    "postgres",
    rules=(latest(_first), _tried, _json, _rounded, _days, divided),
    creates=_creates,
    model_settings=_indexed,
    project_settings=_analyzed,
    # Text compares byte by byte, as in DuckDB, whatever language the database sorts by.
    landing_types={"varchar": 'text collate "C"', "double": "double precision", "blob": "bytea"},
    landing_indexes=(
        "create unique index if not exists events_identity on {schema}.events (event_id)",
        "create index if not exists events_by_load on {schema}.events using brin (load_id)",
        "create index if not exists events_by_time on {schema}.events using brin (event_time)",
    ),
)
