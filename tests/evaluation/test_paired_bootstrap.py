"""Bootstrap replicates of every metric: against users drawn one by one, and with few positives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from whyrank.errors import DataError
from whyrank.evaluation.comparison import compare
from whyrank.evaluation.fold_scores import FoldScores
from whyrank.evaluation.paired_bootstrap import PROBABILITY_METRICS, RANKING, replicate
from whyrank.evaluation.probability_metrics import calibration_bins, calibration_groups
from whyrank.evaluation.ranking_metrics import lift_at, ndcg_at, precision_at
from whyrank.evaluation.thresholds import Costs
from whyrank.reports.comparison_text import comparison_table

METRICS = (*RANKING, *PROBABILITY_METRICS)
COSTS = Costs(3.0, 7.0)
ACTING = tuple(
    f"{rule}/{what}"
    for rule in ("at_capacity", "at_cost")
    for what in ("share", "precision", "recall", "profit")
)


def fold(seed: int, n: int, positives: int, name: str) -> FoldScores:
    rng = np.random.default_rng(seed)
    labels = np.zeros(n, dtype=bool)
    labels[rng.choice(n, positives, replace=False)] = True
    fine = rng.normal(size=n) + labels
    raw_scores = {"scorecard": np.round(fine), "fine": fine}
    probabilities = {s: 1 / (1 + np.exp(-(m - 2))) for s, m in raw_scores.items()}
    users = rng.permutation(n + n // 2)[:n].astype(np.int64)
    return FoldScores(name, users, labels, raw_scores, probabilities, dict.fromkeys(raw_scores))


def by_hand(test: FoldScores, name: str, rows: np.ndarray, capacity: float) -> dict[str, float]:
    """Every metric of drawn users, who stand in the sample as often as they were drawn."""
    raw_score, label = test.raw_scores[name][rows], test.labels[rows]
    probability = test.probabilities[name][rows]
    group = calibration_groups(test.probabilities[name])[rows]
    away = [abs((probability - label)[group == g].sum()) for g in range(10)]
    acting = {}
    for rule, upon in (("at_capacity", raw_score >= 1.5), ("at_cost", probability >= 3 / 7)):
        acting |= {
            f"{rule}/share": upon.mean(),
            f"{rule}/precision": label[upon].mean() if upon.any() else np.nan,
            f"{rule}/recall": upon[label].mean(),
            f"{rule}/profit": np.where(upon, np.where(label, 4.0, -3.0), 0.0).mean(),
        }
    return acting | {
        "roc_auc": roc_auc_score(label, raw_score),
        "average_precision": average_precision_score(label, raw_score),
        "lift": lift_at(raw_score, label, capacity),
        "precision": precision_at(raw_score, label, capacity),
        "ndcg": ndcg_at(raw_score, label, capacity),
        "brier": float(((probability - label) ** 2).mean()),
        "log_loss": log_loss(label, probability),
        "calibration_error": sum(away) / len(rows),
    }


def test_replicates_measure_users_drawn_one_by_one() -> None:
    tests = [fold(1, 400, 60, "a"), fold(2, 500, 90, "b")]
    tests = [replace(test, thresholds=dict.fromkeys(test.raw_scores, 1.5)) for test in tests]
    n_boot, capacity = 53, 0.15  # not a whole number of batches
    metrics = (*METRICS, *ACTING)
    found = replicate(tests, metrics, capacity, n_boot, np.random.default_rng(7), COSTS)
    known = sorted({int(user) for test in tests for user in test.users})
    rng = np.random.default_rng(7)
    for draw in range(n_boot):
        drawn = [known[place] for place in rng.integers(0, len(known), len(known))]
        for place, test in enumerate(tests):
            row_of = {int(user): row for row, user in enumerate(test.users)}
            rows = np.array([row_of[user] for user in drawn if user in row_of])
            for column, name in enumerate(test.raw_scores):
                expected = by_hand(test, name, rows, capacity)
                told = dict(zip(metrics, found[draw, place, column], strict=True))
                assert told == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_three_positives_still_give_intervals_and_say_what_was_left_out() -> None:
    """A draw of 300 of 300 misses all three with a chance of (1 - 1/100)^300, one in twenty."""
    tests = [fold(3, 300, 3, "few"), fold(4, 300, 40, "many")]
    found = compare(tests, reference="scorecard", n_boot=400, rng=np.random.default_rng(0))
    # 400 draws at 4.9%: 20 of them, standard error 4.3.
    assert 3 < 400 - found.valid_replicates["few"] < 38
    assert found.valid_replicates["many"] == 400
    assert found.valid_replicates["pooled"] == found.valid_replicates["few"]
    lost = 400 - found.valid_replicates["few"]
    said = f"{lost} of 400 replicates drew one class only and were left out, so {400 - lost} count"
    assert said in "\n".join(comparison_table(found))
    for estimates in (*found.by_fold.values(), found.pooled):
        for estimate in estimates["fine"].values():
            assert np.isfinite([estimate.value, estimate.low, estimate.high]).all()
        # Moved to lie around the value, as is said of calibration errors, though draws are missing.
        error = estimates["fine"]["calibration_error"]
        assert error.low < error.value < error.high
    for where in ("last_fold", "pooled"):
        difference = found.difference(where, "roc_auc", "fine", "scorecard")
        assert np.isfinite([*difference.interval, *difference.family]).all()
        assert difference.family[0] < difference.value < difference.family[1]


def test_a_draw_that_misses_a_class_counts_for_no_metric() -> None:
    """Without a negative, there is a precision and no area: neither says anything of ranking."""
    base = fold(6, 40, 38, "nearly all")
    found = replicate([base], METRICS, 0.1, 400, np.random.default_rng(0))[:, 0]
    lost = np.isnan(found[..., 0]).all(axis=1)
    # A draw of 40 of 40 misses both negatives with a chance of (1 - 1/20)^40, 13%.
    assert 20 < lost.sum() < 84
    assert np.isnan(found[lost]).all()
    assert np.isfinite(found[~lost]).all()


def test_intervals_from_a_minority_of_replicates_are_refused() -> None:
    one = fold(5, 300, 1, "one")
    labels = np.concatenate([one.labels, np.zeros(3000, dtype=bool)])
    users = np.arange(len(labels))
    rng = np.random.default_rng(0)
    raw_scores = {"scorecard": rng.normal(size=len(labels))}
    none = {"scorecard": None}
    # Four tests of one positive each, of other users: all are drawn 16% of the time.
    tests = [
        FoldScores(str(i), users + i * len(labels), labels, raw_scores, {}, none) for i in range(4)
    ]
    with pytest.raises(DataError, match="drew one class only: there are too few positives"):
        compare(tests, reference="scorecard", n_boot=100, rng=rng)


def test_every_metric_has_an_interval_around_it_on_every_test_and_pooled() -> None:
    tests = [fold(1, 900, 90, "a"), fold(2, 900, 90, "b")]
    found = compare(tests, reference="scorecard", n_boot=200, rng=np.random.default_rng(0))
    for estimates in (*found.by_fold.values(), found.pooled):
        for name in ("scorecard", "fine"):
            assert set(estimates[name]) == set(METRICS)
            for estimate in estimates[name].values():
                assert estimate.low <= estimate.value <= estimate.high
    for metric in METRICS:
        found.difference("pooled", metric, "fine", "scorecard")
    for test in tests:
        said, came, size = calibration_bins(test.probabilities["fine"], test.labels)
        expected = np.average(np.abs(said - came), weights=size)
        estimate = found.by_fold[test.name]["fine"]["calibration_error"]
        assert estimate.value == pytest.approx(expected)


def test_chances_are_compared_only_where_every_scorer_has_them() -> None:
    whole, one = fold(1, 400, 60, "a"), fold(2, 400, 60, "b")
    bare = replace(one, probabilities={})
    half = replace(one, probabilities={"fine": one.probabilities["fine"]})
    for tests in ([bare], [half], [whole, bare], [half, whole], [whole, half]):
        found = compare(tests, reference="scorecard", n_boot=50, rng=np.random.default_rng(0))
        assert set(found.pooled["fine"]) == set(RANKING)
    found = compare([whole, one], reference="scorecard", n_boot=50, rng=np.random.default_rng(0))
    assert set(found.pooled["fine"]) == {*RANKING, *PROBABILITY_METRICS}


def test_intervals_of_the_brier_score_are_those_of_a_mean() -> None:
    test = fold(6, 2000, 300, "a")
    found = compare([test], reference="scorecard", n_boot=2000, rng=np.random.default_rng(0))
    terms = (test.probabilities["fine"] - test.labels) ** 2
    estimate = found.last_fold["fine"]["brier"]
    # A mean's standard error; 2,000 replicates know the width of an interval to about 3%.
    assert (estimate.high - estimate.low) / (2 * 1.96) == pytest.approx(
        terms.std() / np.sqrt(len(terms)), rel=0.1
    )
