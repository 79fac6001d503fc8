"""Intervals and differences from replicates that are given: against numpy and a brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from whyrank.errors import DataError
from whyrank.evaluation.differences import BootstrapSample
from whyrank.stats.bootstrap import percentile_interval, resampled_counts

NAMES = ("card", "one", "two", "floor")
METRICS = ("roc_auc", "brier")
VALUES = np.random.default_rng(3).exponential(size=(999, 4, 2)) ** 2  # no interval is symmetric
POINTS = {
    name: {metric: float(VALUES[:, i, m].mean()) for m, metric in enumerate(METRICS)}
    for i, name in enumerate(NAMES)
}


def drawn(level: float) -> BootstrapSample:
    return BootstrapSample(NAMES, METRICS, POINTS, VALUES, len(VALUES), level)


def ends(values: np.ndarray, level: float) -> tuple[float, float]:
    """Leave as many of the sorted values out below as above."""
    low, high = np.percentile(values, [50 - 50 * level, 50 + 50 * level])
    return float(low), float(high)


def reach_of(columns: np.ndarray, level: float) -> float:
    """How many standard errors hold all columns at once, in a share `level` of the draws."""
    worst = [
        max(abs(row[j] - columns[:, j].mean()) / columns[:, j].std() for j in range(len(row)))
        for row in columns
    ]
    return float(np.quantile(worst, level))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_estimates_have_the_percentiles_of_their_replicates(level: float) -> None:
    found = drawn(level).estimates()
    for (i, name), (m, metric) in itertools.product(enumerate(NAMES), enumerate(METRICS)):
        estimate = found[name][metric]
        assert estimate.value == POINTS[name][metric]
        assert (estimate.low, estimate.high) == pytest.approx(ends(VALUES[:, i, m], level))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_differences_are_paired_and_a_base_has_all_others_as_its_family(level: float) -> None:
    found = {(d.metric, d.first, d.second): d for d in drawn(level).differences(["card", "floor"])}
    assert len(found) == 2 * 6
    for m, metric in enumerate(METRICS):
        for i, j in itertools.combinations(range(4), 2):
            told = found[metric, NAMES[i], NAMES[j]]
            away = VALUES[:, i, m] - VALUES[:, j, m]
            value = POINTS[NAMES[i]][metric] - POINTS[NAMES[j]][metric]
            assert told.value == pytest.approx(value)
            assert told.interval == pytest.approx(ends(away, level))
            base = next((b for b in (0, 3) if b in {i, j}), None)  # the card's before the floor's
            if base is None:
                assert (told.family, told.family_size) == (told.interval, 1)
                continue
            others = [k for k in range(4) if k != base]
            wide = reach_of(VALUES[:, others, m] - VALUES[:, [base], m], level) * away.std()
            assert told.family == pytest.approx((value - wide, value + wide))
            assert told.family_size == 3


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_pairs_and_metrics_that_are_asked_for_are_one_family(level: float) -> None:
    pairs = [("one", "card"), ("two", "floor"), ("two", "one")]
    found = drawn(level).family(pairs, METRICS)
    places = {name: i for i, name in enumerate(NAMES)}
    columns = np.column_stack([
        VALUES[:, places[a], m] - VALUES[:, places[b], m] for a, b in pairs for m in range(2)
    ])  # fmt: skip
    assert [(d.first, d.second, d.metric) for d in found] == [
        (a, b, metric) for a, b in pairs for metric in METRICS
    ]
    for told, away in zip(found, columns.T, strict=True):
        wide = reach_of(columns, level) * away.std()
        assert told.interval == pytest.approx(ends(away, level))
        assert told.family == pytest.approx((told.value - wide, told.value + wide))
        assert told.family_size == 6
        assert told.value == POINTS[told.first][told.metric] - POINTS[told.second][told.metric]
    assert drawn(level).family([], METRICS) == ()


def test_half_of_the_replicates_have_to_count() -> None:
    assert BootstrapSample(NAMES, METRICS, POINTS, VALUES[:10], 20, 0.95).n_boot == 20
    with pytest.raises(DataError, match="11 of 21 bootstrap replicates drew one class only"):
        BootstrapSample(NAMES, METRICS, POINTS, VALUES[:10], 21, 0.95)
    half = np.array([1.0, 2.0, np.nan, np.nan])
    assert percentile_interval(half, 0.5) == (1.25, 1.75)
    with pytest.raises(DataError, match="3 of 5 bootstrap replicates"):
        percentile_interval(np.append(half, np.nan), 0.5)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 95.0, float("nan")])
def test_a_level_lies_between_0_and_1(level: float) -> None:
    with pytest.raises(DataError, match=r"level = .*: must lie between 0 and 1, such as 0\.95"):
        percentile_interval(VALUES[:, 0, 0], level)


@pytest.mark.parametrize(("users", "times"), [(0, 5), (3, 0), (0, 0), (3, -1)])
def test_nobody_or_no_replicate_is_refused(users: int, times: int) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match=rf"bootstrap of {users} users, {times} times: both must"):
        next(resampled_counts(np.array([users, 0]), times, rng))


def test_one_user_is_drawn_every_time() -> None:
    (batch,) = resampled_counts(np.array([0, 1]), 3, np.random.default_rng(0))
    assert batch.tolist() == [[0, 1]] * 3


def test_batches_are_as_one_and_hold_a_replicate_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = np.arange(7)

    def every() -> np.ndarray:
        batches = list(resampled_counts(sizes, 10, np.random.default_rng(4)))
        assert all(len(batch) >= 1 for batch in batches)
        return np.concatenate(batches)

    whole = every()
    assert whole.shape == (10, 7)
    assert (whole.sum(axis=1) == sizes.sum()).all()
    for cells in (1, 8, 21):  # fewer than a row, a row, three rows
        monkeypatch.setattr("whyrank.stats.bootstrap.BATCH_CELLS", cells)
        assert (every() == whole).all()


@pytest.mark.parametrize("metric", METRICS)
def test_no_difference_makes_nobody_the_better_one(metric: str) -> None:
    values = np.repeat(VALUES[:, :1], len(NAMES), axis=1)
    same = dict.fromkeys(NAMES, POINTS["card"])
    sample = BootstrapSample(NAMES, METRICS, same, values, len(values), 0.9)
    (found,) = sample.family([("one", "two")], (metric,))
    assert found.value == 0
    assert not found.better
    assert not found.reversed().better
