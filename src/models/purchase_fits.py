"""BG/NBD and Gamma-Gamma fitted by maximum likelihood, as scikit-learn estimators."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import betaln, gammaln
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted

from ..errors import DataError
from ..types import Floats
from .purchases import expected_purchases, expected_value

_START = (-1.0, 0.5, 0.0, 0.5)  # logarithms of r, alpha (in mean ages), a, b
_FINE = {"maxiter": 4000, "maxfev": 4000, "xatol": 1e-7, "fatol": 1e-12}


class BgNbd(BaseEstimator):  # type: ignore[misc] # untyped base
    """Purchases as a Poisson process that a customer may leave after any of them (BG/NBD).

    Purchase rates vary over customers by a gamma distribution (r, alpha), probabilities to leave by
    a beta distribution (a, b). horizon: how far ahead `predict` looks, in the unit of time of X.

    Columns of X, shape (n, 3): repeat purchases x; time of the last one since the first, t_x (0
    without repeats); time observed since the first, T. Same unit of time for both.

    >>> X = np.array([[0, 0.0, 30.0], [2, 20.0, 30.0], [5, 28.0, 30.0], [1, 3.0, 30.0]])
    >>> bool((BgNbd(horizon=10.0).fit(X).predict(X) > 0).all())
    True
    """

    def __init__(self, horizon: float = 1.0) -> None:
        self.horizon = horizon

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: N803 - scikit-learn's names
        """Find r, alpha, a, b by maximum likelihood (eq. 6 of the paper).

        Raises DataError when X is not possible: negative counts, or 0 <= t_x <= T broken.
        """
        del y
        x, t_x, age = _histories(X)
        unit = float(age.mean()) or 1.0  # times around 1 keep the search well scaled
        together = np.column_stack([x, t_x / unit, age / unit])
        rows, weights = np.unique(together, axis=0, return_counts=True)
        x, t_x, age = rows.T

        def loss(logs: Floats) -> float:
            r, alpha, a, b = np.exp(np.clip(logs, -15, 15))
            logs_of_each = _log_likelihood(x, t_x, age, r, alpha, a, b)
            return -float(np.average(logs_of_each, weights=weights))

        found = minimize(loss, np.array(_START), method="L-BFGS-B", options={"maxiter": 500})
        polished = minimize(loss, found.x, method="Nelder-Mead", options=_FINE)
        r, alpha, a, b = np.exp(np.clip(polished.x, -15, 15))
        self.r_, self.alpha_, self.a_, self.b_ = float(r), float(alpha * unit), float(a), float(b)
        self.n_features_in_ = 3
        return self

    def predict(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Return purchases expected within the horizon, shape (n,) (eq. 10 of the paper)."""
        check_is_fitted(self)
        x, t_x, age = _histories(X)
        return expected_purchases(
            x, t_x, age, self.horizon, (self.r_, self.alpha_, self.a_, self.b_)
        )

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that no column may be negative."""
        return _positive(super().__sklearn_tags__())


class GammaGamma(BaseEstimator):  # type: ignore[misc] # untyped base
    """What a purchase of a customer is worth, shrunk toward what purchases are worth overall.

    Columns of X, shape (n, 2): number of purchases, above zero; their mean value, above zero.

    >>> X = np.array([[1, 10.0], [4, 50.0], [2, 30.0], [3, 20.0], [1, 90.0]])
    >>> worth = GammaGamma().fit(X).predict(X)
    >>> bool(10 < worth[0] and worth[4] < 90)
    True
    """

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: N803
        """Find p, q, v by maximum likelihood (eq. 1a of the note).

        Raises DataError when a count or a value is not above zero.
        """
        del y
        table = check_array(X, dtype=np.float64)
        if table.shape[1] != 2 or not (table > 0).all():  # noqa: PLR2004
            raise DataError("purchases and their mean value, two columns, must be above zero")
        x, z = table.T
        unit = float(z.mean())
        z = z / unit

        def loss(logs: Floats) -> float:
            p, q, v = np.exp(np.clip(logs, -12, 12))
            terms = (
                gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(v)
                + (p * x - 1) * np.log(z) + p * x * np.log(x) - (p * x + q) * np.log(x * z + v)
            )  # fmt: skip
            return -float(terms.mean())

        found = minimize(loss, np.array([0.5, 1.0, 0.5]), method="Nelder-Mead", options=_FINE)
        p, q, v = np.exp(np.clip(found.x, -12, 12))
        self.p_, self.q_, self.v_ = float(p), float(q), float(v * unit)
        self.overall_ = float(z.mean() * unit)
        self.n_features_in_ = 2
        return self

    def predict(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Return the expected value of a purchase, shape (n,); the overall one where unknown.

        Purchases of zero, or a value that is unknown (NaN) or zero, tell nothing.
        """
        check_is_fitted(self)
        table = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")
        x, z = table.T
        return expected_value(x, z, (self.p_, self.q_, self.v_), self.overall_)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that no column may be negative."""
        return _positive(super().__sklearn_tags__())


def _positive(tags: Any) -> Any:
    tags.input_tags.positive_only = True
    return tags


def _histories(table: ArrayLike) -> tuple[Floats, Floats, Floats]:
    checked = check_array(table, dtype=np.float64)
    if checked.shape[1] != 3:  # noqa: PLR2004
        raise DataError(f"{checked.shape[1]} columns: purchase histories have 3, x, t_x and T")
    x, t_x, age = checked.T
    if (x < 0).any() or (t_x < 0).any() or (t_x > age).any():
        raise DataError("a purchase history must have x >= 0 and 0 <= t_x <= T")
    return x, t_x, age


def _log_likelihood(
    x: Floats, t_x: Floats, age: Floats, r: float, alpha: float, a: float, b: float
) -> Floats:
    """Return the log-likelihood of each history (Fader, Hardie & Lee 2005, eq. 6)."""
    scale = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    alive = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + age)
    # B(a + 1, b + x - 1) has no meaning for x = 0, where nobody can have left yet.
    safe = np.maximum(x, 1)
    left = betaln(a + 1, b + safe - 1) - betaln(a, b) - (r + x) * np.log(alpha + t_x)
    together: Floats = scale + np.where(x > 0, np.logaddexp(alive, left), alive)
    return together
