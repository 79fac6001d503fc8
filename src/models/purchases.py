"""BG/NBD and Gamma-Gamma: repeat purchase from counts and times alone, in closed form.

The classic of the field (Fader, Hardie & Lee 2005, "Counting Your Customers the Easy Way: An
Alternative to the Pareto/NBD Model"; Fader & Hardie 2013, "The Gamma-Gamma Model of Monetary
Value"): the bar that a learned scorer has to clear.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..types import Floats
from .encoding import Matrix

_SINGULAR = 1e-6


def expected_purchases(
    x: Floats, t_x: Floats, age: Floats, horizon: float, params: tuple[float, float, float, float]
) -> Floats:
    """Return purchases expected within `horizon` more, shape (n,); params: r, alpha, a, b."""
    from scipy.special import hyp2f1

    r, alpha, a, b = params
    if abs(a - 1) < _SINGULAR:  # the formula divides by a - 1, and is continuous there
        a = 1 + _SINGULAR
    z = horizon / (alpha + age + horizon)
    series = hyp2f1(r + x, b + x, a + b + x - 1, z)
    ahead = 1 - ((alpha + age) / (alpha + age + horizon)) ** (r + x) * series
    left = np.zeros_like(x)
    again = x > 0
    left[again] = (a / (b + x[again] - 1)) * ((alpha + age[again]) / (alpha + t_x[again])) ** (
        r + x[again]
    )
    found: Floats = (a + b + x - 1) / (a - 1) * ahead / (1 + left)
    return found


def expected_value(
    x: Floats, z: Floats, params: tuple[float, float, float], overall: float
) -> Floats:
    """Return the expected value of a purchase, shape (n,); params: p, q, v (eq. 5 of the note)."""
    p, q, v = params
    known = (x > 0) & (z > 0)
    found = np.full(len(x), overall)
    weight = p * x[known] + q - 1
    found[known] = (v * p + p * x[known] * z[known]) / np.maximum(weight, _SINGULAR)
    return found


def purchase_histories(matrix: Matrix, columns: Sequence[int]) -> tuple[Floats, Floats, Floats]:
    """Return x, t_x and T in days from columns of repeats, days since first and since last."""
    repeats, first, last = (matrix[:, place].astype(np.float64) for place in columns)
    age = np.nan_to_num(first)
    x = np.nan_to_num(repeats)
    t_x = np.where(x > 0, np.clip(age - np.nan_to_num(last), 0, age), 0.0)
    return x, t_x, age
