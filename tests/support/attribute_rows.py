"""Users files as they come, one after the other, and what each leaves known, in plain Python."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from hypothesis import strategies as st

Row = tuple[str, str, str]  # user_id, valid_from, plan
SAID = "select user_id, valid_from, attributes from tiny_landing.users order by load_id, line"
DAYS = ("2026-03-01 00:00:00", "2026-03-02 00:00:00")


def files() -> st.SearchStrategy[list[list[Row]]]:
    """A few files of few users and plans, so that values are set back and told again."""
    row = st.tuples(
        st.sampled_from(["ana", "bo"]), st.sampled_from(DAYS), st.sampled_from(["free", "pro"])
    )
    return st.lists(st.lists(row, min_size=1, max_size=5), min_size=1, max_size=5)


def write(path: Path, rows: Iterable[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "valid_from", "plan"])
        writer.writerows(rows)
    return path


def last_said(rows: Iterable[Row]) -> dict[tuple[str, str], str]:
    """The plan that was last given for each user and time."""
    return {(user, since): plan for user, since, plan in rows}


def stored(rows: Iterable[tuple[str, object, str]]) -> dict[tuple[str, str], str]:
    """The same of landing rows (user, valid_from, attributes) in the order of load and line."""
    return last_said((user, str(since), plan.split('"')[3]) for user, since, plan in rows)
