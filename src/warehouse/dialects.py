"""One definition, several engines: SQL written for DuckDB, said again for Postgres.

Models and expressions are written once, in DuckDB's dialect. sqlglot says them again for the
engine; what it does not know, or would say with another meaning, is rewritten here first, on the
parsed tree: every rule keeps the value that DuckDB gives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

from jinja2 import Environment, StrictUndefined
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from ..errors import WarehouseError

Engine = Literal["duckdb", "postgres"]
Rule = Callable[[exp.Expr], exp.Expr]

_WHOLE: Final = {
    exp.DataType.Type.BIGINT: 2**63,
    exp.DataType.Type.INT: 2**31,
}
_DECIMAL: Final = (18, 3)  # DuckDB's, where digits are not given


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
    for rule in _POSTGRES_RULES:
        tree = _everywhere(tree, rule)
    return tree.sql(dialect="postgres", pretty=len(sql) > 200)  # noqa: PLR2004 - to be read


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
    lines = []
    if settings:
        hook = settings.get("pre_hook")
        if hook:
            settings["pre_hook"] = _conditional(_said(_rendered(hook, incremental=True)[0], engine))
        lines.append(f"{{{{ config(**{json.dumps({**settings, **_extras(settings)})}) }}}}")
    if settings.get("materialized") != "incremental":
        return "\n".join([*lines, _said(full, engine), ""])
    later = _rendered(text, incremental=True)[0]
    needed = sorted(set(re.findall(r"whyrank_ref_(\w+?)_end", later)))
    lines += [f"-- depends_on: {{{{ ref('{name}') }}}}" for name in needed]
    lines += ["{% if is_incremental() %}", _said(later, engine), "{% else %}", _said(full, engine)]
    return "\n".join([*lines, "{% endif %}", ""])


def _conditional(hook: str) -> str:
    return "{% if is_incremental() %}" + hook + "{% endif %}"


def _extras(settings: Mapping[str, str]) -> dict[str, object]:
    """Settings that Postgres wants besides: rows of touched users are looked up by an index."""
    if ".user_id" not in str(settings.get("pre_hook", "")):
        return {}
    return {"indexes": [{"columns": ["user_id"]}]}


def _rendered(text: str, *, incremental: bool) -> tuple[str, dict[str, str]]:
    """Fill in dbt's calls with names that are plain SQL, and return what config was given."""
    settings: dict[str, str] = {}
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


def _latest(node: exp.Expr) -> exp.Expr:
    """arg_max(x, keys) filter (where c): the value, where there is one, of the greatest keys."""
    where: exp.Expr | None = None
    call = node
    if isinstance(node, exp.Filter) and isinstance(node.this, exp.ArgMax):
        call, where = node.this, node.expression.this
    if not isinstance(call, exp.ArgMax) or (isinstance(node.parent, exp.Filter) and node is call):
        return node
    value, by = call.this, call.expression
    keys = by.expressions if isinstance(by, exp.Tuple) else [by]
    known: exp.Expr = exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))
    if where is not None:
        known = exp.and_(known, where.copy())
    ordered = [exp.Ordered(this=_unnested(key).copy(), desc=True, nulls_first=True) for key in keys]
    listed = exp.ArrayAgg(this=exp.Order(this=value.copy(), expressions=ordered))
    picked = exp.Paren(this=exp.Filter(this=listed, expression=exp.Where(this=known)))
    return exp.Bracket(this=picked, expressions=[exp.Literal.number(1)], offset=1)


def _unnested(node: exp.Expr) -> exp.Expr:
    return node.this if isinstance(node, exp.Paren) else node


def _tried(node: exp.Expr) -> exp.Expr:
    """try_cast(x as t): null where the value does not fit, which Postgres cannot say.

    A text is cast to a number through regexp_extract alone (spec.expressions.text_as), so that
    what counts as a number is the same everywhere.
    """
    if not isinstance(node, exp.TryCast):
        return node
    value, kind = node.this.copy(), node.to.copy()
    if kind.this == exp.DataType.Type.BOOLEAN:
        words = ("true", "false", "t", "f", "yes", "no", "y", "n", "1", "0")
        text = exp.cast(value, "text")
        listed = [exp.Literal.string(word) for word in words]
        known = exp.In(this=exp.Lower(this=text), expressions=listed)
        return exp.Case(ifs=[exp.If(this=known, true=exp.Cast(this=text.copy(), to=kind))])
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


def _divided(node: exp.Expr) -> exp.Expr:
    """X / 0 is infinite (0 / 0 no number) and x % 0 null; Postgres raises on both."""
    if isinstance(node, exp.Mod):
        return exp.Mod(this=node.this.copy(), expression=_without_zero(node.expression))
    if not isinstance(node, exp.Div) or _never_zero(node.expression):
        return node
    over, under = exp.cast(node.this.copy(), "double"), node.expression
    is_zero = exp.EQ(this=exp.Paren(this=under.copy()), expression=exp.Literal.number(0))
    infinite = exp.Mul(this=over.copy(), expression=_double("Infinity"))
    safe = exp.Div(this=over, expression=_without_zero(under))
    return exp.Paren(this=exp.Case(ifs=[exp.If(this=is_zero, true=infinite)], default=safe))


def _double(text: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(text), "double")


def _never_zero(node: exp.Expr) -> bool:
    inner = _unnested(node)
    if isinstance(inner, exp.Nullif):
        inner = inner.expression
        return isinstance(inner, exp.Literal) and not inner.is_string and float(inner.this) == 0
    return isinstance(inner, exp.Literal) and not inner.is_string and float(inner.this) != 0


def _without_zero(node: exp.Expr) -> exp.Expr:
    if _never_zero(node):
        return node
    return exp.Nullif(this=node.copy(), expression=exp.Literal.number(0))


_POSTGRES_RULES: tuple[Rule, ...] = (
    _latest,
    _tried,
    _json,
    _rounded,
    _days,
    _divided,
)
