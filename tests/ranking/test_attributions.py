"""Both accounts of a user: log-odds that add up to the probability shown, and who changes sides."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import rankdata

from tests.support.csv_rows import csv_rows
from tests.support.shops import Shop
from whyrank.cli.text import explanation_lines, ranking_lines
from whyrank.models.words import counted, feature_words, part_words
from whyrank.pipeline.score import explain, score
from whyrank.published.snapshot import Snapshot
from whyrank.ranking.disagreements import Disagreements
from whyrank.serving import Served
from whyrank.spec.model import FeatureSpec
from whyrank.tracking import fetch_scorer, promote
from whyrank.warehouse.publish import read_published

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("train")]
TOP = 40


def served_of(shop: Shop, name: str) -> Served:
    found = fetch_scorer(shop.store, "shop", name)
    assert found is not None
    return Served.load(found[2], found[2].with_name("spec.json"))


@pytest.mark.parametrize("name", ["logistic", "xgboost"])
def test_base_and_log_odds_are_the_probability_that_is_shown(
    shop: Shop, name: str, tmp_path: Path
) -> None:
    """In the list, in reasons.csv, in an explanation and in what the registered model serves."""
    out = tmp_path / "top_users.csv"
    score(shop.spec, shop.warehouse, store=shop.store, scorer=name, top=TOP, out=out)
    rows = csv_rows(out)
    reasons = pd.read_csv(tmp_path / "reasons.csv", dtype={"user_id": str})
    moved = reasons.groupby("user_id")["log_odds"].sum()
    for row in rows:
        total = float(row["base_log_odds"]) + moved[row["user_id"]]
        assert total == pytest.approx(float(row["log_odds"]), abs=1e-6)
        assert expit(total) == pytest.approx(float(row["probability"]), abs=1e-6)
    probabilities = {row["user_id"]: float(row["probability"]) for row in rows}
    assert len(set(probabilities.values())) > TOP / 2
    told = reasons.drop_duplicates("user_id").set_index("user_id")
    assert np.allclose(told["model_probability"], pd.Series(probabilities)[told.index], atol=1e-6)
    # As a person reads it: base and lines to two digits, then their sum.
    one = explain(shop.spec, shop.warehouse, rows[0]["user_id"], store=shop.store, scorer=name)
    assert one.user.model is not None
    assert one.user.probability is not None
    parts = sum(line.log_odds or 0 for line in one.user.attributions)
    assert one.user.model.base + parts == pytest.approx(logit(one.user.probability), abs=1e-6)
    lines = list(explanation_lines(one))
    text = "\n".join(lines)
    shown = [float(n) for n in re.findall(r"^ *([+-]\d+\.\d\d)[ ~]  ", text, re.MULTILINE)]
    assert len(shown) == len(one.user.attributions) + 2  # with the base, and the sum at the end
    assert sum(shown[:-1]) == pytest.approx(shown[-1], abs=0.005 * len(shown))
    assert f"probability {float(rows[0]['probability']):.2%} by {name}" in text
    assert sum("double the odds" in line for line in lines) == 1
    # As the registered model answers.
    served = served_of(shop, name)
    snapshot = read_published(shop.warehouse, "shop").snapshot(one.as_of)
    table = Snapshot.read(snapshot, served.features)
    answers = served.predict(pd.DataFrame(table.rows()))
    found = [sum(json.loads(text).values()) for text in answers["contributions"]]
    total = answers["base_log_odds"] + found
    assert np.abs(total - logit(answers["probability"])).max() < 1e-6
    assert np.abs(total - answers["log_odds"]).max() < 1e-6
    by_user = dict(zip(table.user_ids.to_pylist(), answers["probability"], strict=True))
    assert all(by_user[user] == pytest.approx(p, abs=1e-6) for user, p in probabilities.items())


def test_a_calibrated_scorecards_points_are_log_odds_of_its_probability(
    shop: Shop, tmp_path: Path
) -> None:
    promote(shop.store, "shop", shop.training.run, "scorecard")
    out = tmp_path / "top_users.csv"
    score(shop.spec, shop.warehouse, store=shop.store, top=TOP, out=out)
    reasons = pd.read_csv(tmp_path / "reasons.csv", dtype={"user_id": str})
    by_points = reasons.groupby("user_id")["points_log_odds"].sum()
    rows = csv_rows(out)
    for row in rows:
        total = float(row["base_log_odds"]) + by_points[row["user_id"]]
        assert total == pytest.approx(float(row["log_odds"]), abs=1e-6)
        assert expit(total) == pytest.approx(float(row["probability"]), abs=1e-6)
    # The model beside it has a probability of its own, and says so.
    beside = reasons.groupby("user_id")["log_odds"].sum()
    told = reasons.drop_duplicates("user_id").set_index("user_id")
    total = told["model_base_log_odds"] + beside[told.index]
    assert np.allclose(expit(total), told["model_probability"], atol=1e-6)
    one = explain(shop.spec, shop.warehouse, rows[0]["user_id"], store=shop.store)
    text = "\n".join(explanation_lines(one))
    worth = re.search(r"base (\S+), (\S+) for each of (\S+) points, (\S+) in all", text)
    assert worth is not None
    base, each, points, whole = map(float, worth.groups())
    assert base + each * points == pytest.approx(whole, abs=0.005 + 0.00005 * points + 0.005)
    doubling = re.search(r"(\S+) points double the odds", text)
    assert doubling is not None
    assert float(doubling[1]) == pytest.approx(np.log(2) / each, abs=0.06)
    served = served_of(shop, "scorecard")
    snapshot = read_published(shop.warehouse, "shop").snapshot(one.as_of)
    answers = served.predict(pd.DataFrame(Snapshot.read(snapshot, served.features).rows()))
    found = [sum(json.loads(text).values()) for text in answers["contributions"]]
    assert np.abs(answers["base_log_odds"] + found - logit(answers["probability"])).max() < 1e-6


def test_reasons_are_sentences_of_what_was_seen(shop: Shop, tmp_path: Path) -> None:
    out = tmp_path / "top_users.csv"
    made = score(shop.spec, shop.warehouse, store=shop.store, scorer="logistic", top=TOP, out=out)
    texts = [row["model_reasons"] for row in csv_rows(out)]
    assert all(re.match(r"raises: |lowers: ", text) for text in texts)
    assert any(" | lowers: " in text for text in texts)
    names = {f.name.replace("_", " ") for f in shop.spec.features if "_" in f.name} | {"how often"}
    for text in (*texts, "\n".join(ranking_lines(made, most=TOP))):
        assert not [name for name in names if name in text]
        assert not re.search(r"[a-z], [+-]\d", text.split("why (largest")[-1])
    # The scorecard's words where it gave points for it, the spec's description where it did not.
    rows = {row["user_id"]: row for row in csv_rows(tmp_path / "reasons.csv") if row["feature"]}
    orders = {
        row["user_id"]: int(row["value"])
        for row in csv_rows(tmp_path / "reasons.csv")
        if row["feature"] == "orders"
    }
    assert set(orders) == set(rows)
    first = max(orders, key=lambda user: orders[user])
    text = next(row["model_reasons"] for row in csv_rows(out) if row["user_id"] == first)
    assert f"bought {orders[first]} times" in text or f"the first: {orders[first] - 1}" in text
    assert sum("what an order cost: " in text and " dollars" in text for text in texts) > 0


def feature(name: str, op: str = "count", **more: str) -> FeatureSpec:
    return FeatureSpec.model_validate({"name": name, "op": op, "description": "X.", **more})


def test_a_group_is_named_by_what_pushed_its_way() -> None:
    """Being new is no recency: said is what the contributions are of, and which way they go."""
    features = {
        "last": feature("last", "days_since_last", unit="days"),
        "first": feature("first", "days_since_first", unit="days"),
        "demos": feature("demos", events=("demo",), unit="requests", description="Demos (clicks)."),
        "demos_30d": feature("demos_30d", events=("demo",), window="30d", description="Demos."),
        "paid": feature("paid", "sum", unit="reais", description="Paid for all; in reais."),
        "page": feature("page", "mean", unit="seconds", description="Time on a page."),
    }
    row = {"last": 0, "first": 4, "demos": 5, "demos_30d": 3, "paid": 1250.5, "page": None}
    card = {"last": "0 whole days since last seen", "demos_30d": "asked for 3 demos"}

    def said(**moved: float) -> str:
        counts = {name: counted(each) for name, each in features.items()}
        return part_words(moved, features, counts, row, card)

    assert said(last=0.1, first=0.9) == "first seen 4 days ago"
    assert said(last=0.8, first=0.9) == "first seen 4 days ago and 0 whole days since last seen"
    assert said(last=-0.2, first=0.9) == "first seen 4 days ago"
    assert said(last=-1.2, first=0.1) == "0 whole days since last seen"
    # All time and thirty days of one count are one thing: the scorecard's words say it.
    assert said(demos=0.9, demos_30d=0.5) == "asked for 3 demos"
    assert said(demos=0.9, demos_30d=0.1) == "demos: 5"
    assert said(paid=-0.3) == "paid for all: 1,250.5 reais"
    assert feature_words(features["page"], row["page"]) == "time on a page: unknown"
    assert feature_words(features["page"], 61.0) == "time on a page: 61 seconds"


def test_who_changes_sides_comes_first_both_ways(shop: Shop, tmp_path: Path) -> None:
    """By hand, from the file of everybody's scores."""
    out = tmp_path / "top_users.csv"
    made = score(shop.spec, shop.warehouse, store=shop.store, scorer="xgboost", top=500, out=out)
    everyone = pd.read_parquet(tmp_path / "all_scores.parquet").set_index("user_id")
    n, card = len(everyone), everyone["scorecard_score"]
    bands = shop.spec.bands
    everyone["by_card"] = np.select(
        [card >= bands.high, card >= bands.medium], ["high", "medium"], "low"
    )
    below = (rankdata(everyone["probability"].round(9)) - 0.5) / n, (rankdata(card) - 0.5) / n
    acted = [share > 1 - shop.spec.training.capacity for share in below]
    everyone["capacity"] = acted[0] != acted[1]
    everyone["gap"] = below[0] - below[1]
    label = everyone["label"].astype(str)
    everyone["high"] = (label == "high") != (everyone["by_card"] == "high")
    everyone["other"] = label != everyone["by_card"]
    rows = csv_rows(tmp_path / "disagreements.csv")
    assert len(rows) == (everyone["gap"].abs() > 1e-12).sum()
    weights = []
    for row in rows:
        one = everyone.loc[row["user_id"]]
        changes = [name for name in ("capacity", "high") if one[name]]
        changes += ["label"] if one["other"] and not one["high"] else []
        assert row["changes"] == " and ".join(changes)
        assert (row["scorecard_label"], row["model_label"]) == (one["by_card"], one["label"])
        assert row["higher_by"] == ("model" if one["gap"] > 0 else "scorecard")
        weights.append(2 * one["capacity"] + 2 * one["high"] + one["other"])
    assert weights == sorted(weights, reverse=True)
    assert {weight > 0 for weight in weights} == {True, False}
    # A short list has the most weighty of either direction in turns.
    short = score(shop.spec, shop.warehouse, store=shop.store, scorer="xgboost", top=6, out=out)
    few = Counter(row["higher_by"] for row in csv_rows(tmp_path / "disagreements.csv"))
    assert min(few.values()) >= 2
    changed = made.side_changes
    assert changed == short.side_changes
    assert changed is not None
    alone = acted[0] & ~acted[1], acted[1] & ~acted[0]
    assert changed.capacity == (alone[0].sum(), alone[1].sum())
    high = (label == "high") & everyone["high"], (label != "high") & everyone["high"]
    assert changed.high == (high[0].sum(), high[1].sum())
    text = "\n".join(ranking_lines(made, most=3))
    assert f"in the best 10%: {changed.capacity[0]} by xgboost alone" in text


def test_neither_direction_nor_kind_hides_another() -> None:
    """Ten wide gaps one way, among whom one the other way and one with another label stand."""
    model = np.array([0.96, *np.linspace(0.95, 0.91, 9), 0.2, 0.85, 0.5])
    card = np.array([0.10, *np.linspace(0.11, 0.30, 9), 0.95, 0.60, 0.5])
    codes = np.array([1] * 10 + [0, 2, 1])
    by_card = np.array([0] * 10 + [1, 1, 1])
    sides = Disagreements(model, card, codes, by_card, capacity=0.1)
    order = sides.order(13).tolist()
    # All of the first three change sides as much: of the capacity, both ways, and of the label.
    assert order[:3] == [0, 10, 11]
    assert order[3:] == list(range(1, 10))  # the last of all, on whom both agree, is left out
    assert sides.take(np.array([10, 11])).columns()["changes"] == ["capacity and label", "high"]
