"""scikit-learn's own checks on every estimator; each that fails has its reason here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from whyrank.models.classifier import RankingClassifier
from whyrank.models.kinds import CLASSIFIERS
from whyrank.models.purchase_fits import BgNbd, GammaGamma
from whyrank.models.scorecard_classifier import ScorecardClassifier

TREES = {"n_estimators": 3, "max_iter": 3}  # by the name that a library has for their number
QUICK = {
    kind: {name: number for name, number in TREES.items() if name in CLASSIFIERS[kind].defaults}
    for kind in CLASSIFIERS
}
IMBALANCED = [(kind, how) for kind in ("logistic", "xgboost") for how in ("weights", "smote")]
ESTIMATORS = [
    *(RankingClassifier(kind, params=QUICK[kind]) for kind in CLASSIFIERS),
    *(RankingClassifier(kind, how, QUICK[kind]) for kind, how in IMBALANCED),  # type: ignore[arg-type]
]

# Checks of a purchase model by itself that fit it to columns of the check's own making.
_OWN_COLUMNS = dict.fromkeys(
    [
        "check_fit_score_takes_y", "check_estimators_overwrite_params",
        "check_dont_overwrite_parameters", "check_estimators_fit_returns_self",
        "check_readonly_memmap_input", "check_n_features_in_after_fitting",
        "check_positive_only_tag_during_fit", "check_estimators_dtypes", "check_dtype_object",
        "check_pipeline_consistency", "check_estimators_nan_inf", "check_estimators_pickle",
        "check_f_contiguous_array_estimator", "check_methods_sample_order_invariance",
        "check_methods_subset_invariance", "check_fit2d_1sample", "check_fit2d_1feature",
        "check_dict_unchanged", "check_fit_idempotent", "check_fit_check_is_fitted",
        "check_n_features_in", "check_fit2d_predict1d", "check_fit_non_negative",
    ],
    "fits columns that are no purchase histories, which are refused; done behind Histories below",
)  # fmt: skip
# Checks that no pipeline can pass: it fits the steps that it was given.
_PIPELINE = dict.fromkeys(
    ["check_estimators_overwrite_params", "check_dont_overwrite_parameters"],
    "a pipeline fits its steps in place; done on the purchase models by hand below",
)


# Weights that count as repeated rows.
_TREES = dict.fromkeys(
    ["check_sample_weight_equivalence_on_dense_data"],
    "trees draw rows by chance, cut values into bins by how many rows have them, and set their "
    "leaves' sizes by the number of rows; scikit-learn's own forest is excused too",
)


_RESAMPLED = dict.fromkeys(
    [
        "check_sample_weights_pandas_series", "check_sample_weights_not_an_array",
        "check_sample_weights_list", "check_sample_weights_shape",
        "check_sample_weights_not_overwritten", "check_classifiers_one_label_sample_weights",
        "check_sample_weight_equivalence_on_dense_data",
    ],
    "rows are weighted or resampled, not both: refused by name",
)  # fmt: skip


class Histories(TransformerMixin, BaseEstimator):
    """Any columns of numbers as purchase histories (3 columns), or as purchases and worth (2)."""

    def __init__(self, columns: int = 3) -> None:
        self.columns = columns

    def fit(self, X: Any, y: object = None) -> Histories:  # noqa: N803
        del y
        validate_data(self, X)
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        check_is_fitted(self)
        checked = np.abs(validate_data(self, X, reset=False, dtype=np.float64))
        first, last = np.floor(3 * checked[:, 0]), np.floor(3 * checked[:, -1])
        if self.columns == 2:
            return np.column_stack([1 + first, 1 + last])
        return np.column_stack([first, np.where(first > 0, last, 0), 1 + first + last])


def excused(estimator: Any) -> dict[str, str]:
    """Return the checks that an estimator need not pass, and why."""
    if isinstance(estimator, (BgNbd, GammaGamma)):
        return _OWN_COLUMNS
    if isinstance(estimator, ScorecardClassifier):
        return {}
    if not isinstance(estimator, RankingClassifier):
        return _PIPELINE
    if estimator.imbalance == "smote":
        return _RESAMPLED
    return {} if estimator.kind in {"logistic", "boosting"} else _TREES


@parametrize_with_checks(
    [
        *ESTIMATORS,
        ScorecardClassifier(),
        BgNbd(),
        GammaGamma(),
        make_pipeline(Histories(3), BgNbd()),
        make_pipeline(Histories(2), GammaGamma()),
    ]
)
def test_scikit_learn_finds_a_proper_estimator(estimator: Any, check: Any) -> None:
    """A check that is excused must fail: one that passes is excused no longer."""
    if check.func.__name__ not in excused(estimator):
        check(estimator)
        return
    # Not an expected failure of pytest's, which would lay out seventy tracebacks for nobody.
    with pytest.raises(Exception):  # noqa: B017, PT011 - each check fails by an error of its own
        check(estimator)


@pytest.mark.parametrize(
    ("estimator", "rows"),
    [
        (BgNbd(horizon=7.0), [[0, 0, 30], [2, 20, 30], [5, 28, 30], [1, 3, 30]]),
        (GammaGamma(), [[1, 10.0], [4, 50.0], [2, 30.0], [3, 20.0]]),
    ],
    ids=["BetaGeometric", "GammaGamma"],
)
def test_fitting_changes_neither_parameters_nor_data(estimator: Any, rows: list[Any]) -> None:
    given = np.array(rows, dtype=np.float64)
    fresh, kept = clone(estimator), given.copy()
    before = set(vars(fresh))
    assert fresh.fit(given) is fresh
    assert np.array_equal(given, kept)
    assert fresh.get_params() == estimator.get_params()
    assert all(name.endswith("_") for name in set(vars(fresh)) - before)
