"""train on a shop's repeat purchases, and where there is next to nothing to learn from."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.support.purchases import SPEC, Buyers
from whyrank.models.learned import LearnedScorer
from whyrank.pipeline.build import build
from whyrank.pipeline.compare import compare as compare_run
from whyrank.pipeline.ingest import ingest
from whyrank.pipeline.train import Training, train
from whyrank.spec.load import parse_spec
from whyrank.tracking import fetch_scorer, open_store
from whyrank.training.datasets import read_labelled
from whyrank.warehouse.open import open_warehouse

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("shop")]


@pytest.fixture(scope="module")
def training(buyers: Buyers) -> Training:
    return train(
        buyers.spec, buyers.warehouse, open_store(home=buyers.folder / "mlflow"),
        candidates=["bg_nbd", "logistic"], folds=2, n_boot=60,
    )  # fmt: skip


def test_repeat_purchases_are_trained_compared_and_registered(
    buyers: Buyers, training: Training
) -> None:
    store = open_store(home=buyers.folder / "mlflow")
    read = compare_run(buyers.spec, store)
    assert read.comparison == training.comparison
    assert read.comparison.last_fold["bg_nbd"]["roc_auc"].low > 0.6
    assert read.comparison.selected == "logistic"  # BG/NBD cannot say why
    found = fetch_scorer(store, "shop", "bg_nbd")
    assert found is not None
    scorer = LearnedScorer.load(found[2])
    part = read_labelled(buyers.spec, training.backtest, training.backtest.folds[-1].cutoff)
    probability = scorer.probability(part.table)
    rate = part.labels.mean()
    assert probability.mean() == pytest.approx(rate, abs=4 * np.sqrt(2 * rate / len(probability)))
    assert (np.diff(probability[np.argsort(scorer.raw_score(part.table))]) >= 0).all()


def test_three_positives_to_learn_from_are_few_and_enough(
    buyers: Buyers, training: Training, tmp_path: Path
) -> None:
    """Fewer than parts of the encoder or neighbours of SMOTE; the test itself has enough."""
    rng = np.random.default_rng(0)
    lines = ["user_id,event_time,event_name,value,device"]
    device = ("web", "ios", "")
    for user in range(300):
        lines.append(f"c{user},2024-01-{1 + user % 28:02d}T10:00:00Z,order,20,{device[user % 3]}")
    for user in (7, 90, 200):
        lines.append(f"c{user},2024-02-10T10:00:00Z,order,20,web")
    for user in rng.choice(300, 40, replace=False):
        lines.append(f"c{user},2024-03-15T10:00:00Z,order,20,web")
    lines.append("late,2024-04-15T10:00:00Z,order,20,web")
    (tmp_path / "orders.csv").write_text("\n".join(lines), encoding="utf-8")
    text = SPEC.replace('name = "shop"', 'name = "corner"', 1)
    spec = parse_spec(text.replace("snapshots = 3", "snapshots = 1"), "corner.toml")
    warehouse = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    ingest(spec, warehouse, events=tmp_path / "orders.csv")
    build(spec, warehouse, as_of=[date(2024, 2, 1), date(2024, 3, 2)])
    said: list[str] = []
    names = ["logistic_smote", "xgboost_smote"]
    made = train(
        spec, warehouse, open_store(home=buyers.folder / "mlflow"),  # made by the other training
        as_of=date(2024, 3, 2), folds=1, candidates=names, n_boot=40, log=said.append,
    )  # fmt: skip
    assert set(made.comparison.last_fold) == {"scorecard", *names}
    assert any("calibrating on halves of the users" in line for line in said)
    for name in names:
        scorer = LearnedScorer.load(made.folder / "result" / "registered" / name)
        assert scorer.about.positives == 3
        part = read_labelled(spec, made.backtest, date(2024, 3, 2))
        assert np.isfinite(scorer.raw_score(part.table)).all()
        probability = scorer.probability(part.table)
        assert ((probability > 0) & (probability < 1)).all()
