"""What is logged of a training: models that can be called, data, code, metrics, files."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from tests.support.csv_rows import csv_rows
from tests.support.shops import CANDIDATES, Shop
from whyrank.errors import UsageError
from whyrank.models.candidates import RankAverage
from whyrank.models.learned import LearnedScorer
from whyrank.models.rank_average import SavedRankAverage
from whyrank.models.tuning import tune
from whyrank.pipeline.compare import _refuse_unfit
from whyrank.pipeline.compare import compare as compare_run
from whyrank.pipeline.score import score
from whyrank.ranking.mean_attributions import PartAttributions, part_attributions
from whyrank.ranking.saved import load_scorer
from whyrank.scoring.scorecard import Scorecard
from whyrank.serving import Served
from whyrank.stats.platt import fit_calibrator
from whyrank.tracking import RunRecord, fetch_scorer, registered
from whyrank.tracking.active_scorer import choose_scorer
from whyrank.tracking.client import experiment_of, using
from whyrank.tracking.code_version import code_commit
from whyrank.tracking.searches import log_searches
from whyrank.tracking.titles import distinct_title
from whyrank.training.datasets import read_labelled, stack
from whyrank.training.record_tuning import search_records
from whyrank.training.scorer_plots import moved_by
from whyrank.warehouse.publish import read_published

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("train")]
with_git = pytest.mark.skipif(
    shutil.which("git") is None and not os.environ.get("CI"), reason="git is not installed"
)
SCORERS = ["scorecard", *CANDIDATES, "rank_average"]
READS = {
    "scorecard": {"orders", "days_since_last"},
    "scorecard_shaped": {"orders", "days_since_last"},
    "recency": {"days_since_last"},
    "bg_nbd": {"repeats", "days_since_first", "days_since_last"},
}
CARD = {"orders", "days_since_last"}


@pytest.fixture(scope="module")
def client(shop: Shop) -> MlflowClient:
    return MlflowClient(shop.store.uri, shop.store.uri)


@pytest.fixture(scope="module")
def parent(shop: Shop, client: MlflowClient) -> Run:
    return client.get_run(shop.training.run)


@pytest.fixture(scope="module")
def children(shop: Shop, client: MlflowClient, parent: Run) -> dict[str, Run]:
    query = f"tags.training = '{shop.training.run}'"
    runs = client.search_runs([parent.info.experiment_id], query)
    return {run.data.tags["scorer"]: run for run in runs}


def model_folder(shop: Shop, client: MlflowClient, name: str) -> Path:
    found = fetch_scorer(shop.store, "shop", name)
    assert found is not None
    place = client.get_model_version_download_uri(registered("shop"), str(found[1]))
    return Path(place.removeprefix("file://"))


@pytest.mark.parametrize("name", SCORERS)
def test_a_version_asks_for_what_its_scorer_reads_and_takes_its_own_example(
    shop: Shop, client: MlflowClient, name: str
) -> None:
    import yaml

    folder = model_folder(shop, client, name)
    signature = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["signature"]
    asked = {column["name"] for column in json.loads(signature["inputs"])}
    everything = {feature.name for feature in shop.spec.features}
    reads = READS.get(name, everything) | CARD
    assert asked == reads | {"user_id"}
    given = [column["name"] for column in json.loads(signature["outputs"])]
    account = ["base_log_odds", "log_odds", "contributions"]
    assert given == [
        "score", "label", "probability", "points", "reasons", "reasons_json", *account, "flags",
    ]  # fmt: skip
    example = json.loads((folder / "serving_input_example.json").read_text(encoding="utf-8"))
    frame = pd.DataFrame(**example["dataframe_split"])
    assert set(frame.columns) == reads
    served = Served.load(folder / "artifacts" / "scorer", folder / "artifacts" / "spec.json")
    found = served.predict(frame)
    assert len(found) == len(frame) > 0
    assert found["score"].between(0, 100).all()
    assert found["probability"].between(0, 1).all()


def test_the_rank_average_is_a_version_that_ranks_and_says_nothing(
    shop: Shop, tmp_path: Path
) -> None:
    chosen = choose_scorer(shop.spec, "rank_average", shop.store)
    assert isinstance(chosen.model, SavedRankAverage)
    assert [member.name for member in chosen.model.members] == ["logistic", "xgboost"]
    backtest = shop.training.backtest
    test = read_labelled(shop.spec, backtest, backtest.folds[-1].cutoff)
    members = [choose_scorer(shop.spec, n, shop.store).model for n in ("logistic", "xgboost")]
    both = [m.score_of(m.raw_score(test.table)) for m in members if m is not None]
    raw_score = chosen.model.raw_score(test.table)
    assert np.allclose(raw_score, (both[0] + both[1]) / 2)
    # Its percentiles are those of its own raw scores on the latest training snapshot.
    latest = read_labelled(shop.spec, backtest, backtest.folds[-1].train[-1]).table
    own = chosen.model.raw_score(latest)
    by_hand = [100 * ((own < m).mean() + (own <= m).mean()) / 2 for m in raw_score]
    assert np.allclose(chosen.model.score_of(raw_score), by_hand)
    # Its probabilities are those of the earlier fit, calibrated where it was tested and carried
    # over: both fits give the new test's users log-odds of the same mean and deviation.
    before = read_labelled(shop.spec, backtest, backtest.folds[-2].cutoff)
    kept = shop.training.folder / f"test-{backtest.folds[-2].cutoff}"
    earlier = RankAverage(tuple(LearnedScorer.load(kept / n) for n in ("logistic", "xgboost")))
    then = fit_calibrator(earlier.raw_score(before.table), before.labels)
    odds = [
        logit(calibrator.probability(raw_scores))
        for calibrator, raw_scores in (
            (then, earlier.raw_score(test.table)),
            (chosen.model.calibrator, raw_score),
        )
    ]
    assert odds[1].mean() == pytest.approx(odds[0].mean())
    assert odds[1].std() == pytest.approx(odds[0].std())
    found = fetch_scorer(shop.store, "shop", "rank_average")
    assert found is not None
    scorer = load_scorer(found[2], shop.spec)
    again = tmp_path / "again"
    scorer.save(again)
    made = score(
        shop.spec, shop.warehouse, store=shop.store, scorer="rank_average", out=tmp_path / "t.csv"
    )
    assert made.scorer == f"rank_average v{found[1]}"
    loaded = SavedRankAverage.load(again)
    assert np.array_equal(loaded.raw_score(test.table), raw_score)
    frame = pd.DataFrame(test.table.take(np.arange(4)).rows())
    assert Served(shop.spec, loaded).predict(frame)["reasons"].tolist() == [""] * 4
    rows = csv_rows(tmp_path / "t.csv")
    assert all(row["probability"] and row["scorecard_reasons"] for row in rows)
    assert not any(row["model_reasons"] for row in rows)
    raw = compare_run(shop.spec, shop.store).raw
    sound: dict[str, Any] = {**raw, "leakage_checks": []}
    with pytest.raises(UsageError, match="'rank_average' cannot say why"):
        _refuse_unfit(sound, shop.training.comparison, "rank_average")


def test_the_rank_average_names_those_it_averages(children: dict[str, Run]) -> None:
    params = children["rank_average"].data.params
    assert params["members"] == "logistic, xgboost"
    assert params["what"] == "mean percentile of logistic, xgboost"


def test_the_data_behind_a_training_are_named_whole(
    shop: Shop, parent: Run, children: dict[str, Run]
) -> None:
    backtest = shop.training.backtest
    fold = backtest.folds[-1]
    data = stack([read_labelled(shop.spec, backtest, day) for day in fold.train])
    test = read_labelled(shop.spec, backtest, fold.cutoff)
    known = {
        "training": (len(data.labels), data.labels.sum(), fold.train),
        "test": (len(test.labels), test.labels.sum(), [fold.cutoff]),
    }
    for run in (parent, children["xgboost"], children["scorecard"]):
        seen = {}
        for found in run.inputs.dataset_inputs:
            (tag,) = found.tags
            seen[tag.value] = found.dataset
        assert set(seen) == set(known)
        for context, (rows, positives, days) in known.items():
            profile = json.loads(seen[context].profile)
            assert (profile["num_rows"], profile["positives"]) == (rows, positives)
            assert profile["snapshots"] == [day.isoformat() for day in days]
            assert profile["horizon_days"] == 30
            assert max(days).isoformat() in seen[context].name
            assert len(seen[context].digest) == 16
        assert seen["training"].digest != seen["test"].digest
        source = json.loads(seen["test"].source)["uri"]
        assert Path(source).parent == read_published(shop.warehouse, "shop").folder.parent


@with_git
def test_the_code_that_ran_is_named(
    shop: Shop, client: MlflowClient, parent: Run, children: dict[str, Run], root: Path
) -> None:
    done = subprocess.run(
        ["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    from whyrank import __version__

    for run in (parent, *children.values()):
        tags = run.data.tags
        assert tags["code"].startswith(__version__)
        assert tags["mlflow.source.name"] == "whyrank"
        if done.returncode == 0:
            commit = done.stdout.strip()
            assert tags["mlflow.source.git.commit"].removesuffix("-dirty") == commit
            assert commit in tags["code"]
    for version in client.search_model_versions(f"name = '{registered('shop')}'"):
        assert version.tags["code"] == parent.data.tags["code"]


@with_git
def test_outside_a_checkout_no_commit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A project's own repository, with whyrank installed below it and not of it.
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    inside = tmp_path / "log_data.py"
    inside.write_text("", encoding="utf-8")
    monkeypatch.setattr("whyrank.tracking.code_version.__file__", str(inside))
    assert code_commit() is None
    monkeypatch.setenv("PATH", str(tmp_path))  # no git at all
    assert code_commit() is None


def test_few_metrics_have_plain_names_and_tests_are_steps(
    shop: Shop, client: MlflowClient, parent: Run, children: dict[str, Run]
) -> None:
    comparison = shop.training.comparison
    assert set(children) == set(SCORERS)
    for run in (parent, *children.values()):
        plain = [name for name in run.data.metrics if "/" not in name]
        assert 0 < len(plain) <= 8
    for name, run in children.items():
        for metric in ("roc_auc", "average_precision", "lift", "brier"):
            kept = client.get_metric_history(run.info.run_id, f"by_test/{metric}")
            by_step = [found.value for found in sorted(kept, key=lambda m: m.step)]
            assert by_step == [
                comparison.fold_values[fold][name][metric] for fold in comparison.fold_names
            ]
            assert len(by_step) == 2


def test_acting_from_a_threshold_on_is_logged_by_test_with_its_interval(
    shop: Shop, client: MlflowClient, parent: Run, children: dict[str, Run]
) -> None:
    comparison = shop.training.comparison
    for name, run in children.items():
        for rule in ("at_capacity", "at_cost"):
            for what in ("share", "precision", "recall", "profit"):
                metric = f"{rule}/{what}"
                estimates = [
                    comparison.by_fold[fold][name][metric] for fold in comparison.fold_names
                ]
                for part, key in (("value", ""), ("low", "_lower"), ("high", "_upper")):
                    kept = client.get_metric_history(run.info.run_id, f"{metric}{key}")
                    by_step = [found.value for found in sorted(kept, key=lambda m: m.step)]
                    assert by_step == [getattr(estimate, part) for estimate in estimates]
    # By hand, from the registered scorer: acted upon from a chance of 5 in 25 on.
    backtest = shop.training.backtest
    test = read_labelled(shop.spec, backtest, backtest.folds[-1].cutoff)
    scorer = choose_scorer(shop.spec, "logistic", shop.store).model
    assert scorer is not None
    acted = scorer.probability(test.table) >= 5 / 25
    earned = 25 * test.labels[acted].sum() - 5 * acted.sum()
    found = children["logistic"].data.metrics
    assert found["at_cost/share"] == pytest.approx(acted.mean())
    assert found["at_cost/profit"] == pytest.approx(earned / len(acted))
    assert found["at_cost/recall"] == pytest.approx(acted[test.labels].mean())
    assert parent.data.params["cost_of_action"] == "5.0"
    assert parent.data.params["value_of_conversion"] == "25.0"
    assert comparison.selected is not None
    more = comparison.difference("pooled", "at_cost/profit", comparison.selected, "scorecard")
    assert parent.data.metrics["at_cost/profit_chosen_minus_scorecard"] == more.value


def test_every_scorer_carries_its_paired_difference_to_the_scorecard(
    shop: Shop, children: dict[str, Run]
) -> None:
    card = children["scorecard"].data.metrics
    for run in children.values():
        found = run.data.metrics
        low, value, high = (found[f"vs_card/{name}"] for name in ("lower", "auc", "upper"))
        assert value == pytest.approx(
            found["roc_auc_all_tests"] - card["roc_auc_all_tests"], abs=2e-5
        )
        assert low <= value <= high
        assert (low < high) == (run.data.tags["scorer"] != "scorecard")


def test_spend_is_measured_and_told_by_decile(
    shop: Shop, client: MlflowClient, parent: Run, tmp_path: Path
) -> None:
    raw = compare_run(shop.spec, shop.store).raw["spend"]
    reports = [found[raw["selected"]] for found in raw["reports"].values()]
    for metric, key in (("gini", "gini"), ("top_decile_share", "top_decile")):
        kept = client.get_metric_history(parent.info.run_id, f"spend/{metric}")
        assert [found.value for found in kept] == [report[key] for report in reports]
    assert parent.data.metrics["spend/total_ratio"] == reports[-1]["total_ratio"]
    place = client.download_artifacts(parent.info.run_id, "spend_by_decile.csv", str(tmp_path))
    with Path(place).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["chosen"] == "yes"]
    backtest = shop.training.backtest
    tests = [fold.cutoff.isoformat() for fold in backtest.folds]
    assert [row["test"] for row in rows] == [test for test in tests for _ in range(10)]
    # Tenths of users are as many: their means add up to what all spent.
    last = read_labelled(shop.spec, backtest, backtest.folds[-1].cutoff)
    actual = [float(row["actual"]) for row in rows if row["test"] == tests[-1]]
    assert sum(actual) * len(last.spend) / 10 == pytest.approx(last.spend.sum(), rel=1e-3)


def test_tables_and_plots_are_kept(shop: Shop, client: MlflowClient, parent: Run) -> None:
    def names(path: str | None = None) -> set[str]:
        return {found.path for found in client.list_artifacts(parent.info.run_id, path)}

    assert {"comparison.json", "comparison.txt", "spend_by_decile.csv", "plots"} <= names()
    drawn = {
        "model_plots", "waterfall_first", "points_and_model", "points_and_shap",
        "spend_by_decile",
    }  # fmt: skip
    assert names("plots") == {f"plots/{name}.png" for name in drawn} | {"plots/points_and_shap.csv"}


def test_every_scorer_has_the_same_pictures_and_its_importance(
    shop: Shop, client: MlflowClient, children: dict[str, Run], tmp_path: Path
) -> None:
    backtest = shop.training.backtest
    part = read_labelled(shop.spec, backtest, backtest.folds[-1].cutoff)
    drawn = {"ranking.png", "shap.png", "importance.png"}
    for name, run in children.items():
        kept = {found.path for found in client.list_artifacts(run.info.run_id)}
        proposed = {"shaped.toml", "scorecard.diff"} if name == "scorecard_shaped" else set()
        assert kept == drawn | {"importance.csv"} | proposed
        place = client.download_artifacts(run.info.run_id, "importance.csv", str(tmp_path))
        rows = {row["feature"]: row for row in csv_rows(Path(place))}
        assert sum(float(row["contribution_share"]) for row in rows.values()) == pytest.approx(
            1, abs=1e-3
        )
        if name in READS:
            assert set(rows) == READS[name]
        if name == "recency":  # without its only feature it knows nothing
            (row,) = rows.values()
            auc = roc_auc_score(part.labels, -part.table.numeric("days_since_last"))
            assert float(row["roc_auc_lost"]) == pytest.approx(auc - 0.5, abs=0.1)


def test_sampled_contributions_add_up_and_name_what_matters(shop: Shop) -> None:
    """Of the rank average, which has none of its own."""
    backtest = shop.training.backtest
    table = read_labelled(shop.spec, backtest, backtest.folds[-1].cutoff).table
    scorer = choose_scorer(shop.spec, "rank_average", shop.store).model
    assert isinstance(scorer, SavedRankAverage)
    found = moved_by(scorer, table)
    raw_score = scorer.raw_score(table)
    rows = np.linspace(0, len(table) - 1, len(found.values)).astype(int)
    away = raw_score[rows] - raw_score.mean()
    # A mean of eight others stands for everybody's, for each user: its error is known.
    error = raw_score.std() / np.sqrt(8)
    summed = np.sum(found.values, axis=1)
    assert np.abs(summed - away).max() < 5 * error
    assert np.corrcoef(summed, away)[0, 1] > 0.9
    assert found.unit == "percentile, sampled"


def test_a_training_tells_its_verdict_in_two_lines_and_tables_that_fit(
    shop: Shop, parent: Run, children: dict[str, Run]
) -> None:
    warn = parent.data.tags["mlflow.note.content"]
    first, second, rest = warn.split("\n", 2)
    chosen = shop.training.comparison.selected
    assert chosen is not None
    assert chosen in first
    assert max(len(first), len(second)) < 120
    assert "```" not in warn
    tables = [line for line in rest.splitlines() if line.startswith("|")]
    # Cells are told apart by "|", which none of them holds.
    widths = [line.count("|") for line in tables]
    assert set(widths) == {8, 4}
    assert widths.count(8) == len(SCORERS) + 2
    assert max(map(len, tables)) < 300
    params = parent.data.params
    assert params["candidates"] == ", ".join(CANDIDATES)
    assert (params["tune"], params["folds"]) == ("0", "2")
    assert params["population"] == "users with an order: orders > 0"
    from importlib.metadata import version

    assert params["version/numpy"] == version("numpy")
    last = shop.training.comparison.fold_names[-1]
    assert parent.info.run_name.startswith(f"training {last} · 30 d")
    for name in CANDIDATES:
        assert children[name].data.metrics["fit/seconds"] > 0


def test_versions_say_how_they_ranked(
    shop: Shop, client: MlflowClient, children: dict[str, Run]
) -> None:
    for version in client.search_model_versions(f"name = '{registered('shop')}'"):
        run = children[version.tags["scorer"]]
        assert version.tags["roc_auc"] == f"{run.data.metrics['roc_auc']:.5g}"
        assert f"ROC AUC {run.data.metrics['roc_auc']:.3f}" in version.description
        model = client.get_logged_model(version.source.removeprefix("models:/"))
        shown = {m.key: m.value for m in model.metrics or []}
        assert shown["roc_auc"] == run.data.metrics["roc_auc"]


def test_a_training_like_another_is_named_by_what_differs(shop: Shop, parent: Run) -> None:
    tags = {"build": "b2", "spec_version": "1", "code": "0.1.0+abc"}
    record = RunRecord(
        "shop", "k", parent.info.run_name, {}, {}, {}, tags, shop.folder, "", (), None,
        pd.DataFrame(), (), (),
    )  # fmt: skip
    with using(shop.store) as ml:
        named = distinct_title(ml, parent.info.experiment_id, record)
        other = distinct_title(ml, parent.info.experiment_id, replace(record, title="another"))
    assert named.startswith(f"{parent.info.run_name} · build b2")
    assert other == "another"


def test_trials_of_a_search_are_nested_runs(shop: Shop, tmp_path: Path) -> None:
    study = tmp_path / "t.db"
    tune("logistic", [lambda p: p["C"]], trials=3, seed=1, store=study, study="s")
    (search,) = search_records(study, {"logistic": "s"})
    with using(shop.store) as ml:
        experiment = experiment_of(shop.store, ml, "searched")
        parent = ml.MlflowClient().create_run(experiment).info.run_id
        log_searches(ml, experiment, [search], parent)
        runs = ml.MlflowClient().search_runs([experiment])
    by_parent: dict[str | None, list[Run]] = {}
    for run in runs:
        by_parent.setdefault(run.data.tags.get("mlflow.parentRunId"), []).append(run)
    (kind,) = by_parent[parent]
    trials = by_parent[kind.info.run_id]
    values = [run.data.metrics["roc_auc_tuning"] for run in trials]
    assert sorted(values) == sorted(float(run.data.params["C"]) for run in trials)
    assert kind.data.metrics["roc_auc_tuning"] == max(values)
    assert len(trials) == 3


def test_both_accounts_by_part_are_the_scorers_own(shop: Shop, tmp_path: Path) -> None:
    backtest = shop.training.backtest
    table = read_labelled(shop.spec, backtest, backtest.folds[-1].cutoff).table
    scorer = choose_scorer(shop.spec, "xgboost", shop.store).model
    assert isinstance(scorer, LearnedScorer)
    found = part_attributions(shop.spec, scorer, table)
    assert found.parts[0] == "how_often"
    assert np.allclose(found.points.sum(axis=1), Scorecard(shop.spec.scorecard).score(table))
    base = scorer.contributions(table).base
    assert np.allclose(found.log_odds.sum(axis=1) + base, scorer.raw_score(table), atol=1e-4)
    for shares in found.shares():
        assert shares.sum() == pytest.approx(1)
        assert (shares >= 0).all()
    found.write(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["part"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(found.parts)
    worth = {part for part, row in rows.items() if float(row["points_share"]) > 0}
    assert worth == {"how_often", "days_since_last"}
    assert rows["platform"]["correlation"] == ""  # no points, so nothing to correlate


def test_correlation_by_part_knows_agreement_from_contradiction() -> None:
    monotone_increasing = np.arange(20.0)
    points = np.column_stack([monotone_increasing, monotone_increasing, np.ones(20)])
    accounts = PartAttributions(
        ("same", "against", "flat"),
        points,
        np.column_stack([monotone_increasing**3, -monotone_increasing, monotone_increasing]),
    )
    assert accounts.correlations() == [pytest.approx(1), pytest.approx(-1), None]
