"""The classifier: additivity, Shapley values by brute force, files."""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shap
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from whyrank.errors import DataError, UsageError
from whyrank.models.classifier import RankingClassifier
from whyrank.models.explain import by_part
from whyrank.models.fitted import SklearnModel
from whyrank.models.kinds import CLASSIFIERS, MODELS
from whyrank.models.model_files import load_as, save_as

TREES = {"n_estimators": 10, "max_iter": 10}  # by the name that a library has for their number
QUICK = {
    kind: {name: number for name, number in TREES.items() if name in CLASSIFIERS[kind].defaults}
    for kind in CLASSIFIERS
}
# What scikit-learn's ensembles leave explains nothing; all else does.
EXPLAINED = [k for k in CLASSIFIERS if SklearnModel not in CLASSIFIERS[k].models.values()]


def world(n: int = 1500, k: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, k)).astype(np.float32)
    raw_score = matrix[:, 0] - 0.7 * matrix[:, 1] * (matrix[:, 2] > 0) - 1.5
    labels = rng.random(n) < 1 / (1 + np.exp(-raw_score))
    matrix[rng.random(matrix.shape) < 0.05] = np.nan
    return matrix, labels


@pytest.mark.parametrize("imbalance", ["none", "weights", "smote"])
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_what_is_saved_scores_and_explains_the_same(
    kind: str, imbalance: str, tmp_path: Path
) -> None:
    matrix, labels = world()
    model = RankingClassifier(kind, imbalance, QUICK[kind]).fit(matrix, labels).model_  # type: ignore[arg-type]
    save_as(MODELS, model, tmp_path)
    again = load_as(MODELS, tmp_path)
    assert np.array_equal(model.raw_score(matrix), again.raw_score(matrix))
    before, after = model.contributions(matrix), again.contributions(matrix)
    assert (before is None) == (after is None) == (kind not in EXPLAINED)
    if before is not None and after is not None:
        assert np.array_equal(before[0], after[0])
    assert not [p for p in tmp_path.rglob("*") if p.suffix in {".pkl", ".pickle", ".joblib"}]


@pytest.mark.parametrize("imbalance", ["none", "weights", "smote"])
@pytest.mark.parametrize("kind", EXPLAINED)
def test_contributions_and_base_sum_to_the_log_odds(kind: str, imbalance: str) -> None:
    matrix, labels = world()
    fitted = RankingClassifier(kind, imbalance).fit(matrix, labels)  # type: ignore[arg-type]
    values, base = fitted.contributions(matrix)  # type: ignore[misc]
    away = np.abs(values.sum(axis=1) + base - fitted.decision_function(matrix))
    assert (away <= 1e-5 * np.maximum(1, np.abs(values).sum(axis=1))).all()


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_the_same_seed_gives_the_same_model_and_another_seed_another(kind: str) -> None:
    matrix, labels = world()
    first, same, other = (
        RankingClassifier(kind, params=QUICK[kind], seed=seed).fit(matrix, labels)
        for seed in (1, 1, 2)
    )
    raw_score = first.decision_function(matrix)
    assert np.array_equal(raw_score, same.decision_function(matrix))
    if kind in {"forest", "xgboost", "lightgbm"}:  # the others draw nothing
        assert not np.array_equal(raw_score, other.decision_function(matrix))


def test_tree_shap_equals_shapley_values_counted_out() -> None:
    """On stumps over a background: every coalition of three features, by brute force.

    Path-dependent TreeSHAP weighs an absent feature's branches by training cover; on independent
    binary features with every cell equally filled, that is the mean over the background.
    """
    cells = np.array(list(itertools.product([0, 1], repeat=3)), dtype=np.float32)
    rng = np.random.default_rng(1)
    matrix = np.repeat(cells, 400, axis=0)
    raw_score = 1.2 * matrix[:, 0] - 0.8 * matrix[:, 1] * matrix[:, 2] - 0.5
    labels = rng.random(len(matrix)) < 1 / (1 + np.exp(-raw_score))
    params = {"n_estimators": 1, "max_depth": 3, "min_child_weight": 0.0, "subsample": 1.0,
              "colsample_bytree": 1.0, "learning_rate": 1.0, "reg_lambda": 0.0,
              "base_score": 0.5}  # fmt: skip
    fitted = RankingClassifier("xgboost", params=params).fit(matrix, labels)
    values, base = fitted.contributions(cells)  # type: ignore[misc]
    scores = {tuple(c): m for c, m in zip(cells, fitted.decision_function(cells), strict=True)}

    def worth(row: np.ndarray, known: tuple[int, ...]) -> float:
        fits = [m for c, m in scores.items() if all(c[i] == row[i] for i in known)]
        return float(np.mean(fits))

    for row, found in zip(cells, values, strict=True):
        for feature in range(3):
            others = [i for i in range(3) if i != feature]
            total = 0.0
            for size in range(3):
                weight = math.factorial(size) * math.factorial(2 - size) / math.factorial(3)
                for known in itertools.combinations(others, size):
                    total += weight * (worth(row, (*known, feature)) - worth(row, known))
            assert found[feature] == pytest.approx(total, abs=1e-5)
    assert base == pytest.approx(np.mean(list(scores.values())), abs=1e-5)


@pytest.mark.parametrize("kind", ["xgboost", "lightgbm"])
def test_contributions_equal_the_shap_librarys(kind: str) -> None:
    matrix, labels = world(800)
    fitted = RankingClassifier(kind, params=QUICK[kind]).fit(matrix, labels)
    values, base = fitted.contributions(matrix[:50])  # type: ignore[misc]
    oracle = shap.TreeExplainer(fitted.model_.booster)(matrix[:50])  # type: ignore[attr-defined]
    assert np.allclose(values, oracle.values, atol=1e-5)
    assert np.allclose(base, oracle.base_values, atol=1e-5)


def test_chances_of_the_linear_fit_are_on_average_the_share_of_positives() -> None:
    """As of every logistic regression with an intercept, and so where nulls tell something too."""
    rng = np.random.default_rng(5)
    matrix = rng.gamma(2, 3, size=(2000, 2)).astype(np.float32)
    unknown = rng.random(2000) < 0.3
    matrix[unknown, 0] = np.nan
    labels = rng.random(2000) < np.where(unknown, 0.6, 0.1)
    fitted = RankingClassifier("logistic", params={"C": 1.0}).fit(matrix, labels)
    assert fitted.predict_proba(matrix)[:, 1].mean() == pytest.approx(labels.mean(), abs=1e-3)


def test_linear_contributions_equal_the_shap_librarys_on_scaled_logarithms() -> None:
    rng = np.random.default_rng(2)
    matrix = rng.gamma(2, 3, size=(900, 3)).astype(np.float32)
    labels = rng.random(900) < 1 / (1 + np.exp(-(0.3 * matrix[:, 0] - 3)))
    model = RankingClassifier("logistic", params={"C": 1.0}).fit(matrix, labels).model_
    values, base = model.contributions(matrix)  # type: ignore[misc]
    logs = np.log1p(matrix.astype(np.float64))
    linear = (model.slope, float(model.base - (model.slope * model.center).sum()))  # type: ignore[attr-defined]
    masker = shap.maskers.Independent(logs, max_samples=len(logs))
    oracle = shap.LinearExplainer(linear, masker)(logs)
    assert np.allclose(values, oracle.values, atol=1e-4)
    assert np.allclose(base, oracle.base_values, atol=1e-4)


def test_monotone_columns_never_turn() -> None:
    matrix, labels = world()
    grid = np.repeat(np.nan_to_num(matrix[:1]), 50, axis=0)
    grid[:, 1] = np.linspace(-3, 3, 50)
    for kind in ("boosting", "xgboost", "lightgbm"):
        fitted = RankingClassifier(kind, monotone=[0, 1, 0, 0]).fit(matrix, labels)
        assert (np.diff(fitted.decision_function(grid)) >= -1e-6).all()


def test_grouped_contributions_keep_the_sum() -> None:
    values = np.arange(12.0).reshape(3, 4)
    grouped = by_part(values, list("abcd"), {"ac": ["a", "c"], "bd": ["b", "d"]})
    assert np.array_equal(grouped.sum(axis=1), values.sum(axis=1))


def test_one_class_null_columns_and_unknown_kinds(tmp_path: Path) -> None:
    matrix, labels = world(200)
    with pytest.raises(ValueError, match="all labels are one class"):
        RankingClassifier().fit(matrix, np.ones(200))
    with pytest.raises(UsageError, match="kind 'catboost': choose one of logistic"):
        RankingClassifier("catboost").fit(matrix, labels)
    matrix[:, 2] = np.nan
    matrix[:, 3] = 7.0
    for kind in CLASSIFIERS:
        for imbalance in ("none", "smote"):
            fitted = RankingClassifier(kind, imbalance, QUICK[kind]).fit(matrix, labels)  # type: ignore[arg-type]
            assert np.isfinite(fitted.decision_function(matrix)).all()
    with pytest.raises(DataError, match="holds no saved model"):
        load_as(MODELS, tmp_path)
    SklearnModel(os.system).save(tmp_path)
    with pytest.raises(DataError, match="not trusted"):
        SklearnModel.load(tmp_path)


def matrix_and_labels(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    matrix = rng.lognormal(size=(n, 3)).astype(np.float32)
    matrix[rng.random((n, 3)) < 0.1] = np.nan
    return matrix, rng.random(n) < 1 / (1 + np.exp(1 - np.nan_to_num(np.log(matrix[:, 0]))))


@pytest.mark.parametrize("how", ["none", "weights"])
def test_a_weight_of_two_is_a_row_that_is_there_twice(how: Any) -> None:
    """In the linear model exactly: columns' means, spreads and nulls are of the weighted rows."""
    matrix, labels = matrix_and_labels()
    times = np.random.default_rng(5).integers(0, 3, len(labels))
    rows = np.repeat(np.arange(len(labels)), times)
    fits = [RankingClassifier("logistic", how, {"C": 1.0, "tol": 1e-8}) for _ in range(2)]
    fits[0].fit(matrix, labels, sample_weight=times)
    fits[1].fit(matrix[rows], labels[rows])
    raw_scores = [fitted.decision_function(matrix) for fitted in fits]
    assert raw_scores[0] == pytest.approx(raw_scores[1], abs=1e-4)
    plain = RankingClassifier("logistic", how, {"C": 1.0}).fit(matrix, labels)
    assert np.abs(plain.decision_function(matrix) - raw_scores[0]).max() > 0.01


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_every_kind_learns_from_the_rows_that_weigh(kind: str) -> None:
    """Half of the rows say the opposite, and weigh next to nothing: the others alone are heard."""
    matrix, labels = matrix_and_labels(2000)
    opposite = np.arange(len(labels)) % 2 == 0
    told = labels ^ opposite
    weight = np.where(opposite, 1e-6, 1.0)
    fitted = RankingClassifier(kind).fit(matrix, told, sample_weight=weight)
    assert roc_auc_score(labels, fitted.decision_function(matrix)) > 0.65
    fitted = RankingClassifier(kind).fit(matrix, told, sample_weight=weight[::-1])
    assert roc_auc_score(labels, fitted.decision_function(matrix)) < 0.35


def test_weights_that_mean_nothing_are_refused() -> None:
    matrix, labels = matrix_and_labels()
    for how, weight, said in (
        ("smote", np.ones(len(labels)), "cannot be given with imbalance='smote'"),
        ("none", labels.astype(float), "leaves rows of one class only"),
        ("none", -np.ones(len(labels)), "[Nn]egative"),
        ("none", np.ones(3), "sample_weight.shape"),
    ):
        with pytest.raises(ValueError, match=said):
            RankingClassifier("logistic", how).fit(matrix, labels, sample_weight=weight)  # type: ignore[arg-type]


def test_parameters_of_the_library_are_set_by_name_and_searched() -> None:
    shared = {"C": 0.5}
    one = RankingClassifier("logistic", params=shared)
    assert one.get_params()["params__C"] == 0.5
    assert "params__C" not in one.get_params(deep=False)
    assert RankingClassifier("lightgbm").get_params()["params__num_leaves"] == 16
    two = clone(one).set_params(params__C=2.0, params__tol=1e-3, seed=7)
    assert (two.params, two.seed) == ({"C": 2.0, "tol": 1e-3}, 7)
    assert (shared, one.params) == ({"C": 0.5}, {"C": 0.5})
    with pytest.raises(ValueError, match="Invalid parameter 'colour' for estimator RankingClass"):
        one.set_params(colour="red")
    matrix, labels = matrix_and_labels()
    search = GridSearchCV(
        make_pipeline(RankingClassifier("logistic")),
        {"rankingclassifier__params__C": [1e-6, 1.0]}, scoring="neg_log_loss", cv=3,
    ).fit(matrix, labels)  # fmt: skip
    assert search.best_params_ == {"rankingclassifier__params__C": 1.0}
    assert search.best_estimator_[0].params_["C"] == 1.0
