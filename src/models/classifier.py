"""One scikit-learn classifier over the libraries that rank, imbalance included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from ..errors import UsageError
from ..types import Floats
from .catalogue import Imbalance
from .encoding import Matrix
from .fitted import Model
from .kinds import CLASSIFIERS
from .labels import two_classes

_INSIDE = "params__"


class RankingClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # untyped bases
    """A binary classifier that ranks by log-odds; nulls (NaN) are allowed.

    kind: one of `kinds.CLASSIFIERS`, such as logistic, forest or xgboost. imbalance: none;
    weights (each class weighs the same in all); smote (synthetic positives, inside this fit only,
    see `oversampling`). params: of the library, over its defaults; params_ holds those that it was
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
            kind = CLASSIFIERS.get(self.kind)
            inside = {**(kind.defaults if kind else {}), **(self.params or {})}
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
        self.classes_, codes = two_classes(labels, type(self).__name__)
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
        kind = CLASSIFIERS.get(self.kind)
        if kind is None:
            raise UsageError(f"kind {self.kind!r}: choose one of {', '.join(CLASSIFIERS)}")
        self.params_ = kind.effective_params(
            self.params, rows=len(codes), positives=int(codes.sum())
        )
        self.model_: Model = kind.fit_classes(
            matrix, codes, given,
            params=self.params_, imbalance=self.imbalance, monotone=self.monotone, seed=self.seed,
        )  # fmt: skip
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
