"""Texts that others wrote, escaped for what reads them: terminals, spreadsheets, matplotlib.

A visitor can choose an id or a name. Control characters in it would move the cursor, colour the
screen or split a line in a list of users; marks of writing direction would turn it around; a
spreadsheet would run it as a formula. YAML and SQL have their own, where they are written
(warehouse.project, spec.expressions, database).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Final, Protocol, TextIO

# C0 and C1 controls and DEL; line and paragraph separators; marks, embeddings, overrides and
# isolates of writing direction; halves of surrogate pairs.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def shown(text: str) -> str:
    r"""Return a text in one line, without anything that a terminal would obey.

    >>> shown("\x1b[31mred\x1b[0m"), shown("two\nlines"), shown("naïve, ok")
    ('\\x1b[31mred\\x1b[0m', 'two\\nlines', 'naïve, ok')
    """
    return _UNSAFE.sub(lambda match: repr(match[0])[1:-1], text)


def shown_lines(text: str) -> str:
    r"""Return the same of a text whose line breaks are our own.

    >>> shown_lines("a\n\x07b")
    'a\n\\x07b'
    """
    return "\n".join(map(shown, text.split("\n")))


# Where a cell may begin: at its own start, or after what another locale takes for the end of one.
_ENDS: Final = ";|\t\r\n"
_BLANK: Final = " \f\v\u00a0\u200b-\u200f\u2060\ufeff"
_FORMULA: Final = f"(^|[{_ENDS}])([{_BLANK}]*)([=+@\uff1d\uff0b\uff0d\uff20-])"
_BREAK: Final = "^( *)([\t\r\n])"
# Pattern and replacement, one after the other, in the language of Python's, DuckDB's and Arrow's.
INERT: Final = ((_FORMULA, r"\1'\2\3"), (_BREAK, r"'\1\2"))


def escape_formula(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: a risky start gets an apostrophe.

    Risky are = + - @, wide ones too, at the start of a cell and after what may end one (; tab line
    break), behind blanks that are not seen; and a line break at the start.

    >>> [escape_formula(text) for text in ("=1+1", "Ana", "a;=1")]
    ["'=1+1", 'Ana', "a;'=1"]
    >>> escape_formula("\u200b+1") == "'\u200b+1"
    True
    """
    for pattern, replacement in INERT:
        text = re.sub(pattern, replacement, text)
    return text


def escape_formula_sql(column: str) -> str:
    """Return DuckDB's SQL for the same of a column.

    >>> escape_formula_sql("x").startswith("regexp_replace(regexp_replace(x, ")
    True
    """
    for pattern, replacement in INERT:
        quoted = (part.replace("'", "''") for part in (pattern, replacement))
        column = f"regexp_replace({column}, '{next(quoted)}', '{next(quoted)}', 'g')"
    return column


# What begins as a formula does and can call nothing: no brackets, quotes or references elsewhere.
HARMLESS: Final = r"[-+@][A-Za-z0-9_.@+ -]*"
KEY: Final = "user_key"


def key_of(text: str) -> str:
    """Return an id as it is, to join by, where no spreadsheet can run it; else an empty text.

    -Nabc, +49123 and @ana are ids like others; what a spreadsheet makes of them does nothing.

    >>> key_of("-Nabc"), key_of("u1"), key_of("=1+1"), key_of("+A(1)")
    ('-Nabc', 'u1', '', '')
    """
    return text if escape_formula(text) == text or re.fullmatch(HARMLESS, text) else ""


def key_sql(column: str) -> str:
    """Return DuckDB's SQL for the same of a column."""
    return (
        f"case when {escape_formula_sql(column)} = {column} "
        f"or regexp_full_match({column}, '{HARMLESS}') "
        f"then {column} else '' end"
    )


class Ids:
    """How the ids of a CSV file are written: escaped, and as they are beside it where that differs.

    >>> ids = Ids(["-Nabc", "u1"])
    >>> ids.columns(("rank", "user_id")), ids.cells("-Nabc")
    (['rank', 'user_id', 'user_key'], ["'-Nabc", '-Nabc'])
    >>> Ids(["u1"]).columns(("user_id",)), Ids(["u1"]).cells("u1")
    (['user_id'], ['u1'])
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._differ = any(escape_formula(text) != text for text in ids)

    def columns(self, names: Iterable[str]) -> list[str]:
        """Return the names with that of the key behind user_id, where it is needed."""
        keyed = ["user_id", KEY] if self._differ else ["user_id"]
        return [column for name in names for column in (keyed if name == "user_id" else [name])]

    def cells(self, text: str) -> list[str]:
        """Return an id's cells."""
        return [escape_formula(text), key_of(text)] if self._differ else [escape_formula(text)]


def plain_text(text: str) -> str:
    """Return a text that matplotlib draws as it stands, and not as mathematics between $ signs.

    >>> plain_text("$5 or $6") == chr(92) + "$5 or " + chr(92) + "$6"
    True
    """
    return shown(text).replace("$", r"\$")


class Rows(Protocol):
    """Writes rows of a CSV file."""

    def writerow(self, row: Iterable[object], /) -> object:
        """Write one row."""
        ...


def csv_writer(file: TextIO) -> Rows:
    """Return a writer of CSV with a line feed between rows, in which no cell ends a row.

    Python quotes what holds its own line end alone; readers take a lone carriage return for one.
    """
    return csv.writer(_Lines(file), lineterminator="\r\n")


class _Lines:
    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> int:
        """Write a row with our line end."""
        return self._file.write(f"{row.removesuffix(chr(13) + chr(10))}\n")
