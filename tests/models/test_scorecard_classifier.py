"""The scorecard as a scikit-learn classifier: the product's points, searched and calibrated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import whyrank
from whyrank.models.scorecard_classifier import ScorecardClassifier
from whyrank.spec.scorecard import ScorecardSpec

VISITS: dict[str, Any] = {
    "name": "visits", "feature": "visits", "points": 60, "transform": "linear", "cap": 8,
    "reason": "came {value} times", "group": "activity",
}  # fmt: skip
RECENT: dict[str, Any] = {
    "name": "recent", "feature": "days", "points": 30, "transform": "half_life", "half_life": 7,
    "reason": "came {value} days ago", "group": "activity",
}  # fmt: skip
PLAN: dict[str, Any] = {
    "name": "plan", "feature": "plan", "points": 30, "transform": "map",
    "map": {"pro": 1.0, "team": 0.5}, "reason": "has a plan",
}  # fmt: skip
BOUNCED: dict[str, Any] = {
    "name": "bounced", "feature": "bounced", "points": -20, "transform": "flag",
    "reason": "bounced",
}  # fmt: skip
CARD: dict[str, Any] = {
    "terms": [VISITS, RECENT, PLAN, BOUNCED],
    "groups": {"activity": {"cap": 70, "reason": "activity"}},
}
NUMBERS: dict[str, Any] = {"terms": [{**VISITS, "points": 50, "group": None},
                                     {**RECENT, "points": 50, "group": None}]}  # fmt: skip


def users(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return features, with nulls and a column that no term reads, and who converted."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "unread": rng.choice(["x", "y"], n),
            "visits": np.where(rng.random(n) < 0.1, np.nan, rng.poisson(5, n)),
            "days": rng.exponential(10, n),
            "plan": rng.choice(["pro", "team", "free", None], n),
            "bounced": rng.random(n) < 0.2,
        }
    )
    log_odds = np.nan_to_num(frame["visits"]) / 2 + (frame["plan"] == "pro") - 3 - frame["bounced"]
    return frame, rng.random(n) < 1 / (1 + np.exp(-log_odds))


def by_hand(frame: pd.DataFrame) -> np.ndarray:
    """The points of CARD, from its definition."""
    half_up = lambda share: np.floor(share * 1e6 + 0.5) / 1e6  # noqa: E731
    cents = lambda points: np.floor(points * 100 + 0.5) / 100  # noqa: E731
    visits = cents(60 * half_up(np.minimum(frame["visits"].fillna(0), 8) / 8))
    recent = cents(30 * half_up(0.5 ** (frame["days"] / 7)))
    plan = 30 * frame["plan"].map({"pro": 1.0, "team": 0.5}).fillna(0)
    total = np.minimum(visits + recent, 70) + plan - 20 * frame["bounced"]
    return np.asarray(np.clip(total, 0, 100))


def test_points_are_those_of_the_card() -> None:
    frame, converted = users(400, 1)
    fitted = ScorecardClassifier(CARD).fit(frame, converted)
    assert np.allclose(fitted.points(frame), by_hand(frame), atol=1e-9)
    found = fitted.contributions(frame)
    assert np.array_equal(np.asarray(found.values).sum(axis=1) / 100, fitted.points(frame))
    shuffled = frame[["days", "bounced", "plan", "visits"]].sample(frac=1, random_state=0)
    assert np.allclose(fitted.points(shuffled), by_hand(shuffled), atol=1e-9)


def test_a_specs_scorecard_is_taken_as_it_is() -> None:
    card = whyrank.load_spec("saas").scorecard
    fitted = ScorecardClassifier(card)
    assert {f"{term.name}__points" for term in card.terms} < set(fitted.get_params())
    assert clone(fitted).get_params() == fitted.get_params()


def test_probabilities_are_a_logistic_fit_of_points() -> None:
    frame, converted = users(3_000, 2)
    fitted = ScorecardClassifier(CARD).fit(frame, converted)
    points = by_hand(frame)[:, None] / 10
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(points, converted)
    assert np.allclose(fitted.predict_proba(frame), oracle.predict_proba(points), atol=1e-4)
    assert np.array_equal(fitted.predict(frame), oracle.predict(points))
    assert fitted.predict_proba(frame)[:, 1].mean() == pytest.approx(converted.mean(), abs=1e-4)


def test_a_search_finds_the_half_life_that_made_the_data() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"days": rng.exponential(20, 4_000), "visits": rng.poisson(3, 4_000)})
    share = 0.5 ** (frame["days"] / 5) + np.minimum(frame["visits"], 8) / 8
    converted = rng.random(len(frame)) < 1 / (1 + np.exp(3 - 4 * share))
    before = ScorecardSpec.model_validate(NUMBERS)
    search = GridSearchCV(
        ScorecardClassifier(before),
        {"recent__half_life": [0.5, 5, 500], "visits__cap": [1, 8]},
        scoring="roc_auc",
    ).fit(frame, converted)
    assert search.best_params_ == {"recent__half_life": 5, "visits__cap": 8}
    assert before.terms[1].half_life == 7
    assert roc_auc_score(converted, search.best_estimator_.points(frame)) == pytest.approx(
        roc_auc_score(converted, share), abs=0.001
    )


def test_it_stands_in_pipelines_and_cross_validation() -> None:
    frame, converted = users(600, 4)
    steps = make_pipeline(FunctionTransformer(lambda frame: frame.assign(days=frame["days"] / 2)),
                          ScorecardClassifier(CARD))  # fmt: skip
    assert np.isfinite(cross_val_score(steps, frame, converted, scoring="roc_auc")).all()


def test_points_of_another_total_are_scaled_to_100() -> None:
    frame, converted = users(300, 5)
    doubled = {"terms": [{**term, "points": 2 * term["points"]} for term in NUMBERS["terms"]]}
    one, other = (ScorecardClassifier(c).fit(frame, converted) for c in (NUMBERS, doubled))
    assert np.array_equal(one.points(frame), other.points(frame))
    changed = clone(one).set_params(visits__points=150).fit(frame, converted)
    assert [term.points for term in changed.card_.spec.terms] == [75.0, 25.0]
    grouped = clone(ScorecardClassifier(CARD)).set_params(activity__cap=90, plan__points=60)
    card = grouped.fit(frame, converted).card_.spec
    assert card.reachable() == pytest.approx(100, abs=1e-9)
    assert card.groups["activity"].cap == pytest.approx(60, abs=0.02)
    assert CARD["groups"]["activity"]["cap"] == 70


def test_without_a_card_every_column_counts_the_same_by_its_sign() -> None:
    rng = np.random.default_rng(6)
    matrix = np.abs(rng.normal(size=(500, 3)))
    converted = matrix[:, 0] - matrix[:, 2] + 0.1 * rng.normal(size=500) > 0
    matrix[rng.random((500, 3)) < 0.05] = np.nan
    fitted = ScorecardClassifier().fit(matrix, converted)
    terms = fitted.card_.spec.terms
    assert [term.points for term in terms] == [33.34, 33.33, 33.33]
    assert [terms[0].transform, terms[2].transform] == ["linear", "half_life"]
    assert terms[0].cap == pytest.approx(np.nanquantile(matrix[:, 0], 0.95))
    assert terms[2].half_life == pytest.approx(np.nanmedian(matrix[:, 2]))
    first = 33.34 * np.minimum(matrix[:, 0], terms[0].cap) / terms[0].cap
    second = 33.33 * (
        0.5 ** (matrix[:, 1] / terms[1].half_life)
        if terms[1].transform == "half_life"
        else np.minimum(matrix[:, 1], terms[1].cap) / terms[1].cap
    )
    third = 33.33 * 0.5 ** (matrix[:, 2] / terms[2].half_life)
    wanted = np.nan_to_num(first) + np.nan_to_num(second) + np.nan_to_num(third)
    assert np.allclose(fitted.points(matrix), wanted, atol=0.02)


@pytest.mark.parametrize(
    ("card", "columns", "message"),
    [
        (CARD, ["visit", "days", "plan", "bounced"], "reads 'visits', which X does not have; did"),
        ({"terms": []}, None, "at least one"),
        ({"term": [VISITS]}, None, "mapping with `terms`"),
        ("saas", None, "scorecard = 'saas'"),
        ({"terms": [{**VISITS, "points": -5, "group": None}]}, None, "no term has positive points"),
        (
            {"terms": [{**VISITS, "group": "none"}]},
            None,
            "group 'none' is not in groups; none are declared",
        ),
        ({"terms": [{**VISITS, "cap": None, "group": None}]}, None, "needs 'cap'"),
    ],
)
def test_what_is_no_card_for_these_columns_is_refused(
    card: Any, columns: list[str] | None, message: str
) -> None:
    frame, converted = users(50, 7)
    if columns:
        frame = frame[["visits", "days", "plan", "bounced"]].set_axis(columns, axis=1)
    with pytest.raises(ValueError, match=message):
        ScorecardClassifier(card).fit(frame, converted)


def test_an_array_has_the_cards_features_in_order() -> None:
    frame, converted = users(200, 8)
    numbers = frame[["visits", "days"]]
    one = ScorecardClassifier(NUMBERS).fit(frame, converted)
    other = ScorecardClassifier(NUMBERS).fit(numbers.to_numpy(), converted)
    assert np.array_equal(one.points(frame), other.points(numbers.to_numpy()))
    with pytest.raises(ValueError, match="3 columns, and the scorecard reads 2 features"):
        ScorecardClassifier(NUMBERS).fit(np.ones((200, 3)), converted)
    with pytest.raises(ValueError, match="give X as a data frame"):
        ScorecardClassifier(CARD).fit(np.ones((200, 4)), converted)


def test_a_name_that_is_no_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'visit__cap'.*did you mean 'visits__cap'"):
        ScorecardClassifier(CARD).set_params(visit__cap=3)
