"""Acting from a threshold on: closed forms, a planted optimum, and what costs may be."""

from __future__ import annotations

import json

import numpy as np
import pytest

from whyrank.errors import DataError
from whyrank.evaluation.comparison import compare, from_dict, to_dict
from whyrank.evaluation.fold_scores import FoldScores
from whyrank.evaluation.thresholds import Costs
from whyrank.reports.comparison_text import comparison_table
from whyrank.stats.platt import fit_calibrator
from whyrank.training.calibration import CalibrationSet

RULES = ("at_capacity", "at_cost")


def fold(probabilities: dict[str, np.ndarray], labels: np.ndarray, name: str = "t") -> FoldScores:
    """A test whose scorers rank by their probabilities; the threshold at capacity is the best
    tenth's.
    """
    limits = {n: float(np.quantile(probability, 0.9)) for n, probability in probabilities.items()}
    return FoldScores(name, np.arange(len(labels)), labels, probabilities, probabilities, limits)


def measured(test: FoldScores, costs: Costs | None, n_boot: int = 30) -> dict[str, float]:
    found = compare(
        [test], reference="scorecard", costs=costs, n_boot=n_boot, rng=np.random.default_rng(0)
    )
    return dict(found.fold_values[test.name]["scorecard"])


@pytest.mark.parametrize(("action", "conversion"), [(1.0, 50.0), (20.0, 50.0), (45.0, 50.0)])
def test_true_chances_that_are_uniform_earn_what_the_closed_form_says(
    action: float, conversion: float
) -> None:
    """Probabilities u uniform on (0, 1), acted upon from t = cost / value on.

    share 1 - t, precision (1 + t) / 2, recall 1 - t^2, profit the integral of value · u - cost
    from t to 1, value · (1 - t)^2 / 2.
    """
    n = 200_000
    rng = np.random.default_rng(0)
    probability = rng.random(n)
    labels = rng.random(n) < probability
    found = measured(fold({"scorecard": probability}, labels), Costs(action, conversion))
    t = action / conversion
    expected = {"share": 1 - t, "precision": (1 + t) / 2, "recall": 1 - t**2}
    expected["profit"] = conversion * (1 - t) ** 2 / 2
    acted = n * (1 - t)
    errors = {
        "share": np.sqrt(t * (1 - t) / n),
        "precision": 0.5 / np.sqrt(acted),
        "recall": 0.5 / np.sqrt(n / 2),
        "profit": conversion / np.sqrt(n),  # of one user at most
    }
    for what, value in expected.items():
        assert found[f"at_cost/{what}"] == pytest.approx(value, abs=4 * errors[what]), what


def test_at_capacity_it_is_the_threshold_of_the_test_before_that_counts() -> None:
    rng = np.random.default_rng(1)
    probability = rng.beta(1, 9, 3000)
    labels = rng.random(3000) < probability
    test = fold({"scorecard": probability}, labels)
    found = measured(test, Costs(2.0, 50.0))
    flagged = probability >= test.thresholds["scorecard"]
    assert found["at_capacity/share"] == flagged.mean()
    assert found["at_capacity/precision"] == labels[flagged].mean()
    assert found["at_capacity/recall"] == labels[flagged].sum() / labels.sum()
    earned = 50 * labels[flagged].sum() - 2 * flagged.sum()
    assert found["at_capacity/profit"] == pytest.approx(earned / 3000)
    plain = measured(test, None)
    assert plain["at_capacity/share"] == flagged.mean()
    assert not [metric for metric in plain if "profit" in metric or "at_cost" in metric]


def test_where_acting_pays_for_nobody_nothing_is_won_and_no_precision_is_told() -> None:
    rng = np.random.default_rng(2)
    probability = np.clip(rng.beta(1, 60, 3000), 0, 0.2)
    labels = rng.random(3000) < probability
    test = fold({"scorecard": probability}, labels)
    costs = Costs(30.0, 50.0)
    found = compare(
        [test, fold({"scorecard": probability}, labels, "u")], reference="scorecard", costs=costs,
        n_boot=50, rng=np.random.default_rng(0),
    )  # fmt: skip
    told = found.last_fold["scorecard"]
    for what in ("share", "recall", "profit"):
        estimate = told[f"at_cost/{what}"]
        assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)
    assert "at_cost/precision" not in told
    assert "at_cost/precision" not in found.fold_values["u"]["scorecard"]
    assert from_dict(json.loads(json.dumps(to_dict(found), allow_nan=False))) == found
    table = list(comparison_table(found))
    (row,) = [line for line in table[table.index("") :] if "0.0% [0.0%, 0.0%]" in line]
    assert row.split()[4] == "-"
    # Where everybody's probability is enough, everybody is acted upon.
    everybody = measured(test, Costs(1e-9, 50.0))
    assert everybody["at_cost/share"] == everybody["at_cost/recall"] == 1
    assert everybody["at_cost/precision"] == labels.mean()


def test_a_precision_that_one_fold_lacks_has_no_mean_over_folds() -> None:
    rng = np.random.default_rng(12)
    probability = np.clip(rng.beta(1, 20, 2000), 0, 0.5)
    labels = rng.random(2000) < probability
    some, none = probability / probability.max(), probability / 10
    found = compare(
        [fold({"scorecard": some}, labels), fold({"scorecard": none}, labels, "u")],
        reference="scorecard", costs=Costs(30.0, 50.0), n_boot=40, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert found.fold_values["t"]["scorecard"]["at_cost/precision"] == labels[some >= 0.6].mean()
    assert "at_cost/precision" not in found.fold_values["u"]["scorecard"]
    assert "at_cost/precision" not in found.pooled["scorecard"]
    assert found.pooled["scorecard"]["at_cost/share"].value == (some >= 0.6).mean() / 2


def test_intervals_are_those_of_a_mean_and_of_shares() -> None:
    rng = np.random.default_rng(3)
    probability = rng.beta(1, 9, 4000)
    labels = rng.random(4000) < probability
    costs = Costs(10.0, 50.0)
    found = compare(
        [fold({"scorecard": probability}, labels)], reference="scorecard", costs=costs,
        n_boot=2000, rng=np.random.default_rng(0),
    ).last_fold["scorecard"]  # fmt: skip
    acted = probability >= 0.2
    earned = np.where(acted, np.where(labels, 40.0, -10.0), 0.0)
    precision, recall = labels[acted], acted[labels]
    for metric, values in {
        "profit": earned, "share": acted, "precision": precision, "recall": recall
    }.items():  # fmt: skip
        estimate = found[f"at_cost/{metric}"]
        assert estimate.value == pytest.approx(values.mean())
        # 2,000 replicates know the width of an interval to about 3%.
        width = 2 * 1.96 * values.std() / np.sqrt(len(values))
        assert estimate.high - estimate.low == pytest.approx(width, rel=0.12), metric


def users_of(rng: np.random.Generator, n: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what a scorer knows of n users, and their true probabilities, which it orders."""
    seen = rng.normal(0, 0.7, n)
    base = np.log(rate / (1 - rate)) - 0.7**2 / 2
    return seen, 1 / (1 + np.exp(-(seen + base)))


def test_the_threshold_is_the_one_that_earns_most_in_a_world_whose_chances_are_known() -> None:
    """Acting pays for whoever's true probability is above 0.05; nobody tells the scorers that.

    One scorer has true log-odds on an unknown scale, another as well but for the last fit's own
    scale and start, as two fits of a candidate differ. Both calibrate on the test before.
    """
    rng = np.random.default_rng(4)
    n = 60_000
    (past, risk), (seen, probability) = users_of(rng, n, 0.03), users_of(rng, n, 0.03)
    labels, came = rng.random(n) < risk, rng.random(n) < probability
    calibration_set = CalibrationSet(
        {"a": 3 * past, "b": past - 7}, labels, {"a": 3 * seen, "b": seen - 7}
    )
    now = {"a": 3 * seen, "b": 0.2 * seen + 4}
    calibrators = calibration_set.calibrators(now)
    probabilities = {
        name: calibrators[name].probability(raw_score) for name, raw_score in now.items()
    }
    test = FoldScores(
        "t", np.arange(n), came, now, probabilities, calibration_set.thresholds(now, 0.3)
    )
    costs = Costs(2.0, 40.0)
    found = compare(
        [test], reference="a", costs=costs, n_boot=200, rng=np.random.default_rng(0)
    ).last_fold

    def worth(acted: np.ndarray) -> float:  # by true probabilities, so without sampling error
        return float(((40 * probability - 2) * acted).mean())

    best = worth(probability >= 0.05)
    curve = [worth(probability >= at) for at in np.linspace(0, 0.3, 301)]
    assert best == pytest.approx(max(curve), rel=1e-6)
    for name in ("a", "b"):
        acted = probabilities[name] >= costs.break_even
        # 1,800 positives know where a chance of 0.05 lies to a standard error of 0.027 in log-odds;
        # profit is flat around its best, so that four of them cost 3% of it.
        assert worth(acted) > 0.97 * best
        assert found[name]["at_cost/share"].value == acted.mean()
        told = found[name]["at_cost/profit"]
        sampling = 4 * 40 * np.sqrt((probability * acted).mean() / n)
        assert told.value == pytest.approx(worth(acted), abs=sampling)
        # Acting on three tenths, or on everybody, earns less in truth.
        assert worth(now[name] >= test.thresholds[name]) < 0.9 * best
        assert worth(np.ones(n, dtype=bool)) < 0


@pytest.mark.slow
def test_the_chance_keeps_more_of_the_profit_than_the_best_threshold_of_the_test_before() -> None:
    """Why costs are set against probabilities: 100 worlds, about 70 conversions in each test.

    What each rule keeps of the most that can be earned, by true probabilities.
    """
    rng = np.random.default_rng(5)
    n, costs = 20_000, Costs(1.0, 125.0)  # pays from twice the base rate on
    kept = []
    for _ in range(100):
        (past, risk), (seen, probability) = users_of(rng, n, 0.004), users_of(rng, n, 0.004)
        labels = rng.random(n) < risk
        worth = 125 * probability - 1
        calibrated = fit_calibrator(past, labels).probability(seen) >= costs.break_even
        order = np.argsort(-past)
        earned = np.cumsum(125 * labels[order] - 1.0)
        limit = past[order][earned.argmax()] if earned.max() > 0 else np.inf
        most = worth[worth > 0].sum()
        kept.append((worth[calibrated].sum() / most, worth[seen >= limit].sum() / most))
    more = np.subtract(*np.transpose(kept))
    assert more.mean() > 4 * more.std() / np.sqrt(len(more))
    assert np.mean(kept, axis=0)[0] > 0.9


def test_a_scorer_that_earns_more_is_told_and_one_of_the_same_worth_is_not() -> None:
    rng = np.random.default_rng(6)
    tests = []
    for name in ("a", "b"):
        truth = rng.normal(-3, 1.5, 6000)
        probability = 1 / (1 + np.exp(-truth))
        labels = rng.random(6000) < probability
        blind = np.full(6000, labels.mean()) + rng.normal(0, 1e-6, 6000)
        probabilities = {"scorecard": blind, "knows": probability, "blind": rng.permutation(blind)}
        tests.append(fold(probabilities, labels, name))
    found = compare(
        tests, reference="scorecard", selectable=["knows"], costs=Costs(10.0, 50.0), n_boot=200,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    more = found.difference("pooled", "at_cost/profit", "knows", "scorecard")
    assert more.detected
    assert more.words().startswith("knows earns more than scorecard (+")
    assert more.reversed().words().startswith("scorecard earns less than knows (-")
    assert found.pooled["knows"]["at_cost/profit"].low > 0
    same = found.difference("pooled", "at_cost/profit", "blind", "scorecard")
    assert not same.detected
    text = "\n".join(comparison_table(found))
    n, positives = found.sizes["b"]
    everybody = positives / n * 50 - 10
    assert (
        "targeting users with probability >= 0.2 (break-even): an action costs 10, a conversion is "
        f"worth 50; targeting everybody would have brought {everybody:.2f} per user" in text
    )
    value = found.last_fold["knows"]["at_cost/profit"].value
    (row,) = [line for line in text.splitlines() if line.endswith("] better") and "%" in line]
    assert row.startswith("knows ")
    assert f"{value:.2f} [" in row
    assert f"{more.value:+.2f} [" in row


@pytest.mark.parametrize(
    ("action", "conversion"),
    [(0.0, 5.0), (-1.0, 5.0), (5.0, 5.0), (6.0, 5.0), (1.0, np.inf), (np.nan, 5.0)],
)
def test_costs_at_which_nothing_can_be_decided_are_refused(
    action: float, conversion: float
) -> None:
    with pytest.raises(DataError, match="must be above 0 and below the worth"):
        Costs(action, conversion)


def test_costs_without_chances_are_refused() -> None:
    rng = np.random.default_rng(7)
    raw_scores = {"scorecard": rng.normal(size=200)}
    labels = rng.random(200) < 0.3
    bare = FoldScores("t", np.arange(200), labels, raw_scores, {}, {"scorecard": None})
    with pytest.raises(
        DataError, match="test t: 'scorecard' has no probabilities to set costs against"
    ):
        measured(bare, Costs(1.0, 5.0))
    assert not [m for m in measured(bare, None) if m.startswith(RULES)]
