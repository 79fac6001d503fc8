"""What the templates of the analytics marts are given: names, quoted texts, numbers, some SQL.

That SQL is what the templates need of DuckDB's own dialect; all else in the folders analytics,
funnels and experiments is standard SQL. For another engine `dialects` translates rendered models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...spec.analytics import ALL_USERS
from ...spec.expressions import quote_name, quote_text

NEVER = "date '9999-12-31'"  # a day that stands for no end
DIGITS = 5  # of a calendar's days: 100,000 of them are 273 years


class DuckDb:
    """How DuckDB writes what differs from engine to engine."""

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


def mart_values(marts: Any) -> dict[str, Any]:
    """Return the values of the marts' templates (features.marts.Marts fits)."""
    experiments = marts.experiments
    outcomes = experiments.outcomes if experiments else ()
    covariates = experiments.covariates if experiments else ()
    return {
        "sql": DuckDb,
        "digits": DIGITS,
        "all_users": ALL_USERS,
        "revenue": marts.revenue,
        "revenue_state": marts.revenue_state,
        "retention_days": marts.retention_days,
        "used_attributes": [{"name": name, "path": json_path(name)} for name in marts.attributes],
        "funnels": [_funnel(funnel) for funnel in marts.funnels],
        **_intents(marts.funnels[0] if marts.funnels else None),
        "experiments": experiments,
        "growing": [outcome for outcome in outcomes if outcome.grows],
        "covariate_columns": [f"x{number}" for number in range(1, len(covariates) + 1)],
        "unit_metrics": [
            *({"metric": outcome.name, "min_age": outcome.min_age} for outcome in outcomes),
            *({"metric": name, "min_age": 0} for name in covariates),
        ],
    }


def json_path(name: str) -> str:
    """Return the path of a key of a JSON object, as an SQL literal.

    >>> json_path("plan")
    '\\'$."plan"\\''
    """
    return quote_text(f'$."{name}"')


def _funnel(funnel: Any) -> dict[str, Any]:
    return {
        "name": funnel.name,
        "text": quote_text(funnel.name),
        "seconds": funnel.seconds,
        "entry": funnel.entry,
        "segments": funnel.segments,
        "names": ", ".join(quote_text(step) for step in funnel.steps),
        "steps": [
            {"number": number, "text": quote_text(step)}
            for number, step in enumerate(funnel.steps, start=1)
        ],
    }


def _intents(funnel: Any | None) -> dict[str, str]:
    """Return, as SQL, the step of the first funnel that an event is, and how to name it again.

    intents: the step of an event, 0 for none; intent: the event of a step; intent_step: the step of
    a primary_intent. Without a funnel there is no step, and every intent is null.
    """
    if funnel is None:
        return {"intents": "", "intent": f"cast(null as {DuckDb.text})", "intent_step": ""}
    steps = [(number, quote_text(step)) for number, step in enumerate(funnel.steps, start=1)]
    numbers = " ".join(f"when {text} then {number}" for number, text in steps)
    names = " ".join(f"when {number} then {text}" for number, text in steps)
    return {
        "intents": f"case event_name {numbers} else 0 end",
        "intent": f"case step {names} end",
        "intent_step": f"case primary_intent {numbers} else 0 end",
    }
