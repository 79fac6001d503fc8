"""Expected spend: its measures by brute force, its three ways on planted spend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tables import ABOUT
from whyrank.errors import DataError
from whyrank.evaluation.spend import spend_report
from whyrank.models.candidates import Trainer
from whyrank.models.kinds.base import FitSpec, TrainingData
from whyrank.models.learned import LearnedScorer
from whyrank.models.spend import SPEND_METHODS, SpendScorer
from whyrank.models.spend_fits import fit_spend, select_spend_method, spend_methods_of
from whyrank.published.snapshot import Snapshot
from whyrank.stats.platt import fit_calibrator
from whyrank.types import Floats

PLAN = FitSpec(
    ("repeats", "first", "last", "value"), (), frozenset(), frozenset(), None,
    ("repeats", "first", "last"), replace(ABOUT, horizon_days=60),
)  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=2, max_size=30),
    st.randoms(use_true_random=False),
)
def test_gini_is_the_mean_over_pairs_and_knows_no_order_of_rows(
    users: list[tuple[int, int]], random: object
) -> None:
    expected = np.array([float(e) for e, _ in users])
    actual = np.array([float(a) for _, a in users])
    if actual.sum() == 0 or np.ptp(actual) == 0:
        return

    def gini(order: list[int]) -> float:
        rng = np.random.default_rng(0)
        return spend_report(expected[order], actual[order], rng=rng, n_boot=2).gini

    order = list(range(len(users)))
    found = gini(order)

    # The area is the mean over pairs of who is put first, weighed by what they brought.
    def area(by: np.ndarray) -> float:
        first = np.sign(by[:, None] - by[None, :])
        return float((first * actual[:, None]).sum())

    assert found == pytest.approx(area(expected) / area(actual), abs=1e-9)
    random.shuffle(order)  # type: ignore[attr-defined]
    assert gini(order) == pytest.approx(found, abs=1e-9)


def test_the_interval_of_the_top_tenth_is_that_of_resampled_users() -> None:
    rng = np.random.default_rng(5)
    n, times = 400, 4000
    expected = rng.gamma(1, 1, n)
    actual = np.where(rng.random(n) < 0.15, expected * rng.gamma(1, 40, n), 0.0)
    found = spend_report(expected, actual, rng=rng, n_boot=times)
    shares = []
    for _ in range(times):
        drawn = rng.integers(0, n, n)
        first = drawn[np.argsort(-expected[drawn], kind="stable")[: n // 10]]
        shares.append(actual[first].sum() / actual[drawn].sum())
    # Both ends are quantiles of as many replicates: their errors come from the density there.
    for share, end in zip((0.025, 0.975), found.top_decile_interval, strict=True):
        near = np.quantile(shares, [share - 0.008, share + 0.008])
        error = (near[1] - near[0]) / 0.016 * np.sqrt(share * (1 - share) / times)
        assert end == pytest.approx(np.quantile(shares, share), abs=4 * np.sqrt(2) * error)
    low, high = found.top_decile_interval
    assert low < found.top_decile < high


def test_draws_in_which_nobody_spent_say_nothing_of_the_top_tenth() -> None:
    """One of two users spent: a draw of two misses them once in four, and then is left out."""
    expected, actual = np.array([2.0, 1.0]), np.array([0.0, 5.0])
    found = [
        spend_report(expected, actual, n_boot=1, rng=np.random.default_rng(seed))
        for seed in range(40)
    ]
    ends = [report.top_decile_interval for report in found]
    # A tenth of two is one, rounded up: it brings half of what the same user drawn twice brings,
    # and nothing where both are drawn. Of no draw that counts, anything from 0 to 1 is true.
    assert set(ends) == {(0.0, 0.0), (0.5, 0.5), (0.0, 1.0)}
    # Binomial(40, 1/4) lies outside of 2 to 20 less than once in two thousand times.
    assert 2 <= ends.count((0.0, 1.0)) <= 20


def customers(n: int, rng: np.random.Generator) -> tuple[Snapshot, np.ndarray]:
    """Customers whose rate and purse differ; what they spend in the 60 days that follow."""
    rate = rng.gamma(0.6, 1 / 90, n)
    purse = rng.gamma(4, 20, n)
    first = rng.integers(30, 400, n)
    repeats = rng.poisson(rate * first)
    last = np.where(repeats > 0, (first * rng.random(n) / (repeats + 1)).astype(int), first)
    value = purse * rng.gamma(5, 1 / 5, n)
    count = rng.poisson(rate * 60)
    spend = np.array(
        [rng.gamma(5 * c, p / 5) if c else 0.0 for c, p in zip(count, purse, strict=True)]
    )
    columns = {"repeats": repeats, "first": first, "last": last, "value": value}
    return Snapshot(pa.table({k: v.astype(float) for k, v in columns.items()})), spend


@pytest.mark.parametrize("name", SPEND_METHODS)
def test_planted_spend_is_foreseen_and_what_is_saved_says_the_same(
    name: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    (table, spend), (earlier, came) = customers(6000, rng), customers(6000, rng)
    test, actual = customers(6000, rng)
    rows = np.arange(6000)
    data = TrainingData(table, spend > 0, rows, rows >= 0)
    trainer = Trainer(PLAN, data)
    classifiers = [trainer.fit(kind) for kind in ("logistic", "xgboost")]
    probabilities = tuple(
        replace(one, calibrator=fit_calibrator(one.raw_score(earlier), came > 0))
        for one in classifiers
    )
    fitted = fit_spend(
        name, PLAN, data, spend, trainer=trainer, probabilities=probabilities, value="value"
    )
    scorer = fitted.recalibrated(fitted.expected(earlier), came)
    found = spend_report(scorer.expected(test), actual, rng=rng)
    error = np.sqrt(actual.var() / len(actual) + came.var() / len(came)) / actual.mean()
    assert found.total_ratio == pytest.approx(1.0, abs=4 * error)
    assert found.gini > 0.3
    assert found.top_decile > 0.2
    assert (scorer.expected(test) >= 0).all()
    scorer.save(tmp_path / "spend")
    again = SpendScorer.load(tmp_path / "spend")
    assert again.features == scorer.features
    assert np.array_equal(again.expected(test), scorer.expected(test))


def test_the_hurdle_is_the_geometric_mean_of_chances_times_worth() -> None:
    rng = np.random.default_rng(4)
    table, spend = customers(2000, rng)
    rows = np.arange(2000)
    data = TrainingData(table, spend > 0, rows, rows >= 0)
    trainer = Trainer(PLAN, data)
    both = (trainer.fit("logistic"), trainer.fit("xgboost"))

    def expected(*probabilities: LearnedScorer) -> Floats:
        fitted = fit_spend(
            "hurdle", PLAN, data, spend, trainer=trainer, probabilities=probabilities, value="value"
        )
        return fitted.expected(table)

    product = expected(both[0]) * expected(both[1])
    np.testing.assert_allclose(expected(*both) ** 2, product, rtol=1e-12)


def test_what_cannot_be_expected_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    table, spend = customers(300, rng)
    rows = np.arange(300)
    data = TrainingData(table, spend > 0, rows, rows >= 0)
    trainer = Trainer(PLAN, data)
    with pytest.raises(DataError, match="nobody spent anything in the training"):
        fit_spend(
            "tweedie", PLAN, data, 0 * spend, trainer=trainer, probabilities=(), value="value"
        )
    with pytest.raises(DataError, match="needs scorers with calibrated probabilities"):
        fit_spend("hurdle", PLAN, data, spend, trainer=trainer, probabilities=(), value="value")
    with pytest.raises(DataError, match="spend cannot be measured"):
        spend_report(spend, 0 * spend, rng=rng)
    with pytest.raises(DataError, match="no saved spend scorer"):
        SpendScorer.load(tmp_path)
    assert spend_methods_of(replace(PLAN, purchases=None)) == ["tweedie", "hurdle"]
    assert select_spend_method([("tweedie", 0.2), ("hurdle", 0.3)]) == "hurdle"


def test_tenths_are_tenths() -> None:
    """Of 22 users the tenth is three, and of 40 there are ten deciles of four."""
    expected = np.arange(22, 0, -1.0)
    found = spend_report(expected, expected, rng=np.random.default_rng(0), n_boot=40)
    assert found.top_decile == pytest.approx((22 + 21 + 20) / expected.sum())
    expected = np.arange(40, 0, -1.0)
    found = spend_report(expected, 2 * expected, rng=np.random.default_rng(0), n_boot=40)
    means = expected.reshape(10, 4).mean(axis=1)
    assert found.deciles == pytest.approx(list(zip(means, 2 * means, strict=True)))


def test_the_first_user_is_a_spender_like_any_other() -> None:
    """All was spent by the first of twenty: of a draw that has them k times, the tenth, which is
    two, brings all up to k = 2, and 2 / k from there on.
    """
    expected = np.arange(20, 0, -1.0)
    actual = np.where(np.arange(20) == 0, 100.0, 0.0)
    found = spend_report(expected, actual, rng=np.random.default_rng(1), n_boot=4000, level=0.9)
    # Given that k is 1 at least, it is 4 or more in 2.5% and 3 or more in 11.8% of the draws.
    assert found.top_decile_interval == pytest.approx((2 / 3, 1.0))
