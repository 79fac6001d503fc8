"""The media spec from a generated log to a measured ranking."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from whyrank.evaluation.ranking_metrics import roc_auc
from whyrank.pipeline.build import build
from whyrank.pipeline.evaluate import evaluate
from whyrank.pipeline.generate import generate
from whyrank.pipeline.ingest import ingest
from whyrank.pipeline.score import score
from whyrank.pipeline.train import train
from whyrank.spec.load import load_spec
from whyrank.tracking import open_store
from whyrank.warehouse.open import open_warehouse

AS_OF, DAYS = date(2026, 3, 18), 14


def test_the_ranking_foresees_purchases_between_chance_and_the_truth(tmp_path: Path) -> None:
    """Among those seen in 28 days: better than chance, not better than knowing who they are.

    The truth ranks by each user's planted rate of purchases, nothing for who is gone for good. A
    scorecard as good as that would look into the future.
    """
    spec, warehouse = load_spec("media"), open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    made = generate(spec, tmp_path / "log.parquet", users=2000, seed=4)
    loads = ingest(spec, warehouse, events=made.events, users=made.users)
    assert all(load.accepted == load.read for load in loads)
    build(spec, warehouse, as_of=[AS_OF])
    ranking = score(spec, warehouse, out=tmp_path / "top.csv", top=50)
    assert len(ranking.users) == 50
    evaluation = evaluate(spec, warehouse, as_of=AS_OF)
    points = evaluation.metrics["roc_auc"]
    assert evaluation.users == ranking.population > 800
    assert points.low is not None
    assert points.low > 0.5

    truth = pq.read_table(made.truth).to_pandas().set_index("user_id")
    scores = pd.read_parquet(ranking.all_scores).set_index("user_id")
    truth = truth.loc[scores.index]
    gone = truth["churn_time"].fillna(pd.Timestamp.max.tz_localize("UTC"))
    there = gone > pd.Timestamp(AS_OF, tz="UTC")
    rate = truth["activity"] * truth["buy_chance"] * there
    events = pq.read_table(made.events, filters=[("event_name", "==", "purchase")]).to_pandas()
    since = events["event_time"] - pd.Timestamp(AS_OF, tz="UTC")
    buyers = set(events.loc[(since.dt.days >= 0) & (since.dt.days < DAYS), "user_id"])
    label = scores.index.isin(buyers)
    assert label.sum() == evaluation.positives
    assert points.value == pytest.approx(roc_auc(scores["score"], label), abs=1e-9)
    assert points.high is not None
    assert points.high < roc_auc(rate, label)


@pytest.mark.slow
def test_learned_scorers_train_on_the_media_world(tmp_path: Path) -> None:
    spec, warehouse = load_spec("media"), open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    made = generate(spec, tmp_path / "log.parquet", users=3000, seed=4)
    ingest(spec, warehouse, events=made.events, users=made.users)
    build(spec, warehouse, check=True)
    trained = train(spec, warehouse, open_store(home=tmp_path), folds=2, n_boot=200)
    assert [s.name for s in trained.leakage_checks if not s.passed] == []
    for test in trained.comparison.fold_names:
        found = trained.comparison.fold_values[test]
        assert found["blend"]["roc_auc"] > found["recency"]["roc_auc"] > 0.5
