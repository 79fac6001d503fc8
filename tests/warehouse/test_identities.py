"""Links from anonymous ids to users: they take effect as of their time, and never before."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.marts_reference import owner_of
from tests.support.tiny_log import Event, frame, logs, tiny_spec
from whyrank.warehouse.frames import features_of

SPEC = tiny_spec()
NOW = datetime(2026, 6, 1)
LINKED = datetime(2026, 3, 3, 12)


def event(user: str, number: int, when: datetime, name: str = "view") -> Event:
    return Event(user, f"{user}-{number}", when, name, None, None, None)


def links(*rows: tuple[str, str, datetime]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "anonymous_id": [row[0] for row in rows],
            "user_id": [row[1] for row in rows],
            "linked_at": pd.Series([row[2] for row in rows], dtype="datetime64[us]"),
        }
    )


def rows(
    log: list[Event], aliases: pd.DataFrame, *dates: date
) -> dict[tuple[str, date], dict[str, object]]:
    table, _ = features_of(frame(log), SPEC, aliases=aliases, as_of=list(dates), now=NOW)
    return {(row["user_id"], row["as_of"]): row for row in table.to_pylist()}


def test_a_link_counts_from_its_own_time_on() -> None:
    log = [
        event("anon", 1, datetime(2026, 3, 2, 10)),
        event("ana", 1, datetime(2026, 3, 3, 13)),
    ]
    before, on, after = date(2026, 3, 3), date(2026, 3, 4), date(2026, 3, 5)
    found = rows(log, links(("anon", "ana", LINKED)), before, on, after)
    assert {key: row["views"] for key, row in found.items()} == {
        ("anon", before): 1,
        ("ana", on): 2,
        ("ana", after): 2,
    }


def test_a_session_in_which_someone_logs_in_is_one_session_once_known() -> None:
    start = datetime(2026, 3, 3, 11, 50)
    log = [event("anon", i, start + timedelta(minutes=i)) for i in range(5)]
    log += [event("ana", i, start + timedelta(minutes=10 + i)) for i in range(5)]
    found = rows(log, links(("anon", "ana", datetime(2026, 3, 3, 12))), date(2026, 3, 5))
    row = found["ana", date(2026, 3, 5)]
    assert (row["sessions"], row["bounce_rate"]) == (1, 0.0)
    assert len(found) == 1


def test_a_device_with_two_people_is_split_by_time() -> None:
    """The first person keeps what came before the second one's login, and what came before hers."""
    second = datetime(2026, 3, 4, 9, 5)
    log = [
        event("anon", 1, datetime(2026, 3, 1)),
        event("bo", 1, datetime(2026, 3, 1)),
        event("anon", 2, datetime(2026, 3, 2, 10), "click"),
        event("anon", 3, second - timedelta(microseconds=1)),
        event("anon", 4, second),
        event("anon", 5, datetime(2026, 3, 6), "buy"),
    ]
    aliases = links(("anon", "ana", datetime(2026, 3, 2)), ("anon", "bo", second))
    days = [date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 5), date(2026, 3, 7)]
    found = {key: row["views"] for key, row in rows(log, aliases, *days).items()}
    assert found == {
        ("anon", days[0]): 1,
        ("bo", days[0]): 1,
        ("ana", days[1]): 1,
        ("bo", days[1]): 1,
        ("ana", days[2]): 2,
        ("bo", days[2]): 2,
        ("ana", days[3]): 2,
        ("bo", days[3]): 2,
    }


@settings(max_examples=examples(5))
@given(
    log=logs(users=5),
    pairs=st.lists(
        st.tuples(st.sampled_from(["u0", "u1"]), st.sampled_from(["u3", "u4", "new"]),
                  st.integers(0, 6 * 24)),
        max_size=5, unique_by=lambda pair: (pair[0], pair[2]),
    ),
)  # fmt: skip
def test_links_are_as_good_as_a_log_that_names_people(
    log: list[Event], pairs: list[tuple[str, str, int]]
) -> None:
    """By any date: each event under its person's name, as far as links made by then tell."""
    timed = [(a, u, datetime(2026, 3, 1) + timedelta(hours=h)) for a, u, h in pairs]
    for as_of in (date(2026, 3, 4), date(2026, 3, 6)):
        midnight = datetime(as_of.year, as_of.month, as_of.day)
        known = [link for link in timed if link[2] < midnight]
        past = [e for e in log if e.event_time < midnight]
        named = [replace(e, user_id=owner_of(e.user_id, e.event_time, known)) for e in past]
        if past:
            linked, alone = rows(log, links(*timed), as_of), rows(named, links(), as_of)
            for row in (*linked.values(), *alone.values()):
                del row["rate"], row["lag"]  # trials count under the id they were made by
            assert linked == alone


def test_attributes_follow_a_link_and_a_persons_own_go_first() -> None:
    log = [event(user, 1, datetime(2026, 3, 1)) for user in ("anon", "ana", "kiosk", "bo", "cy")]
    people = pd.DataFrame(
        [
            ("anon", "2026-03-01 09:00", "paid", "DE"),
            ("bo", "2026-02-01 00:00", "free", None),
            ("kiosk", "2026-03-01 10:00", "gold", "FR"),
            ("kiosk", "2026-03-03 10:00", "iron", "FR"),
        ],
        columns=["user_id", "valid_from", "plan", "country"],
    )
    aliases = links(
        ("anon", "ana", LINKED),
        ("kiosk", "bo", datetime(2026, 3, 2)),
        ("kiosk", "cy", datetime(2026, 3, 3)),
    )
    days = [date(2026, 3, 3), date(2026, 3, 5)]
    table, _ = features_of(frame(log), SPEC, users=people, aliases=aliases, as_of=days, now=NOW)
    found = {(row["user_id"], row["as_of"]): row["country"] for row in table.to_pylist()}
    # Before the link each id has its own; after it the person has what was told of the id, the
    # two people on the kiosk each what was told while it was theirs.
    assert found == {
        ("anon", days[0]): "DE",
        ("ana", days[0]): None,
        ("bo", days[0]): "FR",
        ("cy", days[0]): None,
        ("ana", days[1]): "DE",
        ("bo", days[1]): "FR",
        ("cy", days[1]): "FR",
    }
    plans = {(row["user_id"], row["as_of"]): row["plan"] for row in table.to_pylist()}
    # Bo's own plan goes before the kiosk's, however old it is.
    assert (plans["bo", days[1]], plans["cy", days[1]]) == ("free", "iron")
    untimed = people.drop(columns="valid_from").iloc[:1]
    table, _ = features_of(frame(log), SPEC, users=untimed, aliases=aliases, as_of=days, now=NOW)
    found = {(row["user_id"], row["as_of"]): row["country"] for row in table.to_pylist()}
    assert (found["anon", days[0]], found["ana", days[1]]) == ("DE", "DE")


@settings(max_examples=examples(4))
@given(
    log=logs(users=5),
    pairs=st.lists(
        st.tuples(st.sampled_from(["u0", "u1", "u2"]), st.sampled_from(["u3", "u4", "new"]),
                  st.integers(0, 6 * 24)),
        max_size=4,
    ),
)  # fmt: skip
def test_links_at_or_after_as_of_change_no_feature(
    log: list[Event], pairs: list[tuple[str, str, int]]
) -> None:
    as_of = date(2026, 3, 4)
    timed = [(a, u, datetime(2026, 3, 1) + timedelta(hours=h)) for a, u, h in pairs]
    known = [link for link in timed if link[2] < datetime(2026, 3, 4)]
    if any(e.event_time < datetime(2026, 3, 4) for e in log):
        assert rows(log, links(*known), as_of) == rows(log, links(*timed), as_of)


@pytest.mark.parametrize("as_of", [date(2026, 3, 9)])
def test_linked_users_equal_one_user_who_was_never_anonymous(as_of: date) -> None:
    start = datetime(2026, 3, 1, 9)
    log = [
        event("anon" if i < 7 else "ana", i, start + timedelta(minutes=17 * i * i), name)
        for i, name in enumerate(["view", "click", "buy", "view", "view", "click", "buy"] * 2)
    ]
    plain = [Event("ana", e.event_id, *list(vars(e).values())[2:]) for e in log]
    linked = rows(log, links(("anon", "ana", datetime(2026, 3, 2))), as_of)
    alone = rows(plain, links(), as_of)
    # The rate looks at trials by the id they were made under, so it is left out here.
    for row in (*linked.values(), *alone.values()):
        del row["rate"], row["lag"]
    assert linked == alone
