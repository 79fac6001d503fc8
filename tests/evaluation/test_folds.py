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
    assert found[-1].test == last
    assert 1 <= len(found) <= folds
    for fold in found:
        assert max(fold.train) + timedelta(days=horizon) == fold.test
        assert list(fold.train) == sorted(set(fold.train))
        assert min(fold.train) > first_event
        assert len(fold.train) <= snapshots
    for before, after in itertools.pairwise(found):
        assert before.test + timedelta(days=horizon) == after.test


def test_a_log_that_is_too_short_is_said() -> None:
    with pytest.raises(DataError, match="load older events, or shorten the horizon"):
        rolling_folds(
            date(2026, 3, 1), horizon_days=90, every_days=30, snapshots=3, folds=1,
            first_event=date(2026, 1, 1),
        )  # fmt: skip
    with pytest.raises(DataError, match="it needs training dates, all before the test"):
        Fold(date(2026, 1, 1), (date(2026, 1, 1),))
