"""Which SQL expressions a spec may hold: one value of one row, and nothing that reaches further.

A spec is data that people pass around, so its SQL is parsed and every node is checked against a
list of what is allowed; tables, subqueries, windows and unknown functions are refused. What comes
out is SQL written again from the parsed tree, never the text that came in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from ..errors import SpecError
from .references import suggest

DIALECT = "duckdb"

_ALLOWED: tuple[type[exp.Expr], ...] = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Boolean,
    exp.Null,
    exp.Paren,
    exp.Neg,
    exp.Not,
    exp.And,
    exp.Or,
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Div,
    exp.Mod,
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Is,
    exp.In,
    exp.Between,
    exp.Like,
    exp.Case,
    exp.If,
    exp.Coalesce,
    exp.Nullif,
    exp.Greatest,
    exp.Least,
    exp.Round,
    exp.Floor,
    exp.Ceil,
    exp.Abs,
    exp.Ln,
    exp.Log,
    exp.Sqrt,
    exp.Exp,
    exp.Pow,
    exp.Lower,
    exp.Upper,
    exp.Trim,
    exp.Length,
    exp.Concat,
    exp.DPipe,
    exp.Cast,
    exp.TryCast,
    exp.DataType,
)
_TYPES = {"DOUBLE", "BIGINT", "INT", "VARCHAR", "TEXT", "BOOLEAN", "FLOAT", "DECIMAL"}
MAX_LENGTH = 2000
MAX_NODES = 500


class ExpressionSql:
    """A checked expression: the columns it reads, and its SQL for any naming of those columns.

    Raises SpecError, beginning with `what`, when the text is not one allowed expression or names
    a column that is not in `columns`; `properties.x` stands for property x where `properties` is
    in `columns`.

    >>> ratio = ExpressionSql("clicks / nullif(views, 0)", ["clicks", "views"], "features.ctr")
    >>> ratio.columns
    ('clicks', 'views')
    >>> ratio.sql(lambda column: f"m.{column}")
    'm.clicks / NULLIF(m.views, 0)'
    """

    def __init__(self, text: str, columns: Collection[str], what: str) -> None:
        self._what = what
        self._tree = self._parsed(text)
        for count, node in enumerate(self._tree.walk()):
            if count > MAX_NODES:
                raise SpecError(f"{what}: expression is too large (over {MAX_NODES} parts)")
            self._check(node)
        found: dict[str, None] = {}
        for column in self._tree.find_all(exp.Column):
            found[self._known(column, columns)] = None
        self.columns = tuple(found)

    def sql(self, naming: Callable[[str], str]) -> str:
        """Return the SQL text with each column replaced by the SQL that `naming` gives for it."""

        def replaced(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Column):
                return exp.Var(this=naming(_full_name(node)))
            return node

        return self._tree.transform(replaced).sql(dialect=DIALECT)

    def _parsed(self, text: str) -> exp.Expr:
        if len(text) > MAX_LENGTH:
            raise SpecError(f"{self._what}: expression is longer than {MAX_LENGTH} characters")
        try:
            statements = parse(text, dialect=DIALECT)
        except (SqlglotError, RecursionError) as error:
            reason = str(error).splitlines()[0]
            raise SpecError(f"{self._what}: {text!r} is not an SQL expression: {reason}") from None
        if len(statements) != 1 or statements[0] is None:
            raise SpecError(f"{self._what}: {text!r} must be exactly one SQL expression")
        return statements[0]

    def _check(self, node: exp.Expr) -> None:
        if not isinstance(node, _ALLOWED):
            raise SpecError(
                f"{self._what}: {node.sql(dialect=DIALECT)!r} is not allowed in an expression: "
                "use columns, numbers, texts, comparisons, case, and functions of one row such as "
                "coalesce, nullif, ln, round, concat"
            )
        if isinstance(node, exp.DataType) and node.this.value not in _TYPES:
            raise SpecError(
                f"{self._what}: type {node.sql(dialect=DIALECT)} is not allowed: "
                "use double, bigint, text or boolean"
            )

    def _known(self, column: exp.Column, columns: Collection[str]) -> str:
        name = _full_name(column)
        head, _, rest = name.partition(".")
        if name in columns or (head == "properties" and rest and head in columns):
            return name
        raise SpecError(f"{self._what}: there is no column {name!r} here; {suggest(name, columns)}")


def _full_name(column: exp.Column) -> str:
    return ".".join(part.name for part in column.parts)


def quote_name(name: str) -> str:
    """Return a name as a quoted SQL identifier.

    >>> quote_name('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as an SQL literal.

    >>> quote_text("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"
