"""The catalogue of operations: what each keeps per user and day, and how days become a value.

An operation exists only with a state (an aggregate of one user's day), a merge and a finish (an
aggregate over days). That is why there is no median: it has no state smaller than its data.

A window of n days takes the whole UTC days [as_of - n, as_of). A state belongs to the day of its
event; a session's state to the day on which the session closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..spec.expressions import quote_text
from ..spec.model import FeatureSpec

Source = Literal["event", "session"]


@dataclass(frozen=True)
class State:
    """An aggregate of one user's day: a column of user_days.

    `sql` aggregates rows of events (or sessions, by `source`); `empty` is its value on a day
    without such rows, as SQL.
    """

    kind: str
    sql: str
    source: Source
    empty: str


@dataclass(frozen=True)
class Operand:
    """What an operation works on, as SQL: a row filter and a column."""

    where: str
    column: str


@dataclass(frozen=True)
class Operation:
    """One operation of the catalogue.

    states: the states it needs, given its operand. finish: its value as SQL, given each state's
    column by kind and the condition that a day lies in the window. needs: the keys of a feature
    that it requires; takes: those it allows besides.
    """

    name: str
    description: str
    source: Source
    states: Callable[[Operand], tuple[State, ...]]
    finish: Callable[[Mapping[str, str], str], str]
    needs: frozenset[str] = frozenset()
    takes: frozenset[str] = field(default=frozenset({"events", "where", "window", "min_gap"}))
    null: str | None = None


def _count(source: Source) -> Callable[[Operand], tuple[State, ...]]:
    def states(on: Operand) -> tuple[State, ...]:
        return (count_state(on.where, source),)

    return states


def _filter(condition: str) -> str:
    return "" if condition == "true" else f" filter (where {condition})"


def _total(column: str, window: str, kind: str = "bigint") -> str:
    return f"cast(coalesce(sum({column}){_filter(window)}, 0) as {kind})"


def exact(column: str) -> str:
    """Write a column so that its total does not depend on the order of adding.

    Sums of doubles differ in the last digits with every plan and engine; millionths as integers
    do not, and ingest keeps values within what fits.
    """
    return f"try_cast({column} as decimal(18, 6))"


def _sum_states(source: Source) -> Callable[[Operand], tuple[State, ...]]:
    def states(on: Operand) -> tuple[State, ...]:
        return (sum_state(on.column, on.where, source),)

    return states


def names_in(names: Sequence[str]) -> str:
    """Return the condition that an event has one of these names.

    >>> names_in(["view", "click"])
    "event_name in ('view', 'click')"
    """
    if len(names) == 1:
        return f"event_name = {quote_text(names[0])}"
    return f"event_name in ({', '.join(quote_text(name) for name in names)})"


def count_state(where: str, source: Source = "event") -> State:
    """Return the state that counts the day's rows that meet a condition ("true": all)."""
    return State("n", f"count(*){_filter(where)}", source, "0")


def sum_state(column: str, where: str, source: Source = "event") -> State:
    """Return the state that adds up a column of the day's rows that meet a condition."""
    return State("sum", f"sum({exact(column)}){_filter(where)}", source, "null")


def _mean_states(source: Source) -> Callable[[Operand], tuple[State, ...]]:
    def states(on: Operand) -> tuple[State, ...]:
        counted = State("n_sum", f"count({exact(on.column)}){_filter(on.where)}", source, "0")
        return (*_sum_states(source)(on), counted)

    return states


def _extreme(name: str) -> Callable[[Operand], tuple[State, ...]]:
    def states(on: Operand) -> tuple[State, ...]:
        return (State(name, f"{name}({on.column}){_filter(on.where)}", "event", "null"),)

    return states


def _latest(on: Operand) -> tuple[State, ...]:
    sql = f"arg_max({on.column}, (event_time, event_id)){_filter(on.where)}"
    return (State("latest", sql, "event", "null"),)


def _share_states(source: Source) -> Callable[[Operand], tuple[State, ...]]:
    def states(on: Operand) -> tuple[State, ...]:
        return (
            *_count(source)(on),
            State("n_all", "count(*)", source, "0"),
        )

    return states


def _mean(s: Mapping[str, str], window: str) -> str:
    total = f"cast(sum({s['sum']}){_filter(window)} as double)"
    return f"{total} / nullif({_total(s['n_sum'], window)}, 0)"


def _share(s: Mapping[str, str], window: str) -> str:
    whole = f"nullif({_total(s['n_all'], window)}, 0)"
    return f"cast({_total(s['n'], window)} as double) / {whole}"


def _seen_days(s: Mapping[str, str], window: str) -> str:
    return f"{s['n']} > 0" if window == "true" else f"{s['n']} > 0 and {window}"


_EVENT_KEYS = frozenset({"events", "where", "window", "min_gap"})
_SESSION_KEYS = frozenset({"where", "window"})
_COLUMN = frozenset({"column"})

OPERATIONS: dict[str, Operation] = {
    op.name: op
    for op in (
        Operation(
            "count",
            "number of events",
            "event",
            _count("event"),
            lambda s, w: _total(s["n"], w),
        ),
        Operation(
            "sum",
            "total of a column over events; nothing to add is 0",
            "event",
            _sum_states("event"),
            lambda s, w: _total(s["sum"], w, "double"),
            needs=_COLUMN,
        ),
        Operation(
            "mean",
            "mean of a column over events that have it; null when none has",
            "event",
            _mean_states("event"),
            _mean,
            needs=_COLUMN,
        ),
        Operation(
            "min",
            "smallest value of a column; null when no event has it",
            "event",
            _extreme("min"),
            lambda s, w: f"min({s['min']}){_filter(w)}",
            needs=_COLUMN,
        ),
        Operation(
            "max",
            "largest value of a column; null when no event has it",
            "event",
            _extreme("max"),
            lambda s, w: f"max({s['max']}){_filter(w)}",
            needs=_COLUMN,
        ),
        Operation(
            "active_days",
            "number of UTC days with such an event",
            "event",
            _count("event"),
            lambda s, w: f"count(*) filter (where {_seen_days(s, w)})",
        ),
        Operation(
            "days_since_last",
            "whole days from the last such event to as_of: 0 is the day before; null when none",
            "event",
            _count("event"),
            lambda s, w: (
                "cast(date_diff('day', "
                f"max(d.day) filter (where {_seen_days(s, w)}), a.as_of) as bigint) - 1"
            ),
        ),
        Operation(
            "days_since_first",
            "whole days from the first such event to as_of; null when none",
            "event",
            _count("event"),
            lambda s, w: (
                "cast(date_diff('day', "
                f"min(d.day) filter (where {_seen_days(s, w)}), a.as_of) as bigint) - 1"
            ),
        ),
        Operation(
            "share",
            "share of all the user's events in the window; null without events",
            "event",
            _share_states("event"),
            _share,
        ),
        Operation(
            "latest",
            "value of a column at the latest event that has it, by (event_time, event_id)",
            "event",
            _latest,
            lambda s, w: f"arg_max({s['latest']}, d.day){_filter(w)}",
            needs=_COLUMN,
        ),
        Operation(
            "sessions",
            "number of sessions closed",
            "session",
            _count("session"),
            lambda s, w: _total(s["n"], w),
            takes=_SESSION_KEYS,
        ),
        Operation(
            "session_share",
            "share of the closed sessions that meet `where`; null without sessions",
            "session",
            _share_states("session"),
            _share,
            needs=frozenset({"where"}),
            takes=_SESSION_KEYS,
        ),
        Operation(
            "session_sum",
            "total of a session column over closed sessions; nothing to add is 0",
            "session",
            _sum_states("session"),
            lambda s, w: _total(s["sum"], w, "double"),
            needs=_COLUMN,
            takes=_SESSION_KEYS,
        ),
        Operation(
            "session_mean",
            "mean of a session column over closed sessions; null without sessions",
            "session",
            _mean_states("session"),
            _mean,
            needs=_COLUMN,
            takes=_SESSION_KEYS,
        ),
    )
}

OTHER_OPERATIONS: dict[str, tuple[str, frozenset[str], frozenset[str]]] = {
    "distinct": (
        "number of different values of a column",
        _COLUMN,
        _EVENT_KEYS,
    ),
    "most_frequent": (
        "value of a column that most events have; of equally frequent ones the one seen on the "
        "later day, then the last in the alphabet; null when no event has one",
        _COLUMN,
        _EVENT_KEYS,
    ),
    "attribute": (
        "the user's attribute known at as_of; null when none is",
        _COLUMN,
        frozenset(),
    ),
    "expression": (
        "an SQL expression over other features",
        frozenset({"sql"}),
        frozenset(),
    ),
    "entity_rate": (
        "how often those with the user's latest entity (a column) went on to an outcome event "
        "within some days, among occurrences closed before as_of, smoothed toward the overall rate",
        frozenset({"column", "outcome", "within"}),
        frozenset({"events", "where", "min_gap", "smoothing"}),
    ),
    "entity_mean": (
        "mean of a second column (`of`) over all users' events with the user's latest entity (a "
        "column), smoothed toward the overall mean",
        frozenset({"column", "of"}),
        frozenset({"events", "where", "smoothing"}),
    ),
    "entity_count": (
        "how often the user's latest entity (a column) occurred so far, with all users; null "
        "without an entity",
        _COLUMN,
        frozenset({"events", "where"}),
    ),
}
ENTITY_OPERATIONS = frozenset({"entity_rate", "entity_mean", "entity_count"})

KEYS = frozenset(
    {"events", "where", "column", "window", "min_gap", "sql", "outcome", "within", "of"}
)


def given_keys(feature: FeatureSpec) -> frozenset[str]:
    """Return which of the keys that operations differ in a feature sets."""
    return frozenset(key for key in KEYS if getattr(feature, key) not in (None, ()))
