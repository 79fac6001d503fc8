"""Which SQL expressions a spec may hold: one value of one row, and nothing that reaches further.

A spec is data that people pass around, so its SQL is parsed and every node is checked against a
list of what is allowed; tables, subqueries, windows and unknown functions are refused. What comes
out is SQL written again from the parsed tree, never the text that came in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from ..errors import SpecError
from .defined import defined
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
# What a text has to be to count as a number, on every engine: decimal digits of ASCII, perhaps an
# exponent, nothing that over- or underflows. Engines' own casts differ beyond it (inf, hex, 1_000).
_DIGITS = "[-+]?(?:[0-9]{1,100}[.]?[0-9]{0,100}|[.][0-9]{1,100})"
_NUMBER = rf"^[ \t\r\n]*{_DIGITS}(?:[eE][-+]?[0-9]{{1,2}})?[ \t\r\n]*$"
_EXACT = rf"^[ \t\r\n]*{_DIGITS}[ \t\r\n]*$"


class ExpressionSql:
    """A checked expression: the columns it reads, and its SQL for any naming of those columns.

    What has no finite value for a row is null there, on every engine, and stops nobody else: a
    division by zero, the logarithm of what is not above zero, a text that is no number. `partial`
    tells whether that may be (but for texts), `multiplies` whether a product may be infinite.

    Raises SpecError, beginning with `what`, when the text is not one allowed expression or names
    a column that is not in `columns`; `properties.x` stands for property x where `properties` is
    in `columns`.

    >>> ratio = ExpressionSql("clicks / views", ["clicks", "views"], "features.ctr")
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
        self.multiplies = self._tree.find(exp.Mul, exp.Div) is not None
        self._tree, self.partial = defined(self._tree, what)

    def sql(
        self, naming: Callable[[str], str], texts: Callable[[str], bool] = lambda _: False
    ) -> str:
        """Return the SQL text with each column replaced by the SQL that `naming` gives for it.

        texts: whether a column is a text; a cast of one is that of `text_as`.
        """

        def replaced(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Cast) and _is_text(node.this, texts):
                inside = node.this.transform(replaced).sql(dialect=DIALECT)
                return exp.Var(this=text_as(inside, node.to.sql(dialect=DIALECT).lower()))
            if isinstance(node, exp.Column):
                return exp.Var(this=naming(_full_name(node)))
            return node

        return self._tree.transform(replaced).sql(dialect=DIALECT)

    def is_text(self, texts: Callable[[str], bool]) -> bool:
        """Return whether the expression is a text, given which columns are.

        >>> ExpressionSql("lower(device)", ["device"], "features.d").is_text(lambda _: True)
        True
        """
        return _is_text(self._tree, texts)

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


def text_as(sql: str, kind: str) -> str:
    """Return SQL for a text as a value of an SQL type, null where it is none.

    A number is at most 100 decimal digits before and after a point, with a sign and blanks around
    or without, and for a double an exponent of at most two digits: nothing that is infinite, and
    the same on every engine.

    >>> text_as("plan", "boolean")
    'try_cast(plan as boolean)'
    """
    if kind in {"varchar", "text", "boolean"}:
        return f"try_cast({sql} as {kind})"
    approximate = kind in {"double", "float"}
    pattern, to = (_NUMBER, "double") if approximate else (_EXACT, kind)
    return f"try_cast(regexp_extract({sql}, {quote_text(pattern)}) as {to})"


def _is_text(node: exp.Expr, texts: Callable[[str], bool]) -> bool:
    if isinstance(node, exp.Column):
        return texts(_full_name(node))
    if isinstance(node, exp.Literal):
        return bool(node.is_string)
    if isinstance(node, exp.Cast):  # a TryCast is one, too
        return node.to.this in {exp.DataType.Type.VARCHAR, exp.DataType.Type.TEXT}
    if isinstance(node, exp.Case):
        values = [branch.args["true"] for branch in node.args["ifs"]]
        return any(_is_text(value, texts) for value in [*values, node.args.get("default")] if value)
    if isinstance(node, exp.Paren | exp.Coalesce | exp.Nullif | exp.Greatest | exp.Least):
        return _is_text(node.this, texts)
    return isinstance(node, exp.Lower | exp.Upper | exp.Trim | exp.Concat | exp.DPipe)


def _full_name(column: exp.Column) -> str:
    return ".".join(part.name for part in column.parts)


def quote_name(name: str) -> str:
    """Return a name as a quoted SQL identifier.

    >>> quote_name('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def quote_value(value: object) -> str:
    """Return a text, number, time without a zone or nothing as an SQL literal.

    For statements that every load runs: DuckDB loads pandas, a third of a second, before it binds
    its first parameter.

    Raises TypeError for anything else.

    >>> quote_value("it's"), quote_value(3), quote_value(None)
    ("'it''s'", '3', 'null')
    >>> quote_value(datetime(2026, 3, 1, 9))
    "timestamp '2026-03-01 09:00:00'"
    """
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return f"timestamp '{value.isoformat(sep=' ')}'"
    if isinstance(value, str):
        return quote_text(value)
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(f"{value!r} has no SQL literal here")


def quote_text(text: str) -> str:
    """Return a text as an SQL literal.

    >>> quote_text("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"
