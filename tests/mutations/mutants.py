"""The mutants of a file: each is its text with one small change."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
CALLS: Final = {
    "min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum",
    "maximum": "minimum", "nanmean": "nansum", "mean": "sum",
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: kind of it, the line it is in, and the whole text of the file with it."""

    kind: str
    line: int
    text: str


def mutants(source: str, alike: Collection[tuple[str, str]] = ()) -> list[Mutant]:
    """Return every mutant of a module's source, in the order of the file.

    alike: mutants that behave as the source does, each as the line that it changes, without what
    that begins and ends with, and what it puts there. Raises ValueError when there is no such one.
    """
    lines = [line.strip() for line in source.splitlines()]
    unmet = set(alike)
    tree = ast.parse(source)
    raw = source.encode()
    starts = [0]
    for line in raw.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    found = []
    for node, kind, new in _changes(tree):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        text = (raw[:begin] + new.encode() + raw[end:]).decode()
        ast.parse(text)
        if (lines[node.lineno - 1], new) in alike:
            unmet.discard((lines[node.lineno - 1], new))
        else:
            found.append(Mutant(kind, node.lineno, text))
    if unmet:
        raise ValueError(f"no such mutant: {sorted(unmet)}")
    return sorted(found, key=lambda mutant: mutant.line)


def _changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
    """Yield nodes to replace, what kind of change it is, and the source that takes their place."""
    if isinstance(node, ast.expr | ast.stmt):
        yield from ((node, kind, new) for kind, new in _changed(node))
    for child in _children(node):
        yield from _changes(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may be changed inside: no annotations, decorators, texts or docstrings."""
    passed = ("annotation", "returns", "decorator_list")
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return  # of zip: a safeguard of what is equally long
    for name, value in ast.iter_fields(node):
        if name in passed:
            continue
        for child in value if isinstance(value, list) else [value]:
            text = isinstance(child, ast.JoinedStr) or (
                isinstance(child, ast.Constant) and isinstance(child.value, str)
            )
            setting = isinstance(node, ast.Module) and isinstance(child, ast.Assign | ast.AnnAssign)
            if isinstance(child, ast.AST) and not text and not setting and not _is_types(child):
                yield child


def _is_types(node: ast.AST) -> bool:
    """Return whether a statement is of type checkers alone, or an import."""
    checking = (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )
    return checking or isinstance(node, ast.Import | ast.ImportFrom)


def _changed(node: ast.expr | ast.stmt) -> Iterator[tuple[str, str]]:  # noqa: C901 - a case each
    match node:
        case ast.Compare(left, [operator, *more], compared) if type(operator) in COMPARISONS:
            other = ast.Compare(left, [COMPARISONS[type(operator)](), *more], compared)
            yield "comparison", f"({ast.unparse(other)})"
        case ast.BinOp(left, operator, right) if type(operator) in OPERATORS:
            other = ast.BinOp(left, OPERATORS[type(operator)](), right)
            yield "operator", f"({ast.unparse(other)})"
        case ast.BoolOp(operator, values):
            other = ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
            yield "and/or", f"({ast.unparse(other)})"
        case ast.UnaryOp(ast.Not() | ast.USub() | ast.Invert(), operand):
            yield "sign", f"({ast.unparse(operand)})"
        case ast.Constant(bool(value)):
            yield "constant", str(not value)
        case ast.Constant(int(value) | float(value)):
            yield "constant", str(value + 1)
        case ast.Call(ast.Name(name) | ast.Attribute(attr=name) as called, arguments, keywords):
            if name in CALLS:
                new = CALLS[name]
                kept = isinstance(called, ast.Name)
                function = ast.Name(new) if kept else ast.Attribute(called.value, new)
                yield "call", ast.unparse(ast.Call(function, arguments, keywords))
        case ast.Return(ast.Constant(None)):
            pass  # it is what the next one puts in a value's place
        case ast.Return(ast.expr()):
            yield "returned value", "return None"
        case ast.Raise():
            yield "no error", "pass"
        case _:
            pass
