"""Leakage checks: an honest pipeline passes, and each leak is caught by the one that can see it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import binom, norm
from scipy.stats import t as student

from whyrank.evaluation.leakage_checks import (
    FALSE_ALARMS,
    LeakageCheck,
    RefitResult,
    SingleFeatureScores,
    future_events,
    overlapping_outcomes,
    pure_noise,
    shuffled_labels,
    standard_errors,
    suspicious_performance,
)
from whyrank.evaluation.ranking_metrics import roc_auc

Rows = np.ndarray
Fitted = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


def linear_fit(matrix: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Means of the classes apart, as a direction: quick, and enough to learn."""
    slope = matrix[labels].mean(axis=0) - matrix[~labels].mean(axis=0)
    return lambda other: np.asarray(other @ slope)


def split(seed: int = 0, n: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, 3)).astype(np.float32)
    labels = rng.random(n) < 1 / (1 + np.exp(-(matrix[:, 0] - 1)))
    return matrix, labels, rng.integers(0, 3, n)


def off(check: LeakageCheck) -> float:
    """Return how far from 0.5 the ROC AUC is that a leakage check says."""
    found = re.search(r"ROC AUC (0\.[0-9]{3}) ", check.detail)
    assert found, check.detail
    return abs(float(found[1]) - 0.5)


def tolerance(check: LeakageCheck) -> float:
    """Return how far it may be, as the leakage check says."""
    found = re.search(r"must be 0\.5 ± (0\.[0-9]{3}), as by chance", check.detail)
    assert found, check.detail
    return float(found[1])


def shuffled(
    fit: Fitted,
    train: tuple[np.ndarray, np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    *,
    encoded: Callable[[Rows, np.ndarray], dict[str, np.ndarray]] = lambda *_: {},
    times: int = 15,
) -> LeakageCheck:
    def refit(rows: Rows, labels: np.ndarray) -> RefitResult:
        return RefitResult(fit(train[0][rows], labels)(test[0]), encoded(rows, labels))

    rng = np.random.default_rng(0)
    return shuffled_labels(refit, train[1], train[2], test[1], rng=rng, times=times)


def test_shuffled_labels_pass_honest_fits_and_catch_one_that_knows_the_truth() -> None:
    train, test = split(1), split(2)
    honest = shuffled(linear_fit, train, test[:2])
    assert honest.passed, str(honest)
    # What it says suffices to judge it by.
    assert off(honest) <= tolerance(honest)

    def leaking(matrix: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        del matrix, labels
        return linear_fit(train[0], train[1])  # the labels come in by another way

    caught = shuffled(leaking, train, test[:2])
    assert not caught.passed
    assert str(caught).startswith("FAILED  shuffled labels: mean ROC AUC 0.7")
    assert off(caught) > tolerance(caught)


def test_a_worth_that_has_seen_its_own_label_is_caught_though_the_test_shows_nothing() -> None:
    train, test = split(1), split(2)
    category = np.random.default_rng(5).integers(0, 40, len(train[1]))

    def own(rows: Rows, labels: np.ndarray) -> dict[str, np.ndarray]:
        total = np.bincount(category[rows], weights=labels, minlength=40)
        return {"city": (total / np.bincount(category[rows], minlength=40))[category[rows]]}

    def others(rows: Rows, labels: np.ndarray) -> dict[str, np.ndarray]:
        """The first half is worth what the second half's labels say, and the other way round."""
        half = np.arange(len(rows)) % 2 == 0
        found = np.empty(len(rows))
        for mine in (half, ~half):
            total = np.bincount(category[rows][~mine], weights=labels[~mine], minlength=40)
            size = np.bincount(category[rows][~mine], minlength=40)
            found[mine] = ((total + 1) / (size + 2))[category[rows][mine]]
        return {"city": found}

    assert shuffled(linear_fit, train, test[:2], encoded=others).passed
    caught = shuffled(linear_fit, train, test[:2], encoded=own)
    assert not caught.passed
    assert "(city); must not exceed 0.5 by more than 0.0" in caught.detail
    told = re.match(
        r"mean ROC AUC (\S+) of 15 fits; must be 0.5 ± (\S+), as by chance;", caught.detail
    )
    assert told is not None
    mean, within = map(float, told.groups())  # to three decimals
    assert abs(mean - 0.5) <= within + 0.001


def test_the_bounds_are_students_and_shared_out_over_what_is_looked_at() -> None:
    """Fifteen fits whose areas are given: their mean's error is that of fifteen draws."""
    areas = [0.45, 0.5, 0.6] * 5
    tested = np.repeat([True, False], 20)
    given = iter(areas)

    def refit(rows: Rows, labels: np.ndarray) -> RefitResult:
        """A positive at a time above all negatives, or below: an area of so many twentieths."""
        above = round(20 * next(given))
        raw_scores = np.concatenate([np.where(np.arange(20) < above, 1.0, -1.0), np.zeros(20)])
        return RefitResult(raw_scores, {})

    labels, snapshot = np.tile([True, False], 20), np.zeros(40, dtype=np.int64)
    rng = np.random.default_rng(0)
    found = shuffled_labels(refit, labels, snapshot, tested, rng=rng, times=15)
    error = np.std(areas, ddof=1) / np.sqrt(15)
    assert tolerance(found) == pytest.approx(
        float(student.isf(FALSE_ALARMS / 2, 14)) * error, abs=5e-4
    )
    for tests, sides in ((1, 1), (1, 2), (7, 1), (7, 2)):
        assert standard_errors(15, tests=tests, sides=sides) == pytest.approx(
            float(student.isf(FALSE_ALARMS / (sides * tests), 14))
        )


def test_a_mean_of_fifteen_is_off_by_chance_as_rarely_as_is_said() -> None:
    """Twenty thousand honest runs: one in two thousand fails, where 3.5 errors fail seven."""
    found = np.random.default_rng(3).normal(0.5, 0.02, size=(20_000, 15))
    off = np.abs(found.mean(axis=1) - 0.5) / (found.std(axis=1, ddof=1) / np.sqrt(15))
    alarms = int((off > standard_errors(15)).sum())
    low, high = binom.interval(0.9999, 20_000, FALSE_ALARMS)
    assert low <= alarms <= high
    assert not low <= int((off > norm.isf(FALSE_ALARMS / 2)).sum()) <= high


def test_shuffled_labels_rank_nothing_even_where_positives_are_rare_and_lie_apart() -> None:
    """Conversions in a thin corner, 2% of users: fits of unbalanced labels would be off 0.5."""
    from whyrank.models.classifier import RankingClassifier

    rng = np.random.default_rng(7)
    matrix = rng.exponential(size=(4000, 3)).astype(np.float32) ** 2
    labels = rng.random(4000) < np.clip(matrix[:, 0] / 60, 0, 0.9)

    def fit(rows: np.ndarray, mixed: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        model = RankingClassifier("xgboost", params={"n_estimators": 30, "learning_rate": 0.1})
        return model.fit(rows, mixed).decision_function

    train = (matrix[:2000], labels[:2000], np.arange(2000) % 2)
    found = shuffled(fit, train, (matrix[2000:], labels[2000:]), times=25)
    assert found.passed, str(found)


def by_heart(noise: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """The nearest neighbour: remembers every row."""
    from sklearn.neighbors import KNeighborsClassifier

    found = KNeighborsClassifier(1).fit(noise, labels).predict_proba(tested)[:, 1]
    return np.asarray(found)


def test_noise_passes_apart_and_catches_a_test_that_was_learnt_from() -> None:
    _, labels, _ = split(3, n=4000)
    rows = np.arange(4000)
    rng = np.random.default_rng(0)
    train, test = (labels[:2000], rows[:2000]), (labels[2000:], rows[2000:])
    apart = pure_noise(by_heart, train, test, rng=rng)
    assert apart.passed, str(apart)
    caught = pure_noise(by_heart, (labels[:2500], rows[:2500]), test, rng=rng)
    assert not caught.passed


def test_outcomes_that_count_twice_are_counted() -> None:
    apart = overlapping_outcomes({}, "2026-03-01", 30, ["2026-01-30"])
    assert apart.passed
    assert "none counts in any of 1 training snapshots too" in apart.detail
    caught = overlapping_outcomes({"2026-02-10": 12}, "2026-03-01", 30, ["2026-02-10"])
    assert not caught.passed
    assert "those of 2026-02-10 too count 12 of them" in caught.detail


def test_a_category_that_says_nothing_passes() -> None:
    """One value for all ranks nobody: exactly 0.5, with no error to be within."""
    train, test = split(1), split(2)
    found = shuffled(
        linear_fit, train, test[:2], encoded=lambda rows, _: {"plan": np.ones(len(rows))}
    )
    assert found.passed
    assert "at most 0.500 (plan); must not exceed 0.5 by more than 0.000" in found.detail


def alone(
    name: str, features: dict[str, np.ndarray], labels: np.ndarray, **raw_scores: object
) -> SingleFeatureScores:
    return SingleFeatureScores(name, labels, features, raw_scores)  # type: ignore[arg-type]


def test_a_feature_too_good_to_be_true_is_named_on_whichever_test_it_is() -> None:
    _, labels, _ = split(4)
    rng = np.random.default_rng(0)
    fine = {"views": rng.normal(size=3000) + labels, "empty": np.full(3000, np.nan)}
    leak = {**fine, "signed_up_later": -(labels + rng.normal(size=3000) * 0.1)}
    honest, leaking = alone("b", fine, labels), alone("a", leak, labels)
    known = {"capacity": 0.1, "suspect_auc": 0.9, "suspect_lift": None}
    assert suspicious_performance([honest, honest], **known).passed  # type: ignore[arg-type]
    for gaps in (0, 1, 100):  # in the middle, those who are not known hide nothing of the others
        leak["signed_up_later"][:gaps] = np.nan
        for tests in ([leaking, honest], [honest, leaking]):
            caught = suspicious_performance(tests, **known)  # type: ignore[arg-type]
            assert not caught.passed
            assert "signed_up_later on a" in caught.detail


def test_a_lift_too_good_to_be_true_is_named_though_the_area_is_not() -> None:
    """A leak of a few: one positive in four is known for sure, of the others nothing."""
    rng = np.random.default_rng(1)
    labels = rng.random(4000) < 0.2
    known = labels & (rng.random(4000) < 0.25)
    values = np.where(known, 10.0, rng.normal(size=4000))
    for features, raw_scores in (({"flag": -values}, {}), ({}, {"scorer": values})):
        test = alone("t", features, labels, **raw_scores)
        limits = {"capacity": 0.05, "suspect_auc": 0.7}
        # All of the top 5% are positives: the lift is one over their share of 20%.
        assert suspicious_performance([test], **limits, suspect_lift=None).passed  # type: ignore[arg-type]
        assert suspicious_performance([test], **limits, suspect_lift=1.001 / labels.mean()).passed  # type: ignore[arg-type]
        caught = suspicious_performance([test], **limits, suspect_lift=0.95 / labels.mean())  # type: ignore[arg-type]
        assert not caught.passed
        assert "the highest lift at 5% is" in caught.detail


def test_features_that_change_with_later_events_are_named() -> None:
    assert future_events({"views": 0, "days": 0}, 90, "2026-01-01").passed
    caught = future_events({"views": 3, "days": 0}, 90, "2026-01-01")
    assert not caught.passed
    assert "views changes for 3 users" in caught.detail


def test_a_failed_leakage_check_stays_failed_on_its_way_through_a_file() -> None:
    """Written as the text "False" it would count as true, and promotion would not be refused."""
    noisy = LeakageCheck("pure noise", np.float64(0.9) <= np.float64(0.5), "seen")  # type: ignore[arg-type]
    kept = json.loads(json.dumps(asdict(noisy)))
    assert kept["passed"] is False


def test_rows_of_shuffled_labels_are_halves_of_each_snapshot() -> None:
    rng = np.random.default_rng(4)
    matrix, labels, snapshot = rng.normal(size=(900, 3)), rng.random(900) < 0.2, np.arange(900) % 3
    labels[snapshot == 2] = rng.random(300) < 0.7  # where negatives are the fewer
    seen = []

    def refit(rows: Rows, mixed: np.ndarray) -> RefitResult:
        seen.append((rows, mixed))
        return RefitResult(linear_fit(matrix[rows], mixed)(matrix), {})

    shuffled_labels(refit, labels, snapshot, labels, rng=rng, times=3)
    for rows, mixed in seen:
        assert len(np.unique(rows)) == len(rows)
        for day in range(3):
            inside = snapshot[rows] == day
            fewer = min(labels[snapshot == day].sum(), (~labels[snapshot == day]).sum())
            assert labels[rows[inside]].sum() == (~labels[rows[inside]]).sum() == fewer
            assert mixed[inside].sum() == fewer
            assert (mixed[inside] != labels[rows[inside]]).any()


def test_the_worst_encoding_is_named_with_a_bound_for_all_of_them() -> None:
    """By hand: one-sided, one in two thousand for both together."""
    train, test = split(1), split(2)
    found: dict[str, list[float]] = {"city": [], "page": []}
    noise = np.random.default_rng(8)

    def encoded(rows: Rows, mixed: np.ndarray) -> dict[str, np.ndarray]:
        columns = {
            "city": noise.normal(size=len(rows)),
            "page": noise.normal(size=len(rows)) + 0.2 * mixed,
        }
        for name, column in columns.items():
            found[name].append(roc_auc(column, mixed))
        return columns

    check = shuffled(linear_fit, train, test[:2], encoded=encoded)
    error = float(np.std(found["page"], ddof=1) / np.sqrt(15))
    bound = student.isf(1 / 2000 / 2, 14) * error
    assert check.detail.endswith(
        f"at most {np.mean(found['page']):.3f} (page); must not exceed 0.5 by more than {bound:.3f}"
    )
    assert check.passed == (np.mean(found["page"]) - 0.5 <= bound)


def test_the_band_of_noise_lets_one_run_in_two_thousand_fail() -> None:
    """A ranking that is just inside of the two-sided quantile passes, one just outside does not."""
    rng = np.random.default_rng(14)
    labels = rng.random(3000) < 0.2
    positives = int(labels.sum())
    # The variance of an AUC by chance (Mann & Whitney 1947).
    error = np.sqrt((3000 + 1) / (12 * positives * (3000 - positives)))
    edge = float(norm.ppf(1 - 1 / 2000 / 2)) * error
    noise = rng.normal(size=3000)
    low, high = -2.0, 2.0
    for _ in range(60):  # the shift of positives at which the AUC is at the edge
        middle = (low + high) / 2
        inside = roc_auc(noise + middle * labels, labels) - 0.5 < edge
        low, high = (middle, high) if inside else (low, middle)
    rows = (labels, np.arange(3000))
    for shift, passed in ((low - 0.002, True), (high + 0.002, False)):
        check = pure_noise(lambda *_, shift=shift: noise + shift * labels, rows, rows, rng=rng)
        assert check.passed is passed
        assert abs(roc_auc(noise + shift * labels, labels) - 0.5 - edge) < 0.02 * edge
