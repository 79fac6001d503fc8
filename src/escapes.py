"""Texts that others wrote, made inert for what reads them: terminals, spreadsheets, matplotlib.

A visitor can choose an id or a name. Control characters in it would move the cursor, colour the
screen or split a line of whoever lists users; marks of writing direction would turn it around; a
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


def inert(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: a risky start gets an apostrophe.

    Risky are = + - @, wide ones too, at the start of a cell and after what may end one (; tab line
    break), behind blanks that are not seen; and a line break at the start.

    >>> inert("=1+1"), inert("Ana"), inert("a;=1"), inert("\u200b+1") == "'\u200b+1"
    ("'=1+1", 'Ana', "a;'=1", True)
    """
    for pattern, replacement in INERT:
        text = re.sub(pattern, replacement, text)
    return text


def inert_sql(column: str) -> str:
    """Return DuckDB's SQL for the same of a column.

    >>> inert_sql("x").startswith("regexp_replace(regexp_replace(x, ")
    True
    """
    for pattern, replacement in INERT:
        quoted = (part.replace("'", "''") for part in (pattern, replacement))
        column = f"regexp_replace({column}, '{next(quoted)}', '{next(quoted)}', 'g')"
    return column


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
