"""Every operation against brute force, and the laws of a snapshot."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.tiny_log import Event, features_by_hand, frame, logs, tiny_spec
from whyrank.errors import SpecError
from whyrank.features.compiler import compile_features
from whyrank.features.operations import OPERATIONS, OTHER_OPERATIONS
from whyrank.spec.load import parse_spec, spec_text
from whyrank.warehouse.frames import features_of

SPEC = tiny_spec()
DATES = [date(2026, 3, 2), date(2026, 3, 4), date(2026, 3, 9)]


def built(log: list[Event], dates: list[date] = DATES) -> dict[tuple[str, date], dict[str, object]]:
    table, refused = features_of(frame(log), SPEC, as_of=dates, now=datetime(2026, 6, 1))
    assert not refused
    return {(row["user_id"], row["as_of"]): row for row in table.to_pylist()}


def same(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    return a == b


def test_the_tiny_spec_uses_every_operation() -> None:
    assert {f.op for f in SPEC.features} == {*OPERATIONS, *OTHER_OPERATIONS}


@settings(max_examples=examples(15))
@given(log=logs(users=12))
def test_features_equal_brute_force(log: list[Event]) -> None:
    rows = built(log)
    users = {e.user_id for e in log}
    expected = {
        (user, as_of)
        for user in users
        for as_of in DATES
        if any(
            e.user_id == user and e.event_time < datetime(as_of.year, as_of.month, as_of.day)
            for e in log
        )
    }
    assert set(rows) == expected
    for (user, as_of), row in rows.items():
        for name, value in features_by_hand(log, user, as_of).items():
            assert same(row[name], value), (user, as_of, name, row[name], value)


@settings(max_examples=examples(8))
@given(log=logs(users=12), later=logs(users=12), shift=st.integers(0, 3 * 86_400 * 10**6))
def test_events_at_or_after_as_of_change_nothing(
    log: list[Event], later: list[Event], shift: int
) -> None:
    as_of = date(2026, 3, 4)
    midnight = datetime(2026, 3, 4)
    past = [e for e in log if e.event_time < midnight]
    first = min(e.event_time for e in later)
    future = [
        Event(
            e.user_id,
            f"later-{e.event_id}",
            midnight + timedelta(microseconds=shift) + (e.event_time - first),
            e.event_name,
            e.value,
            e.device,
            e.color,
        )
        for e in later
    ]
    if not past:
        return
    assert built(past, [as_of]) == built([*past, *future], [as_of])


@settings(max_examples=examples(6))
@given(log=logs(users=12), seed=st.randoms(use_true_random=False))
def test_order_and_repeated_event_ids_change_nothing(log: list[Event], seed: object) -> None:
    again = [*log, *log[::2]]
    seed.shuffle(again)  # type: ignore[attr-defined]
    assert built(log) == built(again)


def test_attributes_are_taken_as_of_their_time() -> None:
    log = [Event("u0", "1", datetime(2026, 3, 1), "view", None, None, None)]
    users = pd.DataFrame(
        {
            "user_id": ["u0", "u0"],
            "valid_from": [datetime(2026, 3, 2), datetime(2026, 3, 4)],
            "plan": ["free", "paid"],
            "country": ["DE", "FR"],
        }
    )
    dates = [date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4), date(2026, 3, 5)]
    table, _ = features_of(frame(log), SPEC, users=users, as_of=dates, now=datetime(2026, 6, 1))
    rows = {row["as_of"]: row for row in table.to_pylist()}
    # A row holds from its time on: on its own day it is not yet known at 00:00.
    assert [rows[day]["plan"] for day in dates] == ["none", "free", "free", "paid"]
    # A static attribute is taken as known at any time, its latest value.
    assert {rows[day]["country"] for day in dates} == {"FR"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('op = "active_days"', 'op = "median"'), "'median' is not an operation"),
        (('op = "active_days"', 'op = "sum"'), "operation 'sum' needs 'column'"),
        (('op = "active_days"', 'op = "active_days"\nsql = "1"'), "takes no 'sql'"),
        (('sql = "signups > 0', 'sql = "signupz > 0'), "did you mean 'signups'"),
        (('sql = "signups > 0', 'sql = "converted > 0'), "no column 'converted' here"),
        (('where = "is_spam"', 'where = "is_spma"'), "did you mean 'is_spam'"),
        (('column = "account_balance"', 'column = "account_balence"'), "users.attributes"),
        (('where = "not converted"', 'where = "not convertet"'), "did you mean 'converted'"),
        (("null = 0.0", 'null = "none"'), "does not fit a feature of type 'number'"),
    ],
)
def test_a_wrong_feature_is_refused_with_its_fix(change: tuple[str, str], message: str) -> None:
    text = spec_text("saas")
    assert change[0] in text
    with pytest.raises(SpecError, match=message.replace("(", r"\(")):
        compile_features(parse_spec(text.replace(*change, 1), "my.toml"))


def test_expressions_in_a_circle_are_refused() -> None:
    extra = """
[[features]]
name = "a"
op = "expression"
sql = "b + 1"
description = "d"
[[features]]
name = "b"
op = "expression"
sql = "a + 1"
description = "d"
[scorecard.groups.commitment]
"""
    text = spec_text("saas").replace("[scorecard.groups.commitment]\n", extra, 1)
    with pytest.raises(SpecError, match="a -> b -> a"):
        compile_features(parse_spec(text))
