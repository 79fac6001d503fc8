"""Fits of a scorecard's terms: scikit-learn's coefficients, signs by brute force, honest errors."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom, norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from whyrank.errors import DataError
from whyrank.published.snapshot import Snapshot
from whyrank.scoring.calibration import LEVEL, calibrate_to_outcome, term_shares
from whyrank.scoring.term_fit import fit_terms
from whyrank.spec.scorecard import ScorecardSpec

TERMS = (
    {"name": "visits", "transform": "log", "cap": 40},
    {"name": "recency", "transform": "half_life", "half_life": 5},
    {"name": "spend", "transform": "linear", "cap": 900},
    {"name": "paid", "transform": "flag"},
)
EFFECTS = np.array([3.0, 2.0, 1.5, -1.0])


def card(points: tuple[float, ...] = (30, 30, 40, -20)) -> ScorecardSpec:
    return ScorecardSpec.model_validate(
        {"terms": [{"feature": term["name"], "points": p, "reason": "x", **term}
                   for term, p in zip(TERMS, points, strict=True)]}
    )  # fmt: skip


def features(rng: np.random.Generator, users: int) -> pa.Table:
    """Users as logs have them: many who did little, and counts that go together."""
    busy = rng.exponential(1.0, users)
    return pa.table(
        {
            "visits": rng.poisson(3 * busy),
            "recency": np.where(
                rng.random(users) < 0.1, np.nan, rng.exponential(20 / (0.2 + busy))
            ),
            "spend": np.where(rng.random(users) < 0.9, 0.0, rng.exponential(300 * busy)),
            "paid": rng.random(users) < 0.03,
        }
    )


def shares_of(table: pa.Table) -> np.ndarray:
    return term_shares(card(), Snapshot(table))


def by_scikit_learn(table: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    return LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=500).fit(
        table, labels
    )


def drawn(rng: np.random.Generator, table: np.ndarray, effects: np.ndarray) -> np.ndarray:
    return rng.random(len(table)) < 1 / (1 + np.exp(6.0 - table @ effects))


def test_coefficients_are_scikit_learns_without_a_penalty() -> None:
    rng = np.random.default_rng(1)
    table = shares_of(features(rng, 30_000))
    labels = drawn(rng, table, EFFECTS)
    assert 0.005 < labels.mean() < 0.1
    fit = fit_terms(table, labels, np.arange(len(labels)))
    theirs = by_scikit_learn(table, labels)
    np.testing.assert_allclose(fit.coefficients, theirs.coef_[0], atol=1e-4, rtol=0)
    assert fit.intercept == pytest.approx(theirs.intercept_[0], abs=1e-4)


@pytest.mark.parametrize("signs", [(1, 1, 1, 1), (-1, 1, 1, -1), (-1, -1, -1, -1), (1, -1, 1, 1)])
def test_kept_signs_lose_least_among_all_fits_that_keep_them(signs: tuple[int, ...]) -> None:
    """Of all 16 sets of terms left out, the best fit whose coefficients all keep their sign."""
    rng = np.random.default_rng(2)
    table = shares_of(features(rng, 6000))
    labels = drawn(rng, table, EFFECTS + np.array([0, 0, 0, 2]))
    best, expected = np.inf, np.zeros(4)
    for size in range(5):
        for kept in combinations(range(4), size):
            weights = np.zeros(4)
            probability = np.full(len(labels), labels.mean())
            if kept:
                theirs = by_scikit_learn(table[:, kept], labels)
                weights[list(kept)] = theirs.coef_[0]
                probability = theirs.predict_proba(table[:, kept])[:, 1]
            lost = log_loss(labels, probability)
            if (weights * signs >= 0).all() and lost < best:
                best, expected = lost, weights
    fit = fit_terms(table, labels, np.arange(len(labels)), np.array(signs, dtype=float))
    np.testing.assert_allclose(fit.coefficients, expected, atol=1e-4, rtol=0)


def test_the_ridge_vanishes_and_what_data_cannot_tell_is_said() -> None:
    """A term told twice, one that never changes, and one that alone tells the classes apart."""
    rng = np.random.default_rng(3)
    rows = 4000
    table = np.column_stack([rng.random(rows), np.zeros((rows, 2)), rng.random(rows) < 0.2])
    table[:, 1] = table[:, 0]
    labels = rng.random(rows) < 1 / (1 + np.exp(2 - 2 * table[:, 0] - table[:, 3]))
    fit = fit_terms(table, labels, np.arange(rows))
    theirs = by_scikit_learn(table[:, [0, 3]], labels)
    assert fit.coefficients[0] + fit.coefficients[1] == pytest.approx(theirs.coef_[0, 0], abs=1e-4)
    assert fit.coefficients[0] == pytest.approx(fit.coefficients[1], abs=1e-4)
    assert fit.coefficients[2] == 0
    assert np.isinf(fit.errors).tolist() == [True, True, True, False]
    never = labels & (table[:, 3] == 0)  # nobody who has the fourth term converts
    split = fit_terms(table, never, np.arange(rows))
    assert -30 < split.coefficients[3] < -8
    assert np.isinf(split.errors[3])
    alone = table.copy()
    alone[:, 1] = rng.random(rows)
    made = calibrate_to_outcome(card(), alone, never, np.arange(rows), np.ones(4))
    # What the data do not tell keeps its points, and takes its share of the 100.
    assert [term.new for term in made.terms][2:] == [40, -20]
    assert sum(term.new for term in made.terms[:3]) == 100
    assert [term.contradicted for term in made.terms] == [False] * 4
    assert np.isinf(made.terms[2].effect.high)


@pytest.mark.parametrize("once", [True, False], ids=["one snapshot", "six snapshots"])
def test_intervals_hold_the_truth_as_often_as_they_say(once: bool) -> None:
    """Simulated: each term's 90% interval holds the truth in 90% of worlds, no less and no more.

    A user's rows share a draw: whoever converts by one snapshot tends to by the next, while each
    row alone still follows the truth exactly. The intervals of all four terms together, which are
    wider, hold it at once in at least 95%. Bands end where chance would be 1 in 1,000 or less.
    """
    rng = np.random.default_rng(4)
    truth = np.array([1.0, 0.5, 0.0, -1.0])
    worlds, times = 300, 1 if once else 6
    held, together = np.zeros(4), 0
    for _ in range(worlds):
        table = np.repeat(rng.random((2400 // times, 4)), times, axis=0)
        users = np.repeat(np.arange(2400 // times), times)
        luck = np.repeat(rng.random(2400 // times), times)
        labels = luck < 1 / (1 + np.exp(2.0 - table @ truth))
        made = calibrate_to_outcome(card(), table, labels, users, np.ones(4))
        found = np.array([(e.log_odds, e.low, e.high) for e in (t.effect for t in made.terms)])
        error = (found[:, 2] - found[:, 1]) / 2 / norm.isf((1 - LEVEL) / 2 / 4)
        held += np.abs(found[:, 0] - truth) <= norm.isf(0.05) * error
        together += bool(((found[:, 1] <= truth) & (truth <= found[:, 2])).all())
    low, high = binom.ppf([0.0005, 0.9995], worlds, 0.9)
    assert (held >= low).all(), held
    assert (held <= high).all(), held
    assert together >= binom.ppf(0.001, worlds, LEVEL)


def test_effects_in_points_are_those_of_the_proposal() -> None:
    """One more point than proposed, or less, is what the free fit says of a term kept in sign."""
    rng = np.random.default_rng(5)
    table = shares_of(features(rng, 40_000))
    labels = drawn(rng, table, EFFECTS)
    made = calibrate_to_outcome(card(), table, labels, np.arange(len(labels)), np.ones(4))
    for term, real in zip(made.terms, made.unrounded.terms, strict=True):
        value, low, high = term.effect.points()
        assert not term.contradicted
        assert low < value < high
        assert value == pytest.approx(real.points, abs=0.02)


@pytest.mark.parametrize("label", [False, True])
def test_labels_of_one_class_are_refused(label: bool) -> None:
    table = shares_of(features(np.random.default_rng(6), 50))
    with pytest.raises(DataError, match="calibration needs users of both classes; load more"):
        calibrate_to_outcome(card(), table, np.full(50, label), np.arange(50), np.ones(4))


def test_a_fit_that_is_not_done_in_its_steps_is_no_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the intercept alone, the first step of Newton's is far from the last one."""
    rng = np.random.default_rng(7)
    table = shares_of(features(rng, 4000))
    labels = drawn(rng, table, EFFECTS)
    whole = fit_terms(table, labels, np.arange(4000))
    monkeypatch.setattr("whyrank.scoring.term_fit._STEPS", 30)
    assert np.array_equal(
        fit_terms(table, labels, np.arange(4000)).coefficients, whole.coefficients
    )
    for steps in (1, 2):
        monkeypatch.setattr("whyrank.scoring.term_fit._STEPS", steps)
        with pytest.raises(
            DataError,
            match=rf"fit of 4 terms did not converge in {steps} steps: leave out terms that say",
        ):
            calibrate_to_outcome(card(), table, labels, np.arange(4000), np.ones(4))
