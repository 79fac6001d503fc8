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
from sklearn.utils.validation import check_is_fitted, validate_data

from ..errors import UsageError
from ..scorer import Floats
from .encoding import Matrix
from .fitted import (
    LightgbmModel,
    LinearModel,
    Model,
    SklearnModel,
    XgboostModel,
    lightgbm,
    signed_log,
)
from .storage import ScaledModel

Imbalance = Literal["none", "weights", "smote"]
KINDS = ("logistic", "forest", "boosting", "xgboost", "lightgbm")
SMOTE_RATIO = 0.2  # positives for each negative after oversampling
_SMOTE_NEIGHBOURS = 5

# Few positives and weak signals ask for shallow trees, strong shrinkage and many rows per leaf.
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
        "n_estimators": 200,
        "max_depth": 3,
        "learning_rate": 0.03,
        "subsample": 0.7,
        "colsample_bytree": 0.5,
        "min_child_weight": 20.0,
        "reg_lambda": 10.0,
    },
    "lightgbm": {
        "n_estimators": 200,
        "learning_rate": 0.03,
        "num_leaves": 8,
        "min_child_samples": 200,
        "subsample": 0.7,
        "subsample_freq": 1,
        "colsample_bytree": 0.5,
        "reg_lambda": 10.0,
    },
}


class RankingClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # untyped bases
    """A binary classifier that ranks by log-odds; nulls (NaN) are allowed.

    kind: logistic, forest, boosting (scikit-learn's), xgboost or lightgbm. imbalance: none;
    weights (each class weighs the same in all); smote (SMOTE on filled and scaled columns, Chawla
    et al. 2002, inside this fit only). params: of the library, over DEFAULTS. monotone: for each
    column 1 (can only raise), -1 (can only lower) or 0; the linear model and the forest ignore it.
    seed: of everything random.

    Weighted and resampled fits have inflated chances: `learned` calibrates them to the true rate.

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

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's names
        """Fit on a matrix (n, k), NaN allowed, and two classes.

        Raises ValueError when y has one class only, as scikit-learn's contract asks for.
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
        matrix = np.clip(matrix, -_HUGE, _HUGE)
        if self.imbalance == "smote":
            self.model_: Model = self._oversampled(matrix, codes)
        else:
            weights = _balanced(codes) if self.imbalance == "weights" else None
            self.model_ = self._fit_model(matrix, codes, weights)
        return self

    def decision_function(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Return log-odds, shape (n,)."""
        matrix = self._checked(X)
        return self.model_.margin(matrix)

    def predict_proba(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Return the chances of both classes, shape (n, 2), uncalibrated."""
        positive = 1 / (1 + np.exp(-self.decision_function(X)))
        return np.column_stack([1 - positive, positive])

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return the likelier class of each row, shape (n,)."""
        margin = self.decision_function(X)
        chosen: NDArray[Any] = self.classes_[(margin > 0).astype(int)]
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

    def _fit_model(self, matrix: Matrix, codes: NDArray[np.intp], weights: Floats | None) -> Model:
        if self.kind not in KINDS:
            raise UsageError(f"kind {self.kind!r}: choose one of {', '.join(KINDS)}")
        params = {**DEFAULTS[self.kind], **(self.params or {})}
        fit = getattr(self, f"_fit_{self.kind}")
        model: Model = fit(matrix, codes, weights, params)
        return model

    def _oversampled(self, matrix: Matrix, codes: NDArray[np.intp]) -> Model:
        from imblearn.over_sampling import SMOTE
        from imblearn.pipeline import Pipeline

        fill = _medians(matrix)
        filled = np.where(np.isnan(matrix), fill, matrix)
        scale = filled.std(axis=0)
        frame = ScaledModel(fill, filled.mean(axis=0), np.where(scale > 0, scale, 1.0), None)  # type: ignore[arg-type] # filled in below
        positives = int(codes.sum())
        ratio = max(SMOTE_RATIO, positives / (len(codes) - positives))
        steps: list[tuple[str, Any]] = []
        if 1 < positives < ratio * (len(codes) - positives):
            neighbours = min(_SMOTE_NEIGHBOURS, positives - 1)
            smote = SMOTE(sampling_strategy=ratio, k_neighbors=neighbours, random_state=self.seed)
            steps.append(("smote", smote))
        inner = RankingClassifier(self.kind, "none", self.params, self.monotone, self.seed)
        pipeline = Pipeline([*steps, ("classifier", inner)])
        pipeline.fit(frame.scaled(matrix), codes)
        return ScaledModel(
            frame.fill, frame.center, frame.scale, pipeline.named_steps["classifier"].model_
        )

    def _fit_logistic(
        self,
        matrix: Matrix,
        codes: NDArray[np.intp],
        weights: Floats | None,
        params: dict[str, Any],
    ) -> LinearModel:
        logs = signed_log(matrix)
        unknown = np.isnan(logs)
        known = ~unknown.all(axis=0)
        center = np.zeros(logs.shape[1])
        center[known] = np.nanmean(logs[:, known], axis=0)
        scale = np.ones(logs.shape[1])
        scale[known] = np.nanstd(logs[:, known], axis=0)
        scale[scale == 0] = 1.0
        scaled = np.where(unknown, 0.0, (logs - center) / scale)
        share = unknown.mean(axis=0)
        design = np.hstack([scaled, unknown - share])
        fitted = LogisticRegression(max_iter=1000, random_state=self.seed, **params)
        fitted.fit(design, codes, sample_weight=weights)
        slope, missing = np.split(fitted.coef_[0], 2)
        # A null's indicator is centred, so that an average user contributes nothing; a known
        # value then carries -missing · share, which belongs to the base.
        base = float(fitted.intercept_[0] - (missing * share).sum())
        return LinearModel(slope / scale, center, missing, base)

    def _fit_forest(
        self,
        matrix: Matrix,
        codes: NDArray[np.intp],
        weights: Floats | None,
        params: dict[str, Any],
    ) -> SklearnModel:
        params["min_samples_leaf"] = _leaf(params["min_samples_leaf"], len(codes))
        if len(codes) < _FEW:
            params["max_samples"] = None
        forest = RandomForestClassifier(n_jobs=-1, random_state=self.seed, **params)
        forest.fit(matrix, codes, sample_weight=weights)
        forest.n_jobs = 1  # what is saved does not depend on this machine
        return SklearnModel(forest)

    def _fit_boosting(
        self,
        matrix: Matrix,
        codes: NDArray[np.intp],
        weights: Floats | None,
        params: dict[str, Any],
    ) -> SklearnModel:
        params["min_samples_leaf"] = _leaf(params["min_samples_leaf"], len(codes))
        boosting = HistGradientBoostingClassifier(
            random_state=self.seed,
            early_stopping=False,
            monotonic_cst=None if self.monotone is None else list(self.monotone),
            **params,
        )
        # A column of nulls only has no bins to cut it into.
        known = np.where(np.isnan(matrix).all(axis=0), np.float32(0), matrix)
        return SklearnModel(boosting.fit(known, codes, sample_weight=weights))

    def _fit_xgboost(
        self,
        matrix: Matrix,
        codes: NDArray[np.intp],
        weights: Floats | None,
        params: dict[str, Any],
    ) -> XgboostModel:
        from xgboost import XGBClassifier

        if self.monotone is not None:
            params["monotone_constraints"] = tuple(self.monotone)
        params["min_child_weight"] = min(params["min_child_weight"], codes.sum() / 8)
        booster = XGBClassifier(random_state=self.seed, tree_method="hist", **params)
        booster.fit(matrix, codes, sample_weight=weights)
        return XgboostModel(booster.get_booster())

    def _fit_lightgbm(
        self,
        matrix: Matrix,
        codes: NDArray[np.intp],
        weights: Floats | None,
        params: dict[str, Any],
    ) -> LightgbmModel:
        if self.monotone is not None:
            params["monotone_constraints"] = list(self.monotone)
        params["min_child_samples"] = _leaf(params["min_child_samples"], len(codes))
        booster = lightgbm().LGBMClassifier(
            random_state=self.seed, deterministic=True, force_row_wise=True, verbose=-1, **params
        )
        booster.fit(matrix, codes, sample_weight=weights)
        return LightgbmModel(booster.booster_)


_FEW = 10_000  # rows, of which each tree of a forest sees all
_HUGE = 1e30  # XGBoost sums squares in 32 bits


def _leaf(rows: int, n: int) -> int:
    """Return rows per leaf, fewer where there are few rows at all."""
    return max(1, min(rows, n // 50))


def _balanced(codes: NDArray[np.intp]) -> Floats:
    counts = np.bincount(codes, minlength=2)
    return (len(codes) / (2.0 * counts))[codes]


def _medians(matrix: Matrix) -> Floats:
    known = ~np.isnan(matrix).all(axis=0)
    fill = np.zeros(matrix.shape[1])
    fill[known] = np.nanmedian(matrix[:, known], axis=0)
    return fill
