"""Transforms of a feature into a share of a term's points, 0 to 1, in Python and in SQL.

Both are rounded to millionths as integers, by the same rule, so that the two scorecards agree to
the hundredth of a point although their logarithms may differ in the last bit.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from ..scorer import FeatureTable
from ..spec.expressions import quote_name, quote_text
from ..spec.scorecard import HUNDREDTHS, TermSpec
from ..types import Floats, Integers

MILLION = 1_000_000


def shares(term: TermSpec, table: FeatureTable) -> Integers:
    """Return a term's shares for n users, shape (n,), int64 millionths from 0 to 1,000,000.

    A null and what is not finite give 0; values below zero count as zero.
    """
    if term.transform == "map":
        codes, texts = table.categorical(term.feature)
        known = term.map or {}
        by_code = [known.get(text, term.other) for text in texts]
        ladder = np.array([*by_code, 0.0], dtype=np.float64)
        return _millionths(ladder[codes])
    values = table.numeric(term.feature)
    missing = ~np.isfinite(values)
    clean = (
        np.maximum(np.where(missing, 0.0, values), 0.0)
        if missing.any()
        else np.maximum(values, 0.0)
    )
    result = _millionths(_curve(term, clean))
    if missing.any():
        result[missing] = 0
    return result


def _curve(term: TermSpec, values: Floats) -> Floats:
    """Return a term's share of values at or above zero, as floats from 0 to 1."""
    if term.transform == "flag":
        return (values > 0).astype(np.float64)
    if term.transform == "half_life":
        return np.exp2(-values / float(term.half_life or 1.0))
    cap = float(term.cap or 1.0)
    capped = np.minimum(values, cap)
    if term.transform == "linear":
        return capped / cap
    logs: Floats = np.log(1.0 + capped) / np.log(1.0 + cap)
    return logs


def _millionths(share: Floats) -> Integers:
    rounded: NDArray[np.int64] = np.floor(share * MILLION + 0.5).astype(np.int64)
    return rounded


def points_of(term: TermSpec, share: Integers) -> Integers:
    """Return points in whole hundredths, halves away from zero, shape (n,), int64.

    >>> from whyrank.spec.scorecard import TermSpec
    >>> term = TermSpec(name="t", feature="f", points=-3, transform="flag", reason="r")
    >>> points_of(term, np.array([0, 500_000, 1_000_000])).tolist()
    [0, -150, -300]
    """
    worth = round(term.points * HUNDREDTHS)
    size = (abs(worth) * share + MILLION // 2) // MILLION
    return size if worth > 0 else -size


def points_sql(term: TermSpec) -> str:
    """Return a term's points in whole hundredths as an SQL expression over feature columns."""
    worth = round(term.points * HUNDREDTHS)
    share = f"cast(floor(({_share_sql(term)}) * {MILLION} + 0.5) as bigint)"
    size = f"(({abs(worth)} * {share} + {MILLION // 2}) // {MILLION})"
    return size if worth > 0 else f"(-{size})"


def _share_sql(term: TermSpec) -> str:
    column = quote_name(term.feature)
    if term.transform == "map":
        cases = " ".join(
            f"when {quote_text(text)} then {share!r}" for text, share in (term.map or {}).items()
        )
        known = f"case {column} {cases} else {term.other!r} end"
        return f"case when {column} is null then 0.0 else {known} end"
    value = f"greatest(cast({column} as double), 0.0)"
    # Every engine orders a NaN above all numbers.
    null = f"{column} is null or abs(cast({column} as double)) > {sys.float_info.max!r}"
    if term.transform == "flag":
        curve = f"case when {value} > 0 then 1.0 else 0.0 end"
    elif term.transform == "half_life":
        curve = f"pow(2.0, -{value} / {float(term.half_life or 1.0)!r})"
    else:
        cap = repr(float(term.cap or 1.0))
        capped = f"least({value}, {cap})"
        linear = term.transform == "linear"
        curve = f"{capped} / {cap}" if linear else f"ln(1.0 + {capped}) / ln(1.0 + {cap})"
    return f"case when {null} then cast(0.0 as double) else cast({curve} as double) end"
