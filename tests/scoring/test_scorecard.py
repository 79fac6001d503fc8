"""The scorecard: contributions that sum, bounds, and the same score in SQL."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from tests.support.examples import examples
from tests.support.scorecards import ROWS, scorecards, table
from whyrank.published.snapshot import Snapshot
from whyrank.scorer import Scorer
from whyrank.scoring.reasons import fill_reason, scorecard_reasons
from whyrank.scoring.scorecard import Scorecard
from whyrank.spec.model import Spec
from whyrank.spec.scorecard import BandsSpec, ScorecardSpec


@settings(max_examples=examples(100))
@given(scorecards(), ROWS)
def test_contributions_sum_exactly_and_scores_stay_in_range(
    spec: ScorecardSpec, rows: list[tuple[object, ...]]
) -> None:
    scorecard, snapshot = Scorecard(spec), Snapshot(table(rows))
    made = scorecard.contributions(snapshot)
    assert made.values.dtype == np.int64
    assert made.values.sum(axis=1).tolist() == scorecard.score_hundredths(snapshot).tolist()
    score = scorecard.score(snapshot)
    assert (score >= 0).all()
    assert (score <= 100).all()
    reasons = scorecard_reasons(spec, made, snapshot.rows())
    for why, value in zip(reasons, score, strict=True):
        assert math.isclose(sum(reason.amount for reason in why), value, abs_tol=1e-9)
        sizes = [abs(reason.amount) for reason in why]
        assert sizes == sorted(sizes, reverse=True)


@settings(max_examples=examples(100))
@given(scorecards(), ROWS)
def test_the_sql_scorecard_equals_the_python_one(
    spec: ScorecardSpec, rows: list[tuple[object, ...]]
) -> None:
    scorecard, features = Scorecard(spec), table(rows)
    with duckdb.connect() as con:
        con.register("features", features)
        sql = f"select {scorecard.sql()} from features order by user_id"
        found = [row[0] for row in con.execute(sql).fetchall()]
    assert found == scorecard.score(Snapshot(features)).tolist()


def by_definition(spec: ScorecardSpec, row: dict[str, object]) -> float:
    """The score from the documented formulas, in exact-as-can-be float arithmetic."""
    shares: dict[str, float] = {}
    for term in spec.terms:
        value = row[term.feature]
        if value is None:
            share = 0.0
        elif term.transform == "map":
            share = (term.map or {}).get(str(value), term.other)
        else:
            x = max(float(value), 0.0)  # type: ignore[arg-type]
            share = {
                "linear": lambda: min(x, term.cap or 1) / (term.cap or 1),
                "log": lambda: math.log1p(min(x, term.cap or 1)) / math.log1p(term.cap or 1),
                "half_life": lambda: 0.5 ** (x / (term.half_life or 1)),
                "flag": lambda: float(x > 0),
            }[term.transform]()
        shares[term.name] = share * term.points
    total = sum(shares[t.name] for t in spec.terms if t.group is None)
    for name, group in spec.groups.items():
        total += min(group.cap, sum(shares[t.name] for t in spec.terms if t.group == name))
    return min(max(total, 0.0), 100.0)


@given(scorecards(), ROWS)
def test_scores_follow_the_documented_formulas(
    spec: ScorecardSpec, rows: list[tuple[object, ...]]
) -> None:
    snapshot = Snapshot(table(rows))
    score = Scorecard(spec).score(snapshot)
    for row, value in zip(snapshot.rows(), score, strict=True):
        # Each term is rounded to a hundredth (half of one each), shares to a millionth before.
        assert value == pytest.approx(by_definition(spec, row), abs=0.006 * len(spec.terms))


def test_the_saas_scorecard_can_be_filled_by_someone_in_its_population(saas: Spec) -> None:
    row = {
        "user_id": ["u"],
        "calendar_bookings": [1],
        "signups": [0],
        "demo_requests_30d": [2],
        "pricing_views_30d": [10],
        "repeat_session_rate": [1.0],
        "active_days_30d": [12],
        "page_views_30d": [60],
        "days_since_last_activity": [0],
        "account_balance": [1000.0],
        "device": ["desktop"],
        "bounce_rate": [0.0],
        "spam_share": [0.0],
    }
    snapshot = Snapshot(pa.table(row))
    assert Scorecard(saas.scorecard).score(snapshot).tolist() == [100.0]


def test_high_intent_dominates_and_context_adds_little(saas: Spec) -> None:
    points = {term.name: term.points for term in saas.scorecard.terms}
    intent = ("booked", "signed_up", "demo", "pricing")
    middle = ("return_visits", "active_days", "pages")
    context = ("recency", "balance", "device")
    assert min(points[n] for n in intent) > max(points[n] for n in middle)
    assert sum(points[n] for n in context) < min(points[n] for n in intent)


def test_the_scorecard_is_a_scorer(saas: Spec) -> None:
    scorer: Scorer = Scorecard(saas.scorecard)
    assert scorer.scale == "points"
    assert set(scorer.features) <= {feature.name for feature in saas.features}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": 99}, "positive points total 99"),
        ({"points": 100.001}, "whole hundredths"),
        ({"transform": "log", "cap": None}, "needs 'cap'"),
        ({"transform": "flag"}, "takes no 'cap'"),
        ({"group": "nowhere"}, "not in scorecard.groups"),
        ({"name": "clipping"}, "declared twice"),
    ],
)
def test_contradictory_terms_are_refused(change: dict[str, object], message: str) -> None:
    term = {
        "name": "t", "feature": "f", "points": 100, "transform": "linear", "cap": 3, "reason": "r",
    }  # fmt: skip
    with pytest.raises(ValidationError, match=message):
        ScorecardSpec.model_validate({"terms": [term | change]})


def test_bands_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="below"):
        BandsSpec(medium=60, high=30)


@pytest.mark.parametrize(
    ("template", "row", "said"),
    [
        ("seen [once|{value} times]", {"f": 1}, "seen once"),
        ("seen [once|{value} times]", {"f": 1234}, "seen 1,234 times"),
        ("{value:%} of {g} visits", {"f": 0.257, "g": 3}, "26% of 3 visits"),
        ("spent {value}", {"f": 12.345}, "spent 12.3"),
        ("uses {value}", {"f": "<b>=1+1"}, "uses <b>=1+1"),
        ("uses {value}", {"f": None}, "uses unknown"),
    ],
)
def test_reasons_hold_the_users_own_numbers(
    template: str, row: dict[str, object], said: str
) -> None:
    assert fill_reason(template, "f", row) == said
