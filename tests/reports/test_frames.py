"""What verbs return: short in a notebook, whole as a frame, drawn; frames by learned scorers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import whyrank
from tests.support.csv_rows import csv_rows
from tests.support.shops import Shop
from whyrank.errors import UsageError
from whyrank.pipeline.compare import compare as compare_run
from whyrank.pipeline.evaluate import evaluate
from whyrank.pipeline.score import explain, score
from whyrank.reports.frames import comparison_frame

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("train")]
SHORT = 400  # letters


def test_results_are_short_to_look_at_and_whole_as_frames(shop: Shop, tmp_path: Path) -> None:
    read = compare_run(shop.spec, shop.store, run=shop.training.run)
    ranking = score(
        shop.spec, shop.warehouse, store=shop.store, scorer="scorecard", top=30,
        out=tmp_path / "top_users.csv",
    )  # fmt: skip
    fold = shop.training.backtest.folds[-1]
    measured = evaluate(shop.spec, shop.warehouse, as_of=fold.cutoff, n_boot=40)
    for result in (read, shop.training, ranking, measured):
        assert len(repr(result)) < SHORT
        assert "\n" not in repr(result)
        html = result._repr_html_()
        assert html.count("<tr") == 1 + min(10, len(result.to_frame()))
        assert len(html) < 20_000
    assert repr(read).startswith(f"<Compared: run {read.run}: {read.comparison.verdict()}")
    assert "and 20 more: see to_frame()" in ranking._repr_html_()
    rows = csv_rows(ranking.top_users)
    found = ranking.to_frame()
    assert found["user_id"].tolist() == [row["user_id"] for row in rows]
    for row, reasons in zip(rows, found["scorecard_reasons"], strict=True):
        assert row["scorecard_reasons"].split("; ")[0].startswith(reasons[0]["text"])
        assert {reason["unit"] for reason in reasons} == {"points"}
    assert measured.to_frame().set_index("metric")["value"]["roc_auc"] == (
        measured.metrics["roc_auc"].value
    )


@pytest.mark.parametrize("scorer", ["scorecard", "logistic"])
def test_an_explanations_frame_adds_up_to_the_score(shop: Shop, scorer: str) -> None:
    ids = shop.training.backtest.published.snapshot(shop.training.backtest.folds[-1].cutoff)
    user_id = pq.read_table(ids, columns=["user_id"]).column(0)[7].as_py()
    found = explain(shop.spec, shop.warehouse, user_id, store=shop.store, scorer=scorer)
    said = repr(found)
    assert said.startswith(f"<Explanation: {user_id}: {found.user.score:.2f}, {found.user.label}, ")
    assert f"rank {found.user.rank} of {found.population:,}" in said
    assert len(said) < SHORT
    frame = found.to_frame()
    assert found._repr_html_().count("<tr") == 1 + min(10, len(frame))
    assert frame["points"].sum() == pytest.approx(found.user.scorecard_score, abs=0.01)
    if scorer == "scorecard":
        assert frame["text"].tolist() == [reason.text for reason in found.user.reasons]
        return
    model = found.user.model
    assert model is not None
    assert frame["log_odds"].sum() + model.base == pytest.approx(model.log_odds, abs=1e-6)
    read = {feature.name for feature in shop.spec.features}
    assert set(frame["feature"].dropna()) == read
    assert frame.dropna(subset=["feature"])["feature"].is_unique
    for row in frame.dropna(subset=["feature"]).itertuples():
        assert row.value == found.features[row.feature]


def test_a_comparisons_frame_has_every_estimate_and_difference(shop: Shop) -> None:
    comparison = shop.training.comparison
    found = comparison_frame(comparison).set_index(["scorer", "test", "metric"])
    assert found.index.is_unique
    assert len(found) == sum(
        len(estimates) for scorers in (*comparison.by_fold.values(), comparison.pooled)
        for estimates in scorers.values()
    )  # fmt: skip
    last = comparison.fold_names[-1]
    for name, place, kind in (("logistic", last, "last_fold"), ("xgboost", "pooled", "pooled")):
        for metric in ("roc_auc", "brier"):
            row = found.loc[name, place, metric]
            one = comparison.difference(kind, metric, name, "scorecard")
            assert row["difference"] == pytest.approx(one.value)
            assert (row["difference_low"], row["difference_high"]) == pytest.approx(one.family)
            other = found.loc["scorecard", place, metric]
            assert row["value"] - other["value"] == pytest.approx(row["difference"])
            assert np.isnan(other["difference"])


def test_a_comparison_is_drawn(shop: Shop, tmp_path: Path) -> None:
    read = compare_run(shop.spec, shop.store, run=shop.training.run)
    for metric in ("roc_auc", "log_loss"):
        read.plot(tmp_path / f"{metric}.png", metric)
        assert (tmp_path / f"{metric}.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(KeyError, match="colour"):
        read.plot(tmp_path / "colour.png", "colour")


@pytest.mark.parametrize("scorer", ["logistic", "xgboost", "rank_average"])
def test_a_frame_is_ranked_as_the_warehouse_is_by_a_learned_scorer(
    shop: Shop, tmp_path: Path, scorer: str
) -> None:
    made = score(
        shop.spec, shop.warehouse, store=shop.store, scorer=scorer, top=40,
        out=tmp_path / "top_users.csv",
    )  # fmt: skip
    events = pq.read_table(shop.folder / "orders.parquet").to_pandas()
    ranked = whyrank.rank_events(
        events, shop.spec, as_of=made.as_of, scorer=scorer, store=shop.store
    )
    assert ranked.attrs["scorer"] == made.scorer
    assert len(ranked) == made.population
    top = made.to_frame()
    first = ranked.head(len(top))
    assert first["user_id"].tolist() == top["user_id"].tolist()
    for column in ("score", "probability"):
        assert first[column].to_numpy() == pytest.approx(top[column].to_numpy(dtype=float))
    assert first["label"].tolist() == top["label"].tolist()
    if scorer == "rank_average":
        assert ranked["reasons"].str.len().max() == 0
        return
    for mine, theirs in zip(first["reason_records"], top["model_reasons"], strict=True):
        assert [(r["part"], r["unit"]) for r in mine] == [(r["part"], "log-odds") for r in theirs]
        assert [r["amount"] for r in mine] == pytest.approx([r["amount"] for r in theirs], abs=1e-5)


def test_a_frame_is_not_ranked_by_a_scorer_that_is_not_there(shop: Shop) -> None:
    events = pd.DataFrame(
        {"user_id": ["a"], "event_time": ["2026-03-01T10:00:00Z"], "event_name": ["order"]}
    )
    with pytest.raises(UsageError, match="no scorer 'catboost' is registered for spec 'shop'"):
        whyrank.rank_events(events, shop.spec, scorer="catboost", store=shop.store)
    with pytest.raises(UsageError, match="no scorer 'xgboost' is registered for spec 'saas'"):
        whyrank.rank_events(events, "saas", scorer="xgboost", store=shop.store)
