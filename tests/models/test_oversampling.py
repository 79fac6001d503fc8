"""SMOTE: on the columns that models are fitted on, nulls included, and only in the fit."""

from __future__ import annotations

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE

from whyrank.models.classifier import RankingClassifier
from whyrank.models.kinds import CLASSIFIERS
from whyrank.models.oversampling import SMOTE_RATIO, ScaledLogs, oversampled


class Recorder:
    """An estimator that keeps what it is fitted on."""

    def fit(self, matrix: np.ndarray, codes: np.ndarray) -> Recorder:
        self.matrix, self.codes = matrix, codes
        return self


def amounts(n: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Amounts over decades, whose probability rises with their logarithm; about 3% positives."""
    rng = np.random.default_rng(seed)
    x = np.exp(rng.normal(1.5, 1.5, size=n)).astype(np.float32)
    probability = 1 / (1 + np.exp(-(-5.5 + 0.8 * np.log1p(x))))
    return np.column_stack([x, rng.normal(size=n)]).astype(np.float32), rng.random(n) < probability


def test_the_logistic_fit_with_smote_has_the_shape_of_the_plain_one() -> None:
    """The log-odds between x = 1 and x = 100 are planted: 0.8 (log 101 - log 2)."""
    matrix, labels = amounts()
    truth = 0.8 * (np.log(101) - np.log(2))
    asked = np.array([[1.0, 0.0], [10.0, 0.0], [100.0, 0.0]], dtype=np.float32)
    for imbalance in ("none", "weights", "smote"):
        fitted = RankingClassifier("logistic", imbalance, {"C": 1.0}).fit(matrix, labels)  # type: ignore[arg-type]
        raw_score = fitted.decision_function(asked)
        assert raw_score[2] - raw_score[0] == pytest.approx(truth, rel=0.2)
        # As far from 1 to 10 as the logarithm says, and no further.
        part = np.log(11 / 2) / np.log(101 / 2)
        assert (raw_score[1] - raw_score[0]) / (raw_score[2] - raw_score[0]) == pytest.approx(
            part, rel=1e-3
        )


@pytest.mark.parametrize("kind", [kind for kind in CLASSIFIERS if kind != "logistic"])
def test_trees_with_smote_read_amounts_and_rank_as_without(kind: str) -> None:
    matrix, labels = amounts(6000)
    test, came = amounts(6000, seed=1)
    aucs = []
    for imbalance in ("none", "smote"):
        fitted = RankingClassifier(kind, imbalance).fit(matrix, labels)  # type: ignore[arg-type]
        raw_score = fitted.decision_function(test)
        aucs.append((raw_score[came][:, None] > raw_score[~came][None, :]).mean())
    assert aucs[1] == pytest.approx(aucs[0], abs=0.03)


def test_columns_are_turned_round_exactly() -> None:
    rng = np.random.default_rng(3)
    matrix = np.column_stack(
        [
            rng.poisson(4, 500),
            -rng.gamma(1, 1000, 500),
            rng.normal(size=500) * 1e6,
            np.full(500, 7.0),
            np.full(500, np.nan),
        ]
    ).astype(np.float32)
    matrix[rng.random(500) < 0.3, 0] = np.nan
    logs = ScaledLogs(matrix)
    columns = logs.columns(matrix)
    assert np.isfinite(columns).all()
    assert np.abs(columns.mean(axis=0)).max() < 1e-9
    assert columns[:, :3].std(axis=0)[1:] == pytest.approx(1)
    assert (np.abs(columns[:, 3:5]) < 1e-9).all()  # constant, and null throughout
    assert np.allclose(logs.back(columns), matrix, rtol=1e-6, equal_nan=True)


def test_a_synthetic_row_lacks_what_its_nearer_parent_lacks() -> None:
    known = np.array([[8.0, 1.0], [8.0, 2.0], [np.nan, 1.0], [3.0, 2.0]], dtype=np.float32)
    logs = ScaledLogs(known)
    knows, lacks = logs.columns(known)[[0, 2]]
    near, far = (logs.back((knows + gap * (lacks - knows))[None])[0] for gap in (0.3, 0.7))
    assert near == pytest.approx([8.0, 1.0], rel=1e-6)
    assert np.isnan(far[0])
    assert far[1] == pytest.approx(1.0)


def test_trees_are_fitted_on_the_rows_as_they_are_and_on_synthetic_positives() -> None:
    matrix, labels = amounts(3000)
    matrix[np.random.default_rng(1).random(3000) < 0.4, 1] = np.nan
    matrix = np.column_stack([matrix, np.full(3000, np.nan)]).astype(np.float32)
    codes = labels.astype(np.intp)
    logs, seen = ScaledLogs(matrix), Recorder()
    oversampled(seen, logs.columns(matrix), codes, back=logs, seed=0)
    assert np.allclose(seen.matrix[:3000], matrix, rtol=1e-6, equal_nan=True)
    assert np.array_equal(seen.codes[:3000], codes)
    added = seen.matrix[3000:]
    assert (seen.codes[3000:] == 1).all()
    assert len(added) + codes.sum() == int(SMOTE_RATIO * (codes == 0).sum())
    of_positives = matrix[labels]
    assert added[:, 0].min() >= of_positives[:, 0].min() * (1 - 1e-6)
    assert added[:, 0].max() <= of_positives[:, 0].max() * (1 + 1e-6)
    share = np.isnan(of_positives[:, 1]).mean()
    assert np.isnan(added[:, 1]).mean() == pytest.approx(
        share, abs=4 * np.sqrt(share * (1 - share) / codes.sum())
    )
    assert np.isnan(added[:, 2]).all()
    # The rows are those of imbalanced-learn's own SMOTE on the scaled columns.
    smote = SMOTE(sampling_strategy=SMOTE_RATIO, k_neighbors=5, random_state=0)
    expected, _ = smote.fit_resample(logs.columns(matrix), codes)
    assert np.array_equal(logs.back(expected), seen.matrix, equal_nan=True)


@pytest.mark.parametrize("positives", [1, 2, 4])
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_fewer_positives_than_neighbours(kind: str, positives: int) -> None:
    rng = np.random.default_rng(positives)
    matrix = rng.normal(size=(200, 3)).astype(np.float32)
    labels = np.arange(200) < positives
    params = {"forest": {"n_estimators": 5}, "boosting": {"max_iter": 5}}.get(kind)
    fitted = RankingClassifier(kind, "smote", params).fit(matrix, labels)
    assert np.isfinite(fitted.decision_function(matrix)).all()
