"""Logistic regression of scorecard terms: signs kept where asked, errors clustered by user.

Terms are few (at most some dozens), so the fit is Newton's with the whole Hessian: it converges to
the last digits in a few steps, whatever the scales of the terms, and says so when it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..types import Floats

# Of a whole fit, not of a row: it settles ties (two terms that say the same, a term that alone
# tells the classes apart) and its pull on everything else vanishes as rows are added.
RIDGE = 1e-5
_CLOSE = 1e-8  # log-odds: a step after which the fit has converged
_STEPS = 200
_FLAT = 100  # curvature of the data, in ridges, below which it is the ridge that settles


@dataclass(frozen=True)
class TermFit:
    """Log-odds of the outcome as a sum of terms: intercept + table @ coefficients.

    coefficients, errors: (k,), log-odds of a whole term (share 1 against share 0), and their
    standard errors without signs; infinite where the data do not tell: the term never changes,
    goes with another one, or all users who have it are of one class.
    """

    intercept: float
    coefficients: Floats
    errors: Floats


def fit_terms(
    table: Floats,
    labels: NDArray[np.bool_],
    users: NDArray[np.int64],
    sign: Floats | None = None,
) -> TermFit:
    """Fit log-odds of the labels as a sum of terms by maximum likelihood.

    table: shares of the terms, 0 to 1, (n, k). labels: bool (n,), of both classes. users: who each
    row is, as integers, (n,): rows of one user are one observation for the errors (the sandwich of
    Liang & Zeger 1986). sign: +1 or -1 by term, (k,); a coefficient of the other sign becomes zero.

    The minimiser is the projected Newton method of Bertsekas (1982).

    Raises DataError when it does not converge.

    >>> rng = np.random.default_rng(0)
    >>> table = rng.random((40_000, 2))
    >>> labels = rng.random(40_000) < 1 / (1 + np.exp(3 - 4 * table[:, 0] + table[:, 1]))
    >>> fit_terms(table, labels, np.arange(40_000)).coefficients.round().tolist()
    [4.0, -1.0]
    """
    center = table.mean(axis=0)
    design = np.column_stack([np.ones(len(table)), table - center])
    weights = _newton(design, labels, np.zeros(table.shape[1]) if sign is None else sign)
    errors = _clustered_errors(design, labels, users, weights)
    return TermFit(float(weights[0] - weights[1:] @ center), weights[1:], errors[1:])


def least_loss(
    design: Floats, labels: NDArray[np.bool_], sign: Floats, start: Floats | None = None
) -> tuple[Floats, float]:
    """Return the weights, (1 + k,), whose loss is least among those of given signs, and that loss.

    design: a column of ones, then terms, (n, 1 + k). sign: by term, +1, -1 or 0 for any. start:
    weights to start from, of these signs. The loss is minus the log-likelihood of all rows.

    Raises DataError when the fit does not converge.
    """
    weights = _newton(design, labels, sign, start)
    return weights, _loss(design, labels, weights) * len(design)


def _newton(
    design: Floats, labels: NDArray[np.bool_], sign: Floats, start: Floats | None = None
) -> Floats:
    """Return the weights, (1 + k,), whose loss is least among those of the given signs (0: any)."""
    bound = np.concatenate([[0.0], sign])
    weights = np.zeros(design.shape[1])
    weights[0] = np.log(labels.mean() / (1 - labels.mean()))
    if start is not None:
        weights = start.copy()
    loss = _loss(design, labels, weights)
    for _ in range(_STEPS):
        gradient, curvature = _derivatives(design, labels, weights)
        # A weight at zero stays there when the loss would only fall on the other side of it.
        free = ~((bound != 0) & (weights == 0) & (bound * gradient > 0))
        step = np.zeros_like(weights)
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], -gradient[free])
        length = 1.0
        while length > 2.0**-40:
            tried = weights + length * step
            tried[bound * tried < 0] = 0.0
            now = _loss(design, labels, tried)
            # The last digits of a loss tell nothing of steps as small as these.
            if now <= loss + 1e-4 * (gradient @ (tried - weights)) or _near(weights, tried):
                break
            length /= 2
        if length == 1.0 and _near(weights, tried):
            return tried
        weights, loss = tried, now
    raise DataError(
        f"the logistic fit of {design.shape[1] - 1} terms did not converge in {_STEPS} steps: "
        "leave out terms that say the same, or load more history"
    )


def _near(weights: Floats, tried: Floats) -> bool:
    return bool(np.abs(tried - weights).max() <= _CLOSE)


def _loss(design: Floats, labels: NDArray[np.bool_], weights: Floats) -> float:
    raw_score = design @ weights
    lost = np.logaddexp(0.0, np.where(labels, -raw_score, raw_score)).mean()
    return float(lost + _ridge(len(design)) / 2 * (weights[1:] ** 2).sum())


def _derivatives(
    design: Floats, labels: NDArray[np.bool_], weights: Floats
) -> tuple[Floats, Floats]:
    """Return the gradient, (1 + k,), and the Hessian of the loss."""
    rows = len(design)
    probability = _logistic(design @ weights)
    gradient = design.T @ (probability - labels) / rows
    gradient[1:] += _ridge(rows) * weights[1:]
    curvature = (design * (probability * (1 - probability))[:, None]).T @ design / rows
    curvature[np.diag_indices(len(weights))] += np.where(np.arange(len(weights)), _ridge(rows), 0)
    return gradient, curvature


def _clustered_errors(
    design: Floats, labels: NDArray[np.bool_], users: NDArray[np.int64], weights: Floats
) -> Floats:
    """Return standard errors of the weights, (1 + k,)."""
    probability = _logistic(design @ weights)
    _, bread = _derivatives(design, labels, weights)
    _, who = np.unique(users, return_inverse=True)
    pulls = design * (labels - probability)[:, None]
    summed = np.column_stack([np.bincount(who, weights=pull) for pull in pulls.T])
    curvature, directions = np.linalg.eigh(bread)
    flat = curvature <= _FLAT * _ridge(len(design))
    told = directions[:, ~flat]
    inverse = (told / curvature[~flat]) @ told.T
    covariance = inverse @ (summed.T @ summed / len(design) ** 2) @ inverse
    errors: Floats = np.sqrt(np.diag(covariance))
    errors[(np.abs(directions[:, flat]) > 0.01).any(axis=1)] = np.inf  # noqa: PLR2004 - rounding
    return errors


def _ridge(rows: int) -> float:
    return RIDGE / rows


def _logistic(raw_score: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(raw_score, -500, 500)))
    return found
