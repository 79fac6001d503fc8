"""What the rules of every dialect share: trees of DuckDB's SQL that keep DuckDB's values elsewhere.

A rule is given one node of a parsed statement, and returns it or what is to stand in its place.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

Rule = Callable[[exp.Expr], exp.Expr]


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


def never_zero(node: exp.Expr) -> bool:
    """Return whether it can be seen that a divisor is not zero."""
    inner = unnested(node)
    if isinstance(inner, exp.Nullif):
        inner = inner.expression
        return isinstance(inner, exp.Literal) and not inner.is_string and float(inner.this) == 0
    return isinstance(inner, exp.Literal) and not inner.is_string and float(inner.this) != 0


def without_zero(node: exp.Expr) -> exp.Expr:
    """Return a divisor that is null where it would be zero."""
    if never_zero(node):
        return node
    return exp.Nullif(this=node.copy(), expression=exp.Literal.number(0))
