"""Expressions that are null where they have no finite value, in place of failing.

One user whose ratio is x / 0 must not stop everybody else's list. Engines differ in what they do
there (DuckDB divides to infinity and refuses ln(0), Postgres refuses both, Spark neither), so what
is undefined becomes null before any engine sees it. Arguments are bent, not repeated, wherever
that can be: an expression that holds itself twice at each level would grow without end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlglot import exp

from ..errors import SpecError

MOST_NODES: Final = 20_000
# exp(x) overflows a double a little above the first; below the second it is zero for all purposes,
# and Postgres refuses it.
_HIGHEST, _LOWEST = "709.5", "-700.0"
_NUMERIC: Final = (
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.Round, exp.Floor, exp.Ceil, exp.Abs,
    exp.Ln, exp.Log, exp.Sqrt, exp.Exp, exp.Pow,
)  # fmt: skip


def defined(tree: exp.Expr, what: str) -> tuple[exp.Expr, bool]:
    """Return an expression that is null where it would fail or not be finite; whether it may be.

    Raises SpecError, beginning with `what`, when it grows too large by it.

    >>> from sqlglot import parse_one
    >>> safe, partial = defined(parse_one("ln(a) / b"), "features.r.sql")
    >>> safe.sql(dialect="duckdb"), partial
    ('LN(NULLIF(GREATEST(a, 0), 0)) / NULLIF(b, 0)', True)
    >>> defined(parse_one("a + 1"), "features.r.sql")[1]
    False
    """
    tree, partial = tree.copy(), False
    nodes = list(tree.walk())
    size = len(nodes)
    for node in reversed(nodes):  # those inside come before those around them
        guard = _GUARDS.get(type(node))
        if guard is None or (safe := guard(node)) is None:
            continue
        partial = partial or not isinstance(node, exp.Cast)
        size += sum(1 for _ in safe.walk()) - sum(1 for _ in node.walk())
        if size > MOST_NODES:
            raise SpecError(f"{what}: expression is too large: pow() stands in pow() too often")
        if node is tree:
            tree = safe
        else:
            node.replace(safe)
    return tree, partial


def finite(sql: str) -> str:
    """Return SQL of a double that is null where the given number is infinite or not a number.

    >>> finite("a * b").count("nullif")
    3
    """
    sql = f"cast({sql} as double)"
    for name in ("Infinity", "-Infinity", "NaN"):
        sql = f"nullif({sql}, cast('{name}' as double))"
    return sql


def never_zero(node: exp.Expr) -> bool:
    """Return whether it can be seen that a divisor is not zero."""
    inner = node.this if isinstance(node, exp.Paren) else node
    if isinstance(inner, exp.Nullif):
        inner = inner.expression
        return isinstance(inner, exp.Literal) and not inner.is_string and float(inner.this) == 0
    return isinstance(inner, exp.Literal) and not inner.is_string and float(inner.this) != 0


def _divided(node: exp.Expr) -> exp.Expr | None:
    if never_zero(node.expression):
        return None
    safe = node.copy()
    safe.set("expression", exp.Nullif(this=node.expression.copy(), expression=_number("0")))
    return safe


def _natural(node: exp.Expr) -> exp.Expr:
    return exp.Ln(this=_positive(node.this))


def _logarithm(node: exp.Expr) -> exp.Expr:
    """log(x) of base 10, and log(base, x), by natural logarithms.

    Spark's log(x) is the natural one, and Postgres has log(base, x) of decimals alone.
    """
    base, value = _number("10"), node.this
    if node.args.get("expression"):
        base, value = (
            exp.Nullif(this=_positive(node.this), expression=_number("1")),
            node.expression,
        )
    under = exp.Nullif(this=exp.Ln(this=base), expression=_number("0"))
    return exp.Paren(this=exp.Div(this=exp.Ln(this=_positive(value)), expression=under))


def _root(node: exp.Expr) -> exp.Expr:
    # Nothing but zero stands between this and what has a root.
    below = exp.cast(_number("-1e-300"), "double")
    argument = exp.Greatest(this=node.this.copy(), expressions=[below], ignore_nulls=True)
    return exp.Sqrt(this=exp.Nullif(this=argument, expression=below.copy()))


def _exponential(node: exp.Expr) -> exp.Expr:
    highest = exp.cast(_number(_HIGHEST), "double")
    least = exp.Least(this=node.this.copy(), expressions=[highest], ignore_nulls=True)
    lowest = exp.cast(_number(_LOWEST), "double")
    above = exp.Greatest(this=least, expressions=[lowest], ignore_nulls=True)
    return exp.Exp(this=exp.Nullif(this=above, expression=highest.copy()))


def _power(node: exp.Expr) -> exp.Expr:
    base, power = (exp.Paren(this=part.copy()) for part in (node.this, node.expression))
    zero = _number("0")
    size = exp.Ln(this=exp.Nullif(this=exp.Abs(this=base.copy()), expression=zero))
    digits = exp.Mul(this=power.copy(), expression=size)
    none = exp.or_(
        exp.and_(exp.EQ(this=base, expression=zero), exp.LT(this=power, expression=zero)),
        exp.and_(
            exp.LT(this=base, expression=zero),
            exp.NEQ(this=power, expression=exp.Floor(this=power.copy())),
        ),
        exp.GTE(this=digits, expression=_number(_HIGHEST)),
    )
    small = exp.LTE(this=digits.copy(), expression=_number(_LOWEST))
    return exp.Paren(
        this=exp.Case(
            ifs=[exp.If(this=none, true=exp.Null()), exp.If(this=small, true=zero.copy())],
            default=node.copy(),
        )
    )


def _whole(node: exp.Expr) -> exp.Expr | None:
    """cast(x as t) of what is computed: null where x is beyond what t holds."""
    inner = node.this
    while isinstance(inner, exp.Paren):
        inner = inner.this
    if not isinstance(inner, _NUMERIC):
        return None
    return exp.TryCast(this=node.this.copy(), to=node.args["to"].copy())


def _positive(node: exp.Expr) -> exp.Expr:
    above = exp.Greatest(this=node.copy(), expressions=[_number("0")], ignore_nulls=True)
    return exp.Nullif(this=above, expression=_number("0"))


def _number(text: str) -> exp.Expr:
    return exp.Literal.number(text)


_GUARDS: Final[Mapping[type[exp.Expr], Callable[[exp.Expr], exp.Expr | None]]] = {
    exp.Div: _divided,
    exp.Mod: _divided,
    exp.Ln: _natural,
    exp.Log: _logarithm,
    exp.Sqrt: _root,
    exp.Exp: _exponential,
    exp.Pow: _power,
    exp.Cast: _whole,
}
