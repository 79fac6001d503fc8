"""Candidates and metrics from outside, by argument and by entry point, through a whole training."""

from __future__ import annotations

import json
import re
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from tests.support.csv_rows import csv_rows
from tests.support.plugins import install
from tests.support.shops import Shop, train_shop
from whyrank.errors import DataError, UsageError
from whyrank.evaluation.custom_metrics import custom_metrics
from whyrank.models.candidates import Trainer
from whyrank.models.custom import CustomCandidate, custom_candidates
from whyrank.pipeline.compare import compare as compare_run
from whyrank.pipeline.compare import comparison_document
from whyrank.pipeline.score import score
from whyrank.pipeline.train import Training, train
from whyrank.tracking import Store, fetch_scorer, open_store
from whyrank.training import plots
from whyrank.training.datasets import read_labelled, stack
from whyrank.training.scorer_plots import draw_scorer

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("train")]
PLUGIN = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

class FirstColumn(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        positive = 1 / (1 + np.exp(-np.nan_to_num(X[:, 0]) / 10))
        return np.column_stack([1 - positive, positive])

def bayes():
    return make_pipeline(SimpleImputer(), GaussianNB())

def spread(labels, scores):
    return float(scores[labels].mean() - scores[~labels].mean())

def nothing(labels, scores):
    return float("nan")

mute = SimpleImputer()
"""
GUIDE = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Trained:
    """The guide's training, with a candidate and a metric of an installed package as well."""

    training: Training
    store: Store
    neighbours: Any
    notes: list[str]


@pytest.fixture(scope="module")
def trained(shop: Shop, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Follow the guide on the shop. Only one scorer is drawn: the others are elsewhere."""
    folder = tmp_path_factory.mktemp("custom")
    store, notes = open_store(home=folder / "mlflow"), list[str]()
    entries = {
        "whyrank.candidates": {"first": "FirstColumn"}, "whyrank.metrics": {"spread": "spread"}
    }  # fmt: skip

    def drawn(place: Path, name: str, *rest: Any) -> None:
        place.mkdir(parents=True)
        if name == "first":
            draw_scorer(place, name, *rest)

    def with_more(*where: Any, candidates: Any, metrics: Any) -> Training:
        return train(
            *where, candidates=[*candidates, "first"], metrics=metrics, folds=1, n_boot=40,
            warn=notes.append,
        )  # fmt: skip

    (_, opening), (_, code), (_, text) = GUIDE.findall(
        (root / "docs" / "guides" / "your-own-candidates.md").read_text(encoding="utf-8")
    )
    assert "open_store()" in opening
    world: dict[str, Any] = {"spec": shop.spec, "warehouse": shop.warehouse, "store": store}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(install(folder / "site", "shop_plugin", PLUGIN, entries)))
        patch.setattr(plots, "draw_scorer", drawn)
        patch.setattr("whyrank.pipeline.train.train", with_more)
        with redirect_stdout(StringIO()) as printed:
            exec(code, world)  # noqa: S102 - it is the guide's
    (line,) = text.splitlines()
    assert line.replace("missed", "spread (higher is better), missed") in printed.getvalue()
    return Trained(world["training"], store, world["neighbours"], notes)


def test_custom_candidates_and_metrics_are_compared_like_any_other(
    shop: Shop, trained: Trained
) -> None:
    read = compare_run(shop.spec, trained.store)
    comparison = read.comparison
    assert set(comparison.pooled) == {"scorecard", "logistic", "neighbours", "first"}
    assert comparison.custom == {"spread": True, "missed": False}
    (test,) = comparison.fold_names
    for name in ("neighbours", "first"):
        for metric in ("roc_auc", "brier", "missed"):
            found = comparison.difference("pooled", metric, name, "scorecard")
            assert found.family[0] <= found.value <= found.family[1]
            assert found.family_size == 3
    assert comparison.selected == "logistic"  # the only one that can say why
    document = json.loads(json.dumps(comparison_document(read)))
    value = document["comparison"]["by_fold"][test]["neighbours"]["missed"]["value"]
    rows = read.to_frame().set_index(["scorer", "test", "metric"])
    assert value == rows.loc["neighbours", test, "missed"]["value"]
    assert 0 < value < 0.5


def test_a_custom_candidate_is_a_fitted_copy_on_the_folds_rows(
    shop: Shop, trained: Trained
) -> None:
    backtest = trained.training.backtest
    (fold,) = backtest.folds
    data = stack([read_labelled(shop.spec, backtest, day) for day in fold.train])
    encoding, matrix = Trainer(backtest.plan, data).matrix()
    part = read_labelled(shop.spec, backtest, fold.cutoff)
    own = clone(trained.neighbours).fit(matrix, data.labels)
    probability = own.predict_proba(encoding.matrix(part.table))[:, 1]
    ranked = trained.training.comparison.fold_values[str(fold.cutoff)]["neighbours"]["roc_auc"]
    assert ranked == pytest.approx(roc_auc_score(part.labels, probability), abs=1e-9)
    assert not hasattr(trained.neighbours[-1], "classes_")


def test_each_has_a_run_with_pictures_and_only_what_is_safe_to_load_is_registered(
    shop: Shop, trained: Trained, tmp_path: Path
) -> None:
    client = MlflowClient(trained.store.uri, trained.store.uri)
    experiment = client.get_experiment_by_name("whyrank shop")
    assert experiment is not None
    query = f"tags.training = '{trained.training.run}'"
    runs = {r.data.tags["scorer"]: r for r in client.search_runs([experiment.experiment_id], query)}
    pooled = trained.training.comparison.pooled
    for name in ("neighbours", "first"):
        data = runs[name].data
        assert data.params["what"].startswith("custom candidate, ")
        assert data.metrics["custom/missed/lower"] <= data.metrics["custom/missed/upper"]
        assert data.metrics["by_test/missed"] == pooled[name]["missed"].value
    assert "KNeighborsClassifier(n_neighbors=50)" in runs["neighbours"].data.params["estimator"]
    assert runs["first"].data.params["source"].endswith(":FirstColumn of shop_plugin 1.0")
    plots = Path(client.download_artifacts(runs["first"].info.run_id, "", str(tmp_path)))
    assert {p.name for p in plots.iterdir()} >= {"ranking.png", "shap.png", "importance.png"}
    lost = {r["feature"]: float(r["roc_auc_lost"]) for r in csv_rows(plots / "importance.csv")}
    first = trained.training.backtest.plan.numeric[0]  # all that it reads
    assert {name for name, auc in lost.items() if auc} == {first}
    # What skops loads without foreign code is registered, and ranks a list.
    made = score(
        shop.spec, shop.warehouse, store=trained.store, scorer="neighbours", top=5,
        out=tmp_path / "top_users.csv",
    )  # fmt: skip
    assert made.scorer.startswith("neighbours v")
    assert fetch_scorer(trained.store, "shop", "first") is None
    (warn,) = [n for n in trained.notes if "'first'" in n]
    assert warn.startswith("candidate 'first' is compared, and not registered: it holds the type ")
    assert "shop_plugin.FirstColumn" in warn
    assert "shop_plugin.FirstColumn" in runs["first"].data.tags["mlflow.note.content"]
    for name in ("neighbours", "first"):
        with pytest.raises(UsageError, match=f"scorer '{name}' cannot say why"):
            compare_run(shop.spec, trained.store, promote_scorer=name)


def test_fits_are_kept_for_the_same_candidate_only() -> None:
    one = CustomCandidate("n", KNeighborsClassifier(30), "").identity()
    assert one == CustomCandidate("n", KNeighborsClassifier(30), "").identity()
    assert one != CustomCandidate("n", KNeighborsClassifier(31), "").identity()
    weights = {"weights": lambda distance: 1 / distance}  # nobody can tell whether it has changed
    vague = [CustomCandidate("n", KNeighborsClassifier(**weights), "") for _ in range(2)]
    assert vague[0].identity() != vague[1].identity()


def test_what_is_random_in_a_candidate_has_the_trainings_seed() -> None:
    rng = np.random.default_rng(0)
    matrix, labels = rng.random((200, 3)).astype(np.float32), rng.random(200) < 0.3

    def raw_scores(seed: int, **params: Any) -> list[float]:
        trees = make_pipeline(SimpleImputer(), ExtraTreesClassifier(5, max_depth=3, **params))
        fitted = CustomCandidate("trees", trees, "an argument").fit_classes(matrix, labels, seed)
        found: list[float] = fitted.raw_score(matrix).tolist()
        return found

    assert raw_scores(1) == raw_scores(1) != raw_scores(2)
    assert raw_scores(1, random_state=5) == raw_scores(2, random_state=5)  # it was given


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ({"xgboost": GaussianNB()}, "candidate 'xgboost' (an argument): whyrank has one of that"),
        ({"scorecard_2": GaussianNB()}, "whyrank has one of that name"),
        ({"Mine": GaussianNB()}, "write its name in lower-case letters"),
        ({"mine": LinearSVC()}, "'mine' (an argument): LinearSVC has no predict_proba"),
        ({"mine": GaussianNB}, "'mine' (an argument) is a class: give an estimator"),
        ({"mine": object()}, "'mine' (an argument): object has no get_params"),
    ],
)
def test_a_candidate_that_cannot_be_used_is_refused_before_anything_is_built(
    shop: Shop, candidate: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        train_shop(shop.spec, shop.warehouse, shop.store, candidates=["logistic", candidate])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_estimator_that_takes_no_nulls_is_named_with_what_to_do() -> None:
    matrix = np.array([[0.0], [np.nan], [1.0], [2.0]], dtype=np.float32)
    labels = np.array([False, True, False, True])
    mine = CustomCandidate("mine", LogisticRegression(), "an argument")
    with pytest.raises(DataError, match=r"'mine' \(an argument\) cannot be fitted: .*imputer"):
        mine.fit_classes(matrix, labels, 0)
    wide = CustomCandidate("wide", Shapeless(), "an argument")
    with pytest.raises(DataError, match=r"'wide' .* shape \(4,\) that is no two probabilities"):
        wide.fit_classes(matrix, labels, 0)


class Shapeless(GaussianNB):  # type: ignore[misc] # untyped base
    def fit(self, X: Any, y: Any) -> Shapeless:  # noqa: ARG002, N803
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        return np.zeros(len(X))


def test_bad_plugins_are_left_out_with_a_line_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = {"bayes": "bayes", "xgboost": "bayes", "mute": "mute", "gone": "nowhere"}
    metrics = {"spread": "spread", "nothing": "nothing", "brier": "spread"}
    entries = {"whyrank.candidates": candidates, "whyrank.metrics": metrics}
    monkeypatch.syspath_prepend(str(install(tmp_path / "a", "good_plugin", PLUGIN, entries)))
    broken = {"whyrank.candidates": {"broken": "made"}}
    folder = install(tmp_path / "b", "broken_plugin", "import no_such_library", broken)
    monkeypatch.syspath_prepend(str(folder))
    notes: list[str] = []
    assert list(custom_candidates(None, warn=notes.append)) == ["bayes"]
    assert [m.name for m in custom_metrics([], warn=notes.append)] == ["spread"]
    for part in (
        "plugin 'broken' (entry point broken_plugin:made of broken_plugin 1.0) cannot be loaded: "
        "ModuleNotFoundError: No module named 'no_such_library'",
        "plugin 'gone' (entry point good_plugin:nowhere of good_plugin 1.0) cannot be loaded: ",
        "candidate 'xgboost' (entry point good_plugin:bayes of good_plugin 1.0): whyrank has one",
        "candidate 'mute' (entry point good_plugin:mute of good_plugin 1.0): SimpleImputer has no",
        "metric 'nothing' (entry point good_plugin:nothing of good_plugin 1.0) gave nan",
        "metric 'brier' (entry point good_plugin:spread of good_plugin 1.0): whyrank has one",
    ):
        assert sum(warn.startswith(f"left out: {part}") for warn in notes) == 1, (part, notes)
    assert len(notes) == 6
    # One that was asked for is no note but an error.
    with pytest.raises(UsageError, match="plugin 'broken' .* cannot be loaded"):
        custom_candidates(["logistic", "broken"], warn=notes.append)
    assert list(custom_candidates(["logistic", "xgboost", "bayes"], warn=notes.append)) == ["bayes"]
    assert len(notes) == 6
