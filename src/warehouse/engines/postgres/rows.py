r"""What Postgres cannot store or read: reasons to refuse a row when it is loaded there.

DuckDB's reader of JSON takes more than JSON is, and Postgres's less; a row that only the first of
them reads would be loaded and then fail every build.
"""

from __future__ import annotations

from typing import Final

import duckdb

from ....events.contract import EVENT_COLUMNS
from ....spec.expressions import quote_text

DEEPEST: Final = 1000  # of JSON; Postgres gives up at some thousands, whatever its stack is
_TEXTS: Final = {
    "events": tuple(name for name, type_ in EVENT_COLUMNS.items() if type_ == "varchar"),
    "users": ("user_id", "attributes"),
    "aliases": ("anonymous_id", "user_id"),
}
_JSON: Final = {"events": "properties", "users": "attributes"}
_DEPTH: Final = "whyrank_depth"


def teach_depth(con: duckdb.DuckDBPyConnection) -> None:
    """Give a connection, once, the function that the checks of JSON need."""
    con.create_function(_DEPTH, _depth, ["varchar"], "bigint")


def unfit_for_postgres(kind: str) -> tuple[tuple[str, str], ...]:
    """Return the checks of a load into Postgres: pairs of an SQL condition and a reason.

    kind: events, users or aliases. They are evaluated on a connection that has `teach_depth`.

    >>> [reason for _, reason in unfit_for_postgres("aliases")][1]
    'user_id holds a zero byte, which Postgres cannot store'
    """
    checks = [
        (f"contains({name}, chr(0))", f"{name} holds a zero byte, which Postgres cannot store")
        for name in _TEXTS[kind]
    ]
    return (*checks, *(_json_checks(_JSON[kind]) if kind in _JSON else ()))


def _json_checks(column: str) -> list[tuple[str, str]]:
    r"""Return checks of a text that is an object to DuckDB.

    The first pattern of two is cheap, and right but for what stands inside strings; the second one
    looks at what is left without them. An even number of backslashes before \u0000 is their own.
    """
    blank = r"[ \t\r\n]*"
    comma, no_number = rf",{blank}[}}\]]", "-?(?i:nan|inf)"
    strings = r'"(?:\\.|[^"\\])*"'
    bare = f"regexp_replace({column}, {quote_text(strings)}, '', 'g')"
    brackets = rf"regexp_replace({bare}, '[^\[\]{{}}]', '', 'g')"
    openers = f"length({column}) - length(replace(replace({column}, '{{', ''), '[', ''))"
    zero = r"(?:^|[^\\])(?:\\\\)*\\u0000"
    return [
        (
            _twice(column, rf"[:,\[]{blank}{no_number}", bare, no_number),
            f"{column} holds NaN or Infinity, which are not JSON",
        ),
        (
            _twice(column, comma, bare, comma),
            f"{column} has a comma before a closing bracket, which is not JSON",
        ),
        (
            rf"case when contains({column}, '\u0000') then "
            f"regexp_matches({column}, {quote_text(zero)}) end",
            rf"{column} holds \u0000, which Postgres cannot store",
        ),
        (
            f"length({column}) > {2 * DEEPEST} and case when {openers} > {DEEPEST} then "
            f"{_DEPTH}({brackets}) > {DEEPEST} end",
            f"{column} has more than {DEEPEST} objects or lists one inside the other",
        ),
        (
            f"len(json_keys({column})) <> len(list_distinct(json_keys({column})))",
            f"{column} names a key twice",
        ),
    ]


def _twice(column: str, likely: str, rest: str, surely: str) -> str:
    return (
        f"case when regexp_matches({column}, {quote_text(likely)}) then "
        f"regexp_matches({rest}, {quote_text(surely)}) end"
    )


def _depth(brackets: str) -> int:
    """Return how many brackets are open at once, at most."""
    deep = most = 0
    for bracket in brackets:
        deep += 1 if bracket in "[{" else -1
        most = max(most, deep)
    return most
