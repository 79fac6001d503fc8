"""Calibrating points: planted weights come back, and proposals are always lawful scorecards."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whyrank.scoring.calibration import _whole, calibrate_to_importance, calibrate_to_outcome
from whyrank.spec.scorecard import ScorecardSpec


def card(points: list[int], *, grouped: bool = False) -> ScorecardSpec:
    terms = [
        {"name": f"t{i}", "feature": f"t{i}", "points": p, "transform": "linear", "cap": 1,
         "reason": "x", **({"group": "g"} if grouped and i < 2 else {})}
        for i, p in enumerate(points)
    ]  # fmt: skip
    groups = {"g": {"cap": 30, "reason": "x"}} if grouped else {}
    return ScorecardSpec.model_validate({"terms": terms, "groups": groups})


def test_planted_weights_come_back_and_a_wrong_sign_is_reported_not_flipped() -> None:
    rng = np.random.default_rng(1)
    table = rng.random((60_000, 4))
    margin = table @ np.array([4.0, 2.0, -1.5, -2.0]) - 4
    labels = rng.random(60_000) < 1 / (1 + np.exp(-margin))
    spec = card([20, 40, 40, -10])  # the third is said to help, and does harm
    found = calibrate_to_outcome(spec, table, labels, np.ones(4))
    assert [term.contradicted for term in found.terms] == [False, False, True, False]
    first, second, third, fourth = (term.new for term in found.terms)
    assert third == 1
    # 99 points to share by 4 : 2; standard errors of these coefficients are about 0.05.
    assert abs(first / second - 2) < 0.2
    assert abs(-fourth / second - 1) < 0.15


def test_importance_becomes_points_whose_own_contributions_have_its_shares() -> None:
    rng = np.random.default_rng(2)
    table = np.column_stack([rng.random(5000), rng.random(5000) < 0.05, rng.random(5000)])
    values = (table - table.mean(axis=0)) * np.array([1.0, 6.0, 2.0])
    found = calibrate_to_importance(card([30, 30, 40]), table, values)
    # Contributions that are linear in the shares come back as their slopes, 1 : 6 : 2 of 100.
    assert [term.new for term in found.terms] == [11, 67, 22]


@given(
    st.lists(st.floats(0, 50), min_size=4, max_size=4),
    st.booleans(),
)
def test_any_proposal_is_whole_keeps_signs_and_reaches_100(
    wanted: list[float], grouped: bool
) -> None:
    spec = card([30, 24, 70, -8], grouped=True) if grouped else card([30, 24, 46, -8])
    proposed = _whole(spec, np.array(wanted))
    assert proposed.reachable() == 100
    for old, new in zip(spec.terms, proposed.terms, strict=True):
        assert new.points == int(new.points)
        assert np.sign(new.points) == np.sign(old.points)
        assert abs(new.points) >= 1
