"""Folds: the embargo, by property."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyrank.errors import DataError
from whyrank.evaluation.folds import Fold, rolling_folds


@given(
    st.dates(date(2017, 1, 1), date(2019, 1, 1)),
    st.integers(1, 200),
    st.integers(1, 60),
    st.integers(1, 12),
    st.integers(1, 6),
)
def test_no_training_outcome_reaches_past_its_test(
    last: date, horizon: int, every: int, snapshots: int, folds: int
) -> None:
    first_event = date(2016, 9, 1)
    try:
        found = rolling_folds(
            last, horizon_days=horizon, every_days=every, snapshots=snapshots, folds=folds,
            first_event=first_event,
        )  # fmt: skip
    except DataError:
        assert last - timedelta(days=horizon) <= first_event
        return
    assert found[-1].cutoff == last
    assert 1 <= len(found) <= folds
    for fold in found:
        assert max(fold.train) + timedelta(days=horizon) == fold.cutoff
        assert list(fold.train) == sorted(set(fold.train))
        assert min(fold.train) > first_event
        assert len(fold.train) <= snapshots
    for before, after in itertools.pairwise(found):
        assert before.cutoff + timedelta(days=horizon) == after.cutoff


@pytest.mark.parametrize(("first", "kept"), [(1, 3), (2, 2), (5, 2), (6, 2), (7, 1), (11, 1)])
def test_a_snapshot_knows_at_least_the_day_of_the_first_event(first: int, kept: int) -> None:
    """Training dates of 2, 7 and 12 March know what came before them, on the 1st, the 6th, …"""
    (found,) = rolling_folds(
        date(2026, 3, 22), horizon_days=10, every_days=5, snapshots=3, folds=1,
        first_event=date(2026, 3, first),
    )  # fmt: skip
    assert [day.day for day in found.train] == [2, 7, 12][-kept:]


def test_a_log_that_is_too_short_is_said() -> None:
    with pytest.raises(DataError, match="as of 2026-03-12, and the first event is of 2026-03-12"):
        rolling_folds(
            date(2026, 3, 22), horizon_days=10, every_days=5, snapshots=3, folds=1,
            first_event=date(2026, 3, 12),
        )  # fmt: skip
    with pytest.raises(DataError, match="load older events, or shorten the horizon"):
        rolling_folds(
            date(2026, 3, 1), horizon_days=90, every_days=30, snapshots=3, folds=1,
            first_event=date(2026, 1, 1),
        )  # fmt: skip
    day = date(2026, 1, 1)
    for train in ((), (day,), (date(2025, 12, 1), day), (day, date(2025, 12, 1))):
        with pytest.raises(DataError, match="it needs training dates, all before the cutoff"):
            Fold(day, train)
