"""One scikit-learn classifier over the libraries that rank, imbalance included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)
from threadpoolctl import threadpool_limits

from ..errors import UsageError
from ..types import Floats
from .encoding import Matrix
from .fitted import (
    LightgbmModel,
    LinearModel,
    Model,
    SklearnModel,
    XgboostModel,
    lightgbm,
)
from .oversampling import ScaledLogs, oversampled

Imbalance = Literal["none", "weights", "smote"]
_INSIDE = "params__"
KINDS = ("logistic", "forest", "boosting", "xgboost", "lightgbm")

# Few positives and weak signals ask for shallow trees, strong shrinkage and much chance in
# what a tree sees: many trees that differ, none of which decides alone.
DEFAULTS: dict[str, dict[str, Any]] = {
    "logistic": {"C": 0.003},
    "forest": {
        "n_estimators": 150,
        "max_depth": 8,
        "min_samples_leaf": 100,
        "max_features": 0.4,
        "max_samples": 0.3,
    },
    "boosting": {
        "max_iter": 150,
        "learning_rate": 0.04,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 200,
        "l2_regularization": 10.0,
    },
    "xgboost": {
        "n_estimators": 300,
        "max_depth": 4,
        "learning_rate": 0.02,
        "subsample": 0.5,
        "colsample_bytree": 0.3,
        "min_child_weight": 5.0,
        "reg_lambda": 10.0,
    },
    "lightgbm": {
        "n_estimators": 300,
        "learning_rate": 0.02,
        "num_leaves": 16,
        "min_child_samples": 50,
        "subsample": 0.5,
        "subsample_freq": 1,
        "colsample_bytree": 0.3,
        "reg_lambda": 10.0,
    },
}


class RankingClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # untyped bases
    """A binary classifier that ranks by log-odds; nulls (NaN) are allowed.

    kind: logistic, forest, boosting (scikit-learn's), xgboost or lightgbm. imbalance: none;
    weights (each class weighs the same in all); smote (synthetic positives, inside this fit only,
    see `oversampling`). params: of the library, over DEFAULTS; params_ holds those that it was
    given, and each may be set by its name, as `params__C` (scikit-learn's searches do so).
    monotone: for each column 1 (can only raise), -1 (can only lower) or 0; the linear model and
    the forest ignore it. seed: of everything random.

    Weighted and resampled fits have inflated probabilities: `learned` calibrates them to the true
    rate.

    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]] * 25)
    >>> fitted = RankingClassifier("logistic", params={"C": 1.0}).fit(X, X[:, 0] > 1)
    >>> bool((np.diff(fitted.decision_function(X[:4])) > 0).all())
    True
    """

    def __init__(
        self,
        kind: str = "xgboost",
        imbalance: Imbalance = "none",
        params: Mapping[str, Any] | None = None,
        monotone: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        self.kind = kind
        self.imbalance = imbalance
        self.params = params
        self.monotone = monotone
        self.seed = seed

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; deep: those of the library as well, as params__NAME."""
        found: dict[str, Any] = super().get_params(deep=False)
        if deep:
            inside = {**DEFAULTS.get(self.kind, {}), **(self.params or {})}
            found |= {f"{_INSIDE}{name}": value for name, value in inside.items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; params__NAME sets one of the library's and leaves the others.

        Raises ValueError for a name that is no parameter of this class.
        """
        inside = {n.removeprefix(_INSIDE): v for n, v in params.items() if n.startswith(_INSIDE)}
        known = super().get_params(deep=False)
        for name, value in params.items():
            if name.startswith(_INSIDE):
                continue
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}; valid ones "
                    f"are {', '.join(known)} and {_INSIDE}NAME"
                )
            setattr(self, name, value)
        if inside:  # a mapping of its own: what was given may be shared
            self.params = {**(self.params or {}), **inside}
        return self

    def fit(
        self,
        X: ArrayLike,  # noqa: N803 - scikit-learn's names
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit on a matrix (n, k), NaN allowed, and two classes.

        sample_weight: how much each row counts, (n,), none below 0; imbalance="weights" multiplies
        them so that both classes weigh the same.

        Raises ValueError when y has one class only, as scikit-learn's contract asks for, or rows
        are weighted and resampled at once.
        """
        matrix, labels = validate_data(self, X, y, dtype=np.float32, ensure_all_finite="allow-nan")
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) > 2:  # noqa: PLR2004
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass."
            )
        if len(self.classes_) < 2:  # noqa: PLR2004
            raise ValueError(
                f"{type(self).__name__} needs both classes, and all labels are one class: "
                f"{self.classes_[0]!r}"
            )
        matrix = np.clip(matrix, -HUGE, HUGE)
        given = None
        if sample_weight is not None:
            given = _check_sample_weight(
                sample_weight, matrix, dtype=np.float64, ensure_non_negative=True
            )
            if self.imbalance == "smote":
                raise ValueError(
                    "sample_weight cannot be given with imbalance='smote': synthetic rows have no "
                    "weight; use imbalance='weights'"
                )
            if len(np.unique(codes[given > 0])) < 2:  # noqa: PLR2004
                raise ValueError("sample_weight leaves rows of one class only")
        self.params_ = effective_params(
            self.kind, self.params, rows=len(codes), positives=int(codes.sum())
        )
        self.model_: Model = self._fit_model(matrix, codes, given)
        return self

    def decision_function(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Return log-odds, shape (n,)."""
        matrix = self._checked(X)
        return self.model_.raw_score(matrix)

    def predict_proba(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Return the probabilities of both classes, shape (n, 2), uncalibrated."""
        positive = 1 / (1 + np.exp(-self.decision_function(X)))
        return np.column_stack([1 - positive, positive])

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return the likelier class of each row, shape (n,)."""
        raw_score = self.decision_function(X)
        chosen: NDArray[Any] = self.classes_[(raw_score > 0).astype(int)]
        return chosen

    def contributions(self, X: ArrayLike) -> tuple[Floats, float] | None:  # noqa: N803
        """Return what each column added to the log-odds, (n, k), and the base, if known."""
        matrix = self._checked(X)
        return self.model_.contributions(matrix)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that nulls are welcome and classes are two."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags

    def _checked(self, X: ArrayLike) -> Matrix:  # noqa: N803
        check_is_fitted(self)
        matrix: Matrix = validate_data(
            self, X, dtype=np.float32, ensure_all_finite="allow-nan", reset=False
        )
        return matrix

    def _fit_model(self, matrix: Matrix, codes: NDArray[np.intp], given: Floats | None) -> Model:
        weights = _balanced(codes, given) if self.imbalance == "weights" else given
        if self.kind == "logistic":
            return self._fit_linear(matrix, codes, weights, given)
        if self.kind == "boosting":  # a column of nulls only has no bins to cut it into
            matrix = np.where(np.isnan(matrix).all(axis=0), np.float32(0), matrix)
        trees = getattr(self, f"_{self.kind}")()
        threads = threads_for(len(matrix))
        if threads and self.kind != "boosting":
            trees.set_params(n_jobs=1)
        with threadpool_limits(threads, user_api="openmp"):
            if self.imbalance == "smote":
                logs = ScaledLogs(matrix)
                oversampled(trees, logs.columns(matrix), codes, back=logs, seed=self.seed)
            else:
                trees.fit(matrix, codes, sample_weight=weights)
        if self.kind == "xgboost":
            return XgboostModel(trees.get_booster())
        if self.kind == "lightgbm":
            return LightgbmModel(trees.booster_)
        if self.kind == "forest":
            trees.n_jobs = 1  # what is saved does not depend on this machine
        return SklearnModel(trees)

    def _fit_linear(
        self,
        matrix: Matrix,
        codes: NDArray[np.intp],
        weights: Floats | None,
        given: Floats | None,
    ) -> LinearModel:
        logs = ScaledLogs(matrix, given)
        columns = logs.columns(matrix)
        fitted = LogisticRegression(max_iter=1000, random_state=self.seed, **self.params_)
        if self.imbalance == "smote":
            oversampled(fitted, columns, codes, back=None, seed=self.seed)
        else:
            fitted.fit(columns, codes, sample_weight=weights)
        slope, told = np.split(fitted.coef_[0], [len(logs.center)])
        null = np.zeros(len(logs.center))
        null[logs.told] = told
        # A null's indicator is centred, so that an average user contributes nothing; a known
        # value then carries -null · share, which belongs to the base.
        base = float(fitted.intercept_[0] - (null * logs.share).sum())
        return LinearModel(slope / logs.scale, logs.center, null, base)

    def _forest(self) -> RandomForestClassifier:
        return RandomForestClassifier(n_jobs=-1, random_state=self.seed, **self.params_)

    def _boosting(self) -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(
            random_state=self.seed,
            early_stopping=False,
            monotonic_cst=None if self.monotone is None else list(self.monotone),
            **self.params_,
        )

    def _xgboost(self) -> Any:
        from xgboost import XGBClassifier

        signs = {} if self.monotone is None else {"monotone_constraints": tuple(self.monotone)}
        return XGBClassifier(random_state=self.seed, tree_method="hist", **self.params_, **signs)

    def _lightgbm(self) -> Any:
        signs = {} if self.monotone is None else {"monotone_constraints": list(self.monotone)}
        return lightgbm().LGBMClassifier(
            random_state=self.seed, deterministic=True, force_row_wise=True, verbose=-1,
            n_jobs=-1,  # left out, it takes every core whatever OMP_NUM_THREADS says
            **self.params_, **signs,
        )  # fmt: skip


def threads_for(rows: int) -> int | None:
    """Return 1 where threads would wait for each other longer than they work, None for all."""
    return 1 if rows < _SHARED else None


def effective_params(
    kind: str, params: Mapping[str, Any] | None, *, rows: int, positives: int
) -> dict[str, Any]:
    """Return what the library of a kind is given: params over DEFAULTS, eased where rows are few.

    rows, positives: of the data as they are; synthetic ones are no evidence for smaller leaves.
    Raises UsageError for a kind that is not known.

    >>> effective_params("lightgbm", {}, rows=2000, positives=100)["min_child_samples"]
    40
    """
    if kind not in KINDS:
        raise UsageError(f"kind {kind!r}: choose one of {', '.join(KINDS)}")
    found = {**DEFAULTS[kind], **(params or {})}
    for name in ("min_samples_leaf", "min_child_samples"):
        if name in found:
            found[name] = max(1, min(found[name], rows // 50))
    if "min_child_weight" in found:
        found["min_child_weight"] = min(found["min_child_weight"], positives / 8)
    if "max_samples" in found and rows < _FEW:
        found["max_samples"] = None
    return found


_FEW = 10_000  # rows, of which each tree of a forest sees all
_SHARED = 50_000  # rows, below which a second thread does not pay
HUGE = 1e30  # XGBoost sums squares in 32 bits


def _balanced(codes: NDArray[np.intp], given: Floats | None) -> Floats:
    """Return weights of rows by which both classes weigh the same, over those that were given."""
    each = np.ones(len(codes)) if given is None else given
    totals = np.bincount(codes, weights=each, minlength=2)
    found: Floats = each * (each.sum() / (2.0 * totals))[codes]
    return found
