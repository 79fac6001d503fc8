"""The additive kind: a sum of curves, each of its feature alone."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from whyrank.models.classifier import RankingClassifier


def users(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, true log-odds that are a sum of curves, and labels."""
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(-2, 2, size=(n, 3)).round(1)
    truth = np.minimum(matrix[:, 0], 0.5) + np.abs(matrix[:, 1]) - 2.5
    return matrix, truth, rng.random(n) < 1 / (1 + np.exp(-truth))


def test_what_a_feature_adds_depends_on_its_own_value_alone() -> None:
    matrix, _, labels = users(4_000, 1)
    matrix[::17, 2] = np.nan
    fitted = RankingClassifier("additive", params={"colsample_bytree": 1.0}).fit(matrix, labels)
    values, base = fitted.contributions(matrix)  # type: ignore[misc]
    assert np.allclose(values.sum(axis=1) + base, fitted.decision_function(matrix), atol=1e-9)
    for column in range(3):
        by_value = {}
        for value, added in zip(
            np.nan_to_num(matrix[:, column], nan=9), values[:, column], strict=True
        ):
            assert by_value.setdefault(value, added) == pytest.approx(added, abs=1e-12)
        assert len(set(by_value.values())) > 1
    # With interactions the same value adds now this much and now that.
    mixed = RankingClassifier("lightgbm", params={"colsample_bytree": 1.0}).fit(matrix, labels)
    first = mixed.contributions(matrix)[0][matrix[:, 0] == 1.0, 0]  # type: ignore[index]
    assert np.ptp(first) > 0.01


def test_changing_one_feature_moves_the_log_odds_whatever_the_others_are() -> None:
    matrix, _, labels = users(4_000, 2)
    fitted = RankingClassifier("additive", params={"colsample_bytree": 1.0}).fit(matrix, labels)
    low, high = matrix.copy(), matrix.copy()
    low[:, 1], high[:, 1] = 0.0, 1.9
    moved = fitted.decision_function(high) - fitted.decision_function(low)
    assert np.ptp(moved) < 1e-9
    assert moved[0] > 0.5


def test_curves_that_made_the_data_are_found() -> None:
    matrix, _, labels = users(20_000, 3)
    fresh, truth, outcomes = users(20_000, 4)
    fitted = RankingClassifier("additive", monotone=(1, 0, 0)).fit(matrix, labels)
    values, _ = fitted.contributions(fresh)  # type: ignore[misc]
    order = np.argsort(fresh[:, 0], kind="stable")
    assert (np.diff(values[order, 0]) >= -1e-12).all()
    best = roc_auc_score(outcomes, truth)
    # The standard error of an AUC of 0.8 on 20,000 users is 0.003.
    assert roc_auc_score(outcomes, fitted.decision_function(fresh)) > best - 0.01
    curve = np.abs(fresh[:, 1])
    assert np.corrcoef(values[:, 1], curve)[0, 1] > 0.95
    assert values[:, 2].std() < values[:, 1].std() / 5
