"""Calibrating points: planted weights come back, and proposals are always lawful scorecards."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from whyrank.errors import DataError
from whyrank.scoring.calibration import (
    _whole,
    calibrate_to_importance,
    calibrate_to_outcome,
    shap_slopes,
)
from whyrank.scoring.term_fit import fit_terms
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
    raw_score = table @ np.array([4.0, 2.0, -1.5, -2.0]) - 4
    labels = rng.random(60_000) < 1 / (1 + np.exp(-raw_score))
    spec = card([20, 40, 40, -10])  # the third is said to help, and does harm
    found = calibrate_to_outcome(spec, table, labels, np.arange(60_000), np.ones(4))
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
    found = calibrate_to_importance(card([30, 30, 40]), table, values, np.ones((4, 3)))
    # Contributions that are linear in the shares come back as their slopes, 1 : 6 : 2 of 100.
    assert [term.new for term in found.terms] == [11, 67, 22]
    # What the terms move scores by, before and after, and what the model's do.
    for name, contributions in (
        ("own", table * [30, 30, 40]), ("own_new", table * [11, 67, 22]), ("importance", values),
    ):  # fmt: skip
        moved = np.abs(contributions - contributions.mean(axis=0)).mean(axis=0)
        shares = [getattr(term, name) for term in found.terms]
        assert shares == pytest.approx(list(moved / moved.sum()))


@given(
    st.lists(st.floats(0, 50), min_size=4, max_size=4),
    st.lists(st.booleans(), min_size=4, max_size=4).filter(lambda told: told[2]),
    st.booleans(),
)
def test_any_proposal_is_whole_keeps_signs_and_reaches_100(
    wanted: list[float], told: list[bool], grouped: bool
) -> None:
    spec = card([30, 24, 70, -8], grouped=True) if grouped else card([30, 24, 46, -8])
    proposed, unrounded, _ = _whole(spec, np.array(wanted), np.array(told))
    assert proposed.reachable() == 100
    assert unrounded.reachable() == pytest.approx(100)
    assert [np.sign(t.points) for t in unrounded.terms] == [np.sign(t.points) for t in spec.terms]
    for old, new in zip(spec.terms, proposed.terms, strict=True):
        assert new.points == int(new.points)
        assert np.sign(new.points) == np.sign(old.points)
        assert abs(new.points) >= 1


@pytest.mark.parametrize(
    ("wanted", "whole"),
    [
        ([33.4, 33.3, 33.3], [34, 33, 33]),
        ([33.3, 33.3, 33.4], [33, 33, 34]),
        ([10.4, 20.4, 69.2], [11, 20, 69]),  # of equal remainders the first
        ([10.6, 20.7, 68.7], [10, 21, 69]),  # one too many: whoever gained the most gives it
        ([0.1, 49.9, 50.0], [1, 49, 50]),  # one point at least, whoever pays for it
    ],
)
def test_rounded_points_go_to_the_largest_remainders(wanted: list[float], whole: list[int]) -> None:
    proposed, _, _ = _whole(card([30, 30, 40]), np.array(wanted), np.ones(3, dtype=bool))
    assert [term.points for term in proposed.terms] == whole


def world(rng: np.random.Generator, users: int = 300, times: int = 6) -> tuple[np.ndarray, ...]:
    """Users who stand there several times with much the same shares and, often, the same outcome.

    The first four terms have no effect, the fifth does what its points say.
    """
    shares = np.repeat(rng.random((users, 5)), times, axis=0)
    who = np.repeat(np.arange(users), times)
    bent = np.repeat(rng.normal(size=users), times)
    labels = rng.random(len(who)) < 1 / (1 + np.exp(-(2 * bent + 3 * shares[:, 4] - 2.5)))
    return shares, labels, who


def test_terms_without_any_effect_are_rarely_said_to_be_contradicted() -> None:
    """Four such terms of five, 60 worlds: one of four is flagged in one world of forty, at most.

    95% intervals that hold for all terms leave 2.5% to the wrong side: more than six worlds of 60
    would come once in 2,000 times. Rows that count one by one, or signs alone, flag far more.
    """
    rng = np.random.default_rng(5)
    flagged = alone = 0
    for _ in range(60):
        table, labels, who = world(rng)
        spec = card([25, 25, 30, -10, 20])
        found = calibrate_to_outcome(spec, table, labels, who, np.ones(5))
        flagged += any(term.contradicted for term in found.terms)
        rows = np.arange(len(labels))
        alone += any(
            t.contradicted
            for t in calibrate_to_outcome(spec, table, labels, rows, np.ones(5)).terms
        )
    assert flagged <= 6
    assert alone > 6


def test_errors_of_coefficients_are_those_that_worlds_show() -> None:
    rng = np.random.default_rng(6)
    fits, errors = [], []
    for _ in range(150):
        table, labels, who = world(rng)
        fit = fit_terms(table, labels, who)
        fits.append(fit.coefficients[:4])
        errors.append(fit.errors[:4])
    # 150 worlds tell a spread to 6%, and four terms have the same one.
    assert np.mean(errors) == pytest.approx(np.std(fits, axis=0, ddof=1).mean(), rel=0.1)


def test_slopes_of_chance_are_rarely_said_to_be_contradicted_and_true_ones_are() -> None:
    """Slopes of eight independent groups: 400 calibrations of four terms without an effect.

    One in forty is flagged; more than 25 would come once in 10,000 times.
    """
    rng = np.random.default_rng(7)
    table, spec = rng.random((50, 4)), card([25, 25, 50, -10])
    values = rng.normal(size=(50, 4))
    flagged = 0
    for _ in range(400):
        found = calibrate_to_importance(spec, table, values, rng.normal(size=(8, 4)))
        flagged += any(term.contradicted for term in found.terms)
    assert flagged <= 25
    slopes = rng.normal([1, -3, 1, 3], 0.3, size=(8, 4))
    found = calibrate_to_importance(spec, table, values, slopes)
    assert [term.contradicted for term in found.terms] == [False, True, False, True]
    few = calibrate_to_importance(spec, table, values, slopes[:2])
    assert not any(term.contradicted for term in few.terms)
    assert all(np.isinf([term.effect.low, term.effect.high]).all() for term in few.terms)
    enough = calibrate_to_importance(spec, table, values, slopes[:3])  # groups to tell a spread by
    assert np.isfinite([(term.effect.low, term.effect.high) for term in enough.terms]).all()


def test_intervals_are_as_wide_as_their_level_asks_for() -> None:
    """Normal for a fit, Student's t for eight groups; each split over the terms (Bonferroni)."""
    rng = np.random.default_rng(8)
    table, labels, who = world(rng)
    spec, ones, slopes = card([25, 25, 30, -10, 20]), np.ones(5), rng.normal(size=(8, 5))
    for level in (0.5, 0.8, 0.99):
        tail = (1 - level) / 2 / 5
        fit = calibrate_to_outcome(spec, table, labels, who, ones, level=level)
        groups = calibrate_to_importance(spec, table, table, slopes, level=level)
        errors = fit_terms(table, labels, who).errors
        spreads = slopes.std(axis=0, ddof=1) / np.sqrt(8)
        for found, wide in (
            (fit, norm.isf(tail) * errors), (groups, t.isf(tail, 7) * spreads)
        ):  # fmt: skip
            assert found.level == level
            half = [(term.effect.high - term.effect.low) / 2 for term in found.terms]
            assert half == pytest.approx(wide)


def test_a_scorecard_that_the_data_contradict_wholly_is_refused_by_name() -> None:
    rng = np.random.default_rng(9)
    table = rng.random((3000, 2))
    labels = rng.random(3000) < 1 / (1 + np.exp(2 * table[:, 0] + 2 * table[:, 1]))
    with pytest.raises(DataError, match="no term with points to give raises the outcome.*t0, t1"):
        calibrate_to_outcome(card([50, 50]), table, labels, np.arange(3000), np.ones(2))
    with pytest.raises(DataError, match="no term with points to give raises the outcome"):
        calibrate_to_importance(card([50, 50]), table, -table, -np.ones((4, 2)))


def test_slopes_are_those_of_a_straight_line() -> None:
    rng = np.random.default_rng(8)
    table = np.column_stack([rng.random(40), rng.random(40), np.ones(40)])
    values = rng.normal(size=(40, 3))
    expected = [np.polyfit(table[:, i], values[:, i], 1)[0] for i in range(2)]
    assert shap_slopes(table, values) == pytest.approx([*expected, 0.0])


def test_a_cap_is_one_point_at_least_and_grows_where_every_term_is_grouped() -> None:
    small = card([30, 24, 70, -8], grouped=True)
    small = small.model_copy(
        update={"groups": {"g": small.groups["g"].model_copy(update={"cap": 0.5})}}
    )
    proposed, _, _ = _whole(small, np.array([0.2, 0.2, 99.5, 1.0]), np.ones(4, dtype=bool))
    assert proposed.groups["g"].cap == 1
    assert proposed.reachable() == 100
    # A single term that helps, and that is in a group: its points follow the cap.
    raw = {
        "terms": [
            {
                "name": f"t{i}",
                "feature": f"t{i}",
                "points": p,
                "transform": "linear",
                "cap": 1,
                "reason": "x",
                "group": "g",
            }
            for i, p in enumerate((120, -5))
        ],
        "groups": {"g": {"cap": 100, "reason": "x"}},
    }
    alone = ScorecardSpec.model_validate(raw)
    proposed, _, _ = _whole(alone, np.array([70.0, 5.0]), np.ones(2, dtype=bool))
    assert proposed.groups["g"].cap == 100
    assert proposed.terms[0].points >= 100
    assert proposed.reachable() == 100
