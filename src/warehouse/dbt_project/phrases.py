"""The few things of the marts' templates that are DuckDB's own way of saying them.

For another engine the rendered models, these included, are said again by `dialects`. Everything
else in models/analytics, models/funnels and models/experiments is standard SQL.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...spec.expressions import quote_name

NEVER = "date '9999-12-31'"  # a day that stands for no end
DIGITS = 5  # of a calendar's days: 100,000 of them are 273 years


class DuckDb:
    """How DuckDB writes them."""

    name = staticmethod(quote_name)
    never = NEVER
    double = "double"
    text = "varchar"

    @staticmethod
    def plus_days(day: str, days: str | int) -> str:
        """Return the date that lies so many days after a date.

        >>> DuckDb.plus_days("d.day", 7)
        '(d.day + 7)'
        """
        return f"({day} + {days})"

    @staticmethod
    def days_between(first: str, last: str) -> str:
        """Return the whole days from one date to another."""
        return f"date_diff('day', {first}, {last})"

    @staticmethod
    def at_midnight(day: str) -> str:
        """Return the time at which a date begins."""
        return f"cast({day} as timestamp)"

    @staticmethod
    def json_text(json: str, path: str) -> str:
        """Return what stands at a path of a JSON text, as text; null where nothing does."""
        return f"json_extract_string({json}, {path})"

    @staticmethod
    def latest(value: str, order: Sequence[str]) -> str:
        """Return the aggregate: the value that is not null and comes last by these columns."""
        return f"arg_max({value}, ({', '.join(order)}))"

    @staticmethod
    def numbers(below: int) -> str:
        """Return a relation of the numbers from 0 on, with a column `n`.

        >>> DuckDb.numbers(3)
        '(values (0), (1), (2)) as numbers (n)'
        """
        return f"(values {', '.join(f'({n})' for n in range(below))}) as numbers (n)"
