"""Models that an earlier version registered: they load, and say the same of the same users.

`data/registered` was written by commit 545df66: four scorers of a small shop, forty users' features
and what each scorer predicted for them.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from whyrank.serving import Served

SAVED = Path(__file__).parent / "data" / "registered"
SCORERS = ("scorecard", "logistic", "xgboost", "scorecard_shaped")


@pytest.mark.parametrize("scorer", SCORERS)
def test_a_scorer_that_was_saved_before_the_redesign_predicts_the_same(scorer: str) -> None:
    frame = pd.read_csv(SAVED / "features.csv")
    saved = pd.read_csv(SAVED / "predictions.csv", keep_default_na=False, na_values=["nan"])
    wanted = saved[saved["scorer"] == scorer].drop(columns="scorer").reset_index(drop=True)
    served = Served.load(SAVED / scorer, SAVED / "spec.json")
    found = served.predict(frame, user_id=True)
    assert list(found.columns) == list(wanted.columns)
    assert len(found) == len(frame) > 0
    for name in found.columns:
        if found[name].dtype.kind == "f":
            expected = pd.to_numeric(wanted[name])
            assert np.allclose(found[name], expected, rtol=1e-12, atol=0, equal_nan=True), name
        else:
            for one, other in zip(found[name], wanted[name], strict=True):
                assert _nearly(_parsed(one), _parsed(other)), (name, one, other)


def _parsed(value: object) -> object:
    """Return what a text of JSON holds: its numbers differ in the last bit between machines."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        return json.loads(value)
    return value


def _nearly(one: object, other: object) -> bool:
    """Whether two values of JSON are the same, numbers to 1e-12 of their size."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_nearly, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(map(_nearly, one.values(), other.values()))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12)
    return one == other


def test_the_text_that_loads_a_model_of_mlflows_still_finds_what_it_imports() -> None:
    """It is kept inside every registered model: `ranking_model` has to stay where it is."""
    from whyrank.tracking import ranking_model

    assert callable(ranking_model)
