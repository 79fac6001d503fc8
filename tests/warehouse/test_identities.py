"""Links from anonymous ids to users: they take effect as of their time, and never before."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.worlds import Event, frame, logs, tiny_spec
from whyrank.pipeline.frames import features_of

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


def test_a_link_given_later_moves_an_id_to_another_user() -> None:
    log = [event("anon", 1, datetime(2026, 3, 1)), event("bo", 1, datetime(2026, 3, 1))]
    aliases = links(("anon", "ana", datetime(2026, 3, 2)), ("anon", "bo", datetime(2026, 3, 4)))
    days = [date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 5)]
    found = {key: row["views"] for key, row in rows(log, aliases, *days).items()}
    assert found == {
        ("anon", days[0]): 1,
        ("bo", days[0]): 1,
        ("ana", days[1]): 1,
        ("bo", days[1]): 1,
        ("bo", days[2]): 2,
    }


@settings(max_examples=8)
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
        del row["rate"]
    assert linked == alone
