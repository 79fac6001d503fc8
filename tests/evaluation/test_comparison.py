"""Comparison of scorers: against scikit-learn, users drawn one by one, and planted differences."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, ndcg_score
from sklearn.metrics import log_loss as sklearn_log_loss

from whyrank.errors import DataError
from whyrank.evaluation.chances import brier, calibration_bins, calibration_error, log_loss
from whyrank.evaluation.comparison import FoldScores, _cells, compare, from_dict, to_dict
from whyrank.evaluation.ranking import (
    average_precision,
    group_by_score,
    lift_at,
    metrics_of_groups,
    ndcg_at,
    roc_auc,
)
from whyrank.evaluation.sentinels import future_events, pure_noise, shuffled_labels, too_good


def fold(
    seed: int, signal: dict[str, float], n: int = 4000, name: str = "2026-01-01"
) -> FoldScores:
    """A test on which each scorer sees the same signal, more or less of it."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    labels = rng.random(n) < 1 / (1 + np.exp(-(truth - 3)))
    margins = {s: share * truth + rng.normal(size=n) for s, share in signal.items()}
    chances = {s: 1 / (1 + np.exp(-(m - 3))) for s, m in margins.items()}
    users = rng.permutation(2 * n)[:n].astype(np.int64)
    return FoldScores(name, users, labels, margins, chances, dict.fromkeys(signal, 1.0))


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=3, max_size=40),
    st.floats(0.05, 0.95),
)
def test_merged_cells_measure_what_every_score_measures(
    users: list[tuple[int, bool]], k: float
) -> None:
    score = np.array([float(s) for s, _ in users])
    label = np.array([y for _, y in users])
    label[:2] = [True, False]
    cell, n_cells = _cells(score, label)
    merged = group_by_score(-cell.astype(float), label)
    assert n_cells <= 2 * label.sum() + 1
    expected = (roc_auc(score, label), average_precision(score, label), lift_at(score, label, k))
    assert metrics_of_groups(merged, k) == pytest.approx(expected, abs=1e-12)


def test_probability_metrics_equal_scikit_learns() -> None:
    found = fold(0, {"a": 1.0})
    chance, labels = found.chances["a"], found.labels
    assert brier(chance, labels) == pytest.approx(brier_score_loss(labels, chance))
    assert log_loss(chance, labels) == pytest.approx(sklearn_log_loss(labels, chance))
    for k in (10, 400, 4000):
        expected = ndcg_score([labels.astype(float)], [found.margins["a"]], k=k)
        assert ndcg_at(found.margins["a"], labels, k) == pytest.approx(expected)
    ties = np.round(found.margins["a"])
    assert ndcg_at(ties, labels, 500) == pytest.approx(
        ndcg_score([labels.astype(float)], [ties], k=500)
    )


def test_calibration_error_is_zero_for_true_chances_up_to_sampling() -> None:
    rng = np.random.default_rng(1)
    chance = rng.beta(1, 9, 20_000)
    labels = rng.random(20_000) < chance
    said, came, size = calibration_bins(chance, labels)
    error = np.sqrt(came * (1 - came) / size)
    assert (np.abs(said - came) <= 4 * error).all()
    assert calibration_error(np.clip(2 * chance, 0, 1), labels) > 0.05


def test_a_planted_difference_is_detected_and_none_is_not() -> None:
    folds = [fold(s, {"scorecard": 0.5, "better": 2.0, "same": 0.5}, name=str(s)) for s in (1, 2)]
    found = compare(
        folds, reference="scorecard", eligible=["better", "same"], n_boot=300,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    better = found.difference("pooled", "roc_auc", "better", "scorecard")
    assert better.detected
    assert better.value > 0
    assert better.family[0] <= better.interval[0] + 0.01
    assert better.words().startswith("better ranks better than scorecard (+")
    same = found.difference("pooled", "roc_auc", "same", "scorecard")
    assert not same.detected
    assert "no detectable difference between same and scorecard" in same.words()
    assert found.chosen == "better"
    assert "ROC AUC better ranks better than scorecard" in found.verdict()
    worse = found.difference("tested", "roc_auc", "scorecard", "better")
    assert worse.words().startswith("scorecard ranks worse than better")
    again = from_dict(json.loads(json.dumps(to_dict(found))))
    assert again == found


def test_intervals_of_equal_scorers_cover_zero_as_often_as_they_say() -> None:
    """Two scorers of the same worth, 60 worlds: 95% intervals miss zero in 0 to 8 of them.

    A binomial(60, 0.05) exceeds 8 once in 600 times.
    """
    missed = 0
    for seed in range(60):
        found = compare(
            [fold(100 + seed, {"scorecard": 1.0, "other": 1.0}, n=1500)],
            reference="scorecard", n_boot=120, rng=np.random.default_rng(seed),
        )  # fmt: skip
        low, high = found.difference("tested", "roc_auc", "other", "scorecard").interval
        missed += not low <= 0 <= high
    assert missed <= 8


def test_pooled_replicates_draw_a_user_once_for_all_tests() -> None:
    """The same test twice, with the same users: pooling adds nothing, so the interval stays."""
    one = fold(3, {"scorecard": 0.5, "other": 1.0})
    twin = FoldScores("again", one.users, one.labels, one.margins, one.chances, one.thresholds)
    stranger = FoldScores(
        "strangers", one.users + 8000, one.labels, one.margins, one.chances, one.thresholds
    )

    def width(folds: list[FoldScores]) -> float:
        found = compare(folds, reference="scorecard", n_boot=400, rng=np.random.default_rng(1))
        estimate = found.pooled["other"]["roc_auc"]
        return estimate.high - estimate.low

    alone = width([one])
    assert width([one, twin]) == pytest.approx(alone, rel=0.15)
    assert width([one, stranger]) == pytest.approx(alone / np.sqrt(2), rel=0.15)


def test_thresholds_of_the_test_before_are_told_on_this_one() -> None:
    found = fold(5, {"scorecard": 1.0})
    told = compare([found], reference="scorecard", n_boot=20, rng=np.random.default_rng(0)).folds[
        found.name
    ]["scorecard"]
    flagged = found.margins["scorecard"] >= 1.0
    assert told["flagged_share"] == flagged.mean()
    assert told["threshold_precision"] == found.labels[flagged].mean()
    assert told["threshold_recall"] == found.labels[flagged].sum() / found.labels.sum()


def test_what_cannot_be_compared_is_refused() -> None:
    first, second = fold(1, {"scorecard": 1.0}), fold(2, {"other": 1.0}, name="b")
    with pytest.raises(DataError, match="test b: its scorers are not those of 2026-01-01"):
        compare([first, second], reference="scorecard", rng=np.random.default_rng(0))


# --- sentinels: an honest pipeline passes, a leaking one fails ---------------------------------


def linear_fit(matrix: np.ndarray, labels: np.ndarray) -> object:
    """Means of the classes apart, as a direction: quick, and enough to learn or to remember."""
    slope = matrix[labels].mean(axis=0) - matrix[~labels].mean(axis=0)
    return lambda other: other @ slope


def memory_fit(matrix: np.ndarray, labels: np.ndarray) -> object:
    """The nearest neighbour: remembers every row."""
    from sklearn.neighbors import KNeighborsClassifier

    fitted = KNeighborsClassifier(1).fit(matrix, labels)
    return lambda other: fitted.predict_proba(other)[:, 1]


def split(seed: int = 0, n: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, 3)).astype(np.float32)
    labels = rng.random(n) < 1 / (1 + np.exp(-(matrix[:, 0] - 1)))
    return matrix, labels, rng.integers(0, 3, n)


def test_shuffled_labels_pass_honest_fits_and_catch_one_that_knows_the_truth() -> None:
    train, test = split(1), split(2)
    rng = np.random.default_rng(0)
    honest = shuffled_labels(linear_fit, train, test[:2], rng=rng)  # type: ignore[arg-type]
    assert honest.passed, str(honest)

    def leaking(matrix: np.ndarray, labels: np.ndarray) -> object:
        del matrix, labels
        return linear_fit(train[0], train[1])  # the labels come in by another way

    caught = shuffled_labels(leaking, train, test[:2], rng=rng)  # type: ignore[arg-type]
    assert not caught.passed
    assert str(caught).startswith("FAILED  shuffled labels: mean ROC AUC 0.7")


def test_shuffled_labels_rank_nothing_even_where_positives_are_rare_and_lie_apart() -> None:
    """Conversions in a thin corner, 2% of users: fits of unbalanced labels would be off 0.5."""
    from whyrank.models.classifier import RankingClassifier

    rng = np.random.default_rng(7)
    matrix = rng.exponential(size=(4000, 3)).astype(np.float32) ** 2
    labels = rng.random(4000) < np.clip(matrix[:, 0] / 60, 0, 0.9)

    def fit(rows: np.ndarray, mixed: np.ndarray) -> object:
        model = RankingClassifier("xgboost", params={"n_estimators": 30, "learning_rate": 0.1})
        return model.fit(rows, mixed).decision_function

    found = shuffled_labels(
        fit, (matrix[:2000], labels[:2000], np.arange(2000) % 2),  # type: ignore[arg-type]
        (matrix[2000:], labels[2000:]), rng=rng, times=25,
    )  # fmt: skip
    assert found.passed, str(found)


def test_noise_passes_apart_and_catches_overlapping_outcomes() -> None:
    _, labels, _ = split(3, n=4000)
    people = np.arange(4000)
    rng = np.random.default_rng(0)
    apart = pure_noise(
        memory_fit, (labels[:2000], people[:2000]),  # type: ignore[arg-type]
        (labels[2000:], people[2000:]), rng=rng,
    )  # fmt: skip
    assert apart.passed, str(apart)
    overlapping = pure_noise(
        memory_fit, (labels, people), (labels, people), rng=rng  # type: ignore[arg-type]
    )  # fmt: skip
    assert not overlapping.passed


def test_a_feature_too_good_to_be_true_is_named() -> None:
    _, labels, _ = split(4)
    rng = np.random.default_rng(0)
    fine = {"views": rng.normal(size=3000) + labels, "empty": np.full(3000, np.nan)}
    assert too_good(fine, {}, labels, suspect_auc=0.9).passed
    leak = {**fine, "signed_up_later": -(labels + rng.normal(size=3000) * 0.1)}
    caught = too_good(leak, {}, labels, suspect_auc=0.9)
    assert not caught.passed
    assert "signed_up_later" in caught.saw


def test_features_that_change_with_later_events_are_named() -> None:
    assert future_events({"views": 0, "days": 0}, 90, "2026-01-01").passed
    caught = future_events({"views": 3, "days": 0}, 90, "2026-01-01")
    assert not caught.passed
    assert "views changes for 3 users" in caught.saw
