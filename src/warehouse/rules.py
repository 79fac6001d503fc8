"""What the rules of every dialect share: trees of DuckDB's SQL that keep DuckDB's values elsewhere.

A rule is given one node of a parsed statement, and returns it or what is to stand in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlglot import exp

from ..spec.defined import never_zero

Rule = Callable[[exp.Expr], exp.Expr]
_BOOLEANS: Final = ("true", "false", "t", "f", "yes", "no", "y", "n", "1", "0")


def latest(write: Callable[[exp.Expr, list[exp.Expr], exp.Expr], exp.Expr]) -> Rule:
    """Return the rule for arg_max(x, keys) filter (where c), x where it is known.

    write: how a dialect writes it, of x, the keys (one by one) and the condition on rows.
    """

    def rule(node: exp.Expr) -> exp.Expr:
        where: exp.Expr | None = None
        call = node
        if isinstance(node, exp.Filter) and isinstance(node.this, exp.ArgMax):
            call, where = node.this, node.expression.this
        inside = isinstance(node.parent, exp.Filter) and node is call
        if not isinstance(call, exp.ArgMax) or inside:
            return node
        value, by = call.this, call.expression
        keys = by.expressions if isinstance(by, exp.Tuple) else [by]
        known: exp.Expr = exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))
        if where is not None:
            known = exp.and_(known, where.copy())
        return write(value.copy(), [unnested(key).copy() for key in keys], known)

    return rule


def boolean(value: exp.Expr, kind: exp.DataType) -> exp.Expr:
    """Return a text as a boolean, null for what DuckDB does not read as one."""
    text = exp.cast(value, "text")
    listed = [exp.Literal.string(word) for word in _BOOLEANS]
    known = exp.In(this=exp.Lower(this=text), expressions=listed)
    return exp.Case(ifs=[exp.If(this=known, true=exp.Cast(this=text.copy(), to=kind))])


def unnested(node: exp.Expr) -> exp.Expr:
    """Return what stands in parentheses."""
    return node.this if isinstance(node, exp.Paren) else node


def divided(node: exp.Expr) -> exp.Expr:
    """X / 0 is infinite (0 / 0 no number) and x % 0 null; others raise on both."""
    if isinstance(node, exp.Mod):
        return exp.Mod(this=node.this.copy(), expression=without_zero(node.expression))
    if not isinstance(node, exp.Div) or never_zero(node.expression):
        return node
    over, under = exp.cast(node.this.copy(), "double"), node.expression
    is_zero = exp.EQ(this=exp.Paren(this=under.copy()), expression=exp.Literal.number(0))
    infinite = exp.Mul(this=over.copy(), expression=double("Infinity"))
    safe = exp.Div(this=over, expression=without_zero(under))
    return exp.Paren(this=exp.Case(ifs=[exp.If(this=is_zero, true=infinite)], default=safe))


def double(text: str) -> exp.Expr:
    """Return a double by its name, such as Infinity."""
    return exp.cast(exp.Literal.string(text), "double")


def without_zero(node: exp.Expr) -> exp.Expr:
    """Return a divisor that is null where it would be zero."""
    if never_zero(node):
        return node
    return exp.Nullif(this=node.copy(), expression=exp.Literal.number(0))
