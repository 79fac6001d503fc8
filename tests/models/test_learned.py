"""Learned scorers: the Scorer contract, target encoding, calibration, what can go wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import logit

from tests.support.tables import data, plan, toy
from whyrank.errors import DataError, UsageError
from whyrank.models.candidates import RankAverage, Trainer
from whyrank.models.catalogue import BLEND, CANDIDATES, MEMBERS, available, check_names
from whyrank.models.encoding import Matrix, fit_encoding
from whyrank.models.explain import agreement, explain_rows, model_reasons, perturbed, words_of
from whyrank.models.fitted import Model
from whyrank.models.kinds import KINDS
from whyrank.models.kinds.base import TrainingData
from whyrank.models.learned import LearnedScorer
from whyrank.published.snapshot import Snapshot
from whyrank.spec.model import FeatureSpec
from whyrank.stats.platt import Calibrator, fit_calibrator
from whyrank.types import Floats

LEARNED = [name for name in CANDIDATES if name != "bg_nbd"]


@dataclass(frozen=True)
class _Shifted:
    """A model whose contributions are of another score."""

    model: Model

    def raw_score(self, matrix: Matrix) -> Floats:
        return self.model.raw_score(matrix) + 0.5

    def contributions(self, matrix: Matrix) -> tuple[Floats, float] | None:
        return self.model.contributions(matrix)

    def save(self, folder: Path) -> None:
        self.model.save(folder)


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer(plan(), data())


@pytest.mark.parametrize("name", LEARNED)
def test_every_candidate_keeps_the_scorer_contract(
    name: str, trainer: Trainer, tmp_path: Path
) -> None:
    scorer = replace(trainer.fit(name), calibrator=Calibrator(0.9, -0.1))
    table, labels = toy(2000, seed=5)
    raw_score, score, probability = (
        scorer.raw_score(table),
        scorer.score(table),
        scorer.probability(table),
    )
    assert raw_score.shape == score.shape == probability.shape == (2000,)
    assert ((score >= 0) & (score <= 100)).all()
    assert ((probability > 0) & (probability < 1)).all()
    # A percentile and a probability put users in the order of the raw score.
    order = np.argsort(raw_score)
    assert (np.diff(score[order]) >= 0).all()
    assert (np.diff(probability[order]) >= 0).all()
    assert raw_score[labels].mean() > raw_score[~labels].mean()
    scorer.save(tmp_path / "kept")
    again = LearnedScorer.load(tmp_path / "kept")
    assert again.about == scorer.about
    assert np.array_equal(again.score(table), score)
    assert np.array_equal(again.probability(table), probability)
    if scorer.explains:
        found = again.contributions(table)
        away = np.abs(found.values.sum(axis=1) + found.base - raw_score)
        assert found.names == scorer.features
        assert (away <= 1e-5 * np.maximum(1, np.abs(found.values).sum(axis=1))).all()
    else:
        with pytest.raises(DataError, match="no contributions"):
            scorer.contributions(table)


def test_what_is_told_of_a_fit_is_what_its_library_was_given() -> None:
    """With few rows leaves are smaller than the defaults say: the boosters themselves know."""
    few = data(400)
    trainer = Trainer(plan(), few)
    positives = int(few.labels.sum())
    scorer = trainer.fit("xgboost", {"n_estimators": 7})
    config = json.loads(scorer.model.booster.save_config())  # type: ignore[attr-defined]
    given = config["learner"]["gradient_booster"]["tree_train_param"]
    assert positives / 8 < KINDS["xgboost"].defaults["min_child_weight"]
    for name in ("min_child_weight", "max_depth", "reg_lambda"):
        assert scorer.about.params[name] == pytest.approx(float(given[name.replace("reg_", "")]))
    assert scorer.about.params["n_estimators"] == 7
    leaves = trainer.fit("lightgbm", {"n_estimators": 7})
    text = leaves.model.booster.model_to_string()  # type: ignore[attr-defined]
    assert f"[min_data_in_leaf: {leaves.about.params['min_child_samples']}]" in text
    forest = trainer.fit("forest", {"n_estimators": 5})
    known = forest.model.estimator.get_params()  # type: ignore[attr-defined]
    assert {name: known[name] for name in forest.about.params} == forest.about.params
    assert trainer.fit("recency").about.params == {}


def test_scores_are_percentiles_of_the_reference_population(trainer: Trainer) -> None:
    scorer = trainer.fit("xgboost")
    table = data().table.take(np.flatnonzero(data().latest))  # type: ignore[attr-defined]
    raw_score = scorer.raw_score(table)
    score = scorer.score(table)
    for place in (0, 17, 900):
        below, tied = (raw_score < raw_score[place]).sum(), (raw_score == raw_score[place]).sum()
        assert score[place] == pytest.approx(100 * (below + tied / 2) / len(raw_score))


def test_a_category_is_worth_what_other_users_did() -> None:
    """With one user per category, own labels would give everything away; others' give nothing."""
    n = 400
    table = Snapshot(pa.table({"name": [f"n{i // 2}" for i in range(n)]}))
    users = np.arange(n) // 2
    own = np.repeat(np.random.default_rng(0).random(n // 2) < 0.5, 2)
    encoding, matrix = fit_encoding(
        table, own, users, numeric=(), categorical=("name",), smoothing=1.0
    )
    assert np.corrcoef(encoding.matrix(table)[:, 0], own)[0, 1] > 0.9
    assert abs(np.corrcoef(matrix[:, 0], own)[0, 1]) < 0.5


def test_smoothed_worth_is_the_formula_and_unseen_and_null_have_one() -> None:
    words = ["a"] * 30 + ["b"] * 10 + [None] * 10
    labels = np.array([True] * 15 + [False] * 15 + [True] * 8 + [False] * 2 + [False] * 10)
    table = Snapshot(pa.table({"word": words}))
    encoding, _ = fit_encoding(
        table, labels, np.arange(50), numeric=(), categorical=("word",), smoothing=20.0
    )
    mean = labels.mean()
    asked = Snapshot(pa.table({"word": pa.array(["a", "b", None, "never seen"])}))
    expected = [(15 + 20 * mean) / 50, (8 + 20 * mean) / 30, (0 + 20 * mean) / 30, mean]
    assert encoding.matrix(asked)[:, 0].tolist() == pytest.approx(expected, rel=1e-6)


def test_calibration_recovers_the_true_rate_after_weights_and_smote() -> None:
    train = data(6000, seed=1)
    fitted = Trainer(plan(), train)
    table, labels = toy(20_000, seed=2)
    test, came = toy(20_000, seed=3)
    band = 4 * np.sqrt(came.mean() * (1 - came.mean()) / len(came)) + 4 * np.sqrt(
        labels.mean() / len(labels)
    )
    for name in ("xgboost", "xgboost_weights", "xgboost_smote", "logistic_weights"):
        scorer = fitted.fit(name)
        if name != "xgboost":
            assert abs(scorer.probability(test).mean() - came.mean()) > band
        calibrated = replace(scorer, calibrator=fit_calibrator(scorer.raw_score(table), labels))
        assert calibrated.probability(test).mean() == pytest.approx(came.mean(), abs=band)


def test_a_calibrator_never_turns_the_ranking_round() -> None:
    raw_score = np.linspace(-2, 2, 400)
    upside_down = fit_calibrator(raw_score, raw_score < 0)
    assert upside_down.slope == 0
    assert upside_down.probability(raw_score) == pytest.approx(0.5, abs=1e-9)
    for everybody, told in ((True, "400 of 400 users"), (False, "0 of 400 users")):
        with pytest.raises(
            DataError, match=f"{told} reached the target: probabilities are calibrated"
        ):
            fit_calibrator(raw_score, np.full(400, everybody))


def test_the_rank_average_is_the_mean_percentile(trainer: Trainer) -> None:
    members = (trainer.fit("logistic"), trainer.fit("xgboost"))
    table, _ = toy(100, seed=9)
    expected = (members[0].score(table) + members[1].score(table)) / 2
    assert np.allclose(RankAverage(members).raw_score(table), expected)


def test_the_blend_is_the_mean_of_its_members_and_says_why_as_they_do(trainer: Trainer) -> None:
    table, _ = toy(200, seed=9)
    members = [trainer.fit(name) for name in MEMBERS]
    blend = trainer.fit(BLEND)
    assert np.allclose(
        blend.raw_score(table), np.mean([m.raw_score(table) for m in members], axis=0)
    )
    parts = [member.contributions(table) for member in members]
    found = blend.contributions(table)
    assert np.allclose(found.values, np.mean([part.values for part in parts], axis=0))
    assert found.base == pytest.approx(np.mean([part.base for part in parts]))
    assert blend.about.params == {m.name: dict(m.about.params) for m in members}


def test_a_blend_fits_the_members_that_are_missing_with_their_own_parameters() -> None:
    params = {"xgboost": {"n_estimators": 9}, "lightgbm": {"n_estimators": 9}}
    alone, together = Trainer(plan(), data()), Trainer(plan(), data())
    for name in MEMBERS:
        together.fit(name, params.get(name))
    table, _ = toy(200, seed=9)
    raw_scores = [t.fit(BLEND, params).raw_score(table) for t in (alone, together)]
    assert np.array_equal(raw_scores[0], raw_scores[1])
    assert not np.allclose(raw_scores[0], Trainer(plan(), data()).fit(BLEND).raw_score(table))


@pytest.mark.parametrize("name", [n for n in LEARNED if n not in {"recency", "forest", "boosting"}])
def test_base_and_contributions_are_the_logit_of_the_probability(
    name: str, trainer: Trainer
) -> None:
    """Weights and SMOTE inflate raw scores, and Platt's map turns them into probabilities."""
    table, labels = toy(500, seed=6)
    plain = trainer.fit(name)
    scorer = replace(plain, calibrator=fit_calibrator(plain.raw_score(table), labels))
    found = explain_rows(scorer, table, {"pair": ["views", "days"]})
    wanted = logit(scorer.probability(table))
    assert np.abs(plain.raw_score(table) - wanted).max() > 0.1  # there was something to fold in
    for contributions in (found.values, found.by_feature):
        assert np.abs(found.base + contributions.sum(axis=1) - wanted).max() < 1e-6
    # What the rounding of 32 bits left out is all that was moved.
    raw = plain.model.contributions(plain.encoding.matrix(table))
    assert raw is not None
    assert np.allclose(found.by_feature, scorer.calibrator.slope * raw[0], atol=1e-5)


def test_contributions_that_do_not_add_up_are_refused(trainer: Trainer) -> None:
    scorer = trainer.fit("logistic")
    wrong = replace(scorer, model=_Shifted(scorer.model))
    with pytest.raises(DataError, match="contributions add up to .* and the score is"):
        wrong.contributions(toy(20)[0])


def test_a_calibration_that_keeps_the_base_rate_leaves_the_ranking_its_reasons(
    trainer: Trainer,
) -> None:
    table, _ = toy(40, seed=6)
    plain = trainer.fit("xgboost")
    flat = explain_rows(replace(plain, calibrator=Calibrator(0.0, -2.0)), table, {})
    assert (flat.base, np.abs(flat.values).max()) == (-2.0, 0.0)
    assert np.array_equal(flat.stable, explain_rows(plain, table, {}).stable)
    words = [FeatureSpec(name=n, op="count", description=n) for n in plain.features]
    nothing = [dict[str, str]()] * len(table)
    told = model_reasons(flat, words_of(flat, table.rows(), words, nothing))
    assert {reason.raises for reasons in told for reason in reasons} == {True, False}


def test_reasons_moved_the_score_and_stay_when_nudged(trainer: Trainer) -> None:
    table, _ = toy(300, seed=4)
    for name in ("logistic", "xgboost", "lightgbm"):
        scorer = trainer.fit(name)
        explained = explain_rows(scorer, table, {})
        share = np.abs(explained.values) / np.abs(explained.values).sum(axis=1, keepdims=True)
        assert not explained.stable[share < 0.02].any()
        assert explained.stable.sum(axis=1).min() >= 1
        # Whoever else is explained, a user's reasons are the same.
        alone = explain_rows(scorer, table.take(np.array([7])), {})
        assert np.array_equal(alone.stable[0], explained.stable[7])


def test_nudges_are_small_and_never_turn_once_into_never() -> None:
    row = [0.0, 1.0, 7.0, -1.0, 2.5, -0.4, np.nan, 7.0]  # the last one stands for a category
    matrix = np.repeat(np.array([row], dtype=np.float32), 2, axis=0)
    seen = np.array([copy[0] for copy in perturbed(matrix, 7)])
    expected = [{0.0}, {1.0, 2.0}, {6.0, 8.0}, {-1.0, -2.0}, {2.475, 2.525}, {-0.396, -0.404}]
    for column, values in enumerate(expected):
        assert sorted(set(seen[:, column].tolist())) == pytest.approx(sorted(values), rel=1e-6)
    assert np.isnan(seen[:, 6]).all()
    assert (seen[:, 7] == 7).all()
    assert np.isnan(matrix[:, 6]).all()
    assert (matrix[:, 2] == 7).all()


def test_a_feature_that_turns_with_every_day_is_no_reason() -> None:
    """Planted: what counts of the days is whether they are even; views count as they should."""
    rng = np.random.default_rng(8)
    n = 6000
    views, days = rng.poisson(6, n) + 1, rng.integers(2, 12, n)
    probability = 1 / (1 + np.exp(-(0.5 * views - 4 + np.where(days % 2 == 0, 2.0, -2.0))))
    table = Snapshot(pa.table({"views": views, "days": days}))
    learnt = TrainingData(table, rng.random(n) < probability, np.arange(n), np.ones(n, dtype=bool))
    small = plan(numeric=("views", "days"), categorical=())
    wild = {"n_estimators": 150, "max_depth": 4, "learning_rate": 0.2, "min_child_weight": 1.0,
            "colsample_bytree": 1.0}  # fmt: skip
    scorer = Trainer(small, learnt).fit("xgboost", wild)
    asked = table.take(np.arange(400))
    explained = explain_rows(scorer, asked, {})
    moved = np.abs(explained.values) >= 0.02 * np.abs(explained.values).sum(axis=1, keepdims=True)
    inside = (days[:400] > 2) & (days[:400] < 11)
    assert moved[inside, 1].mean() > 0.9
    assert explained.stable[inside, 1].mean() < 0.1
    far = np.abs(views[:400] - 7) > 2  # from where views begin to speak for somebody
    assert explained.stable[far & moved[:, 0], 0].mean() > 0.9


def test_grouped_features_are_explained_by_their_sum(trainer: Trainer) -> None:
    table, _ = toy(50, seed=4)
    scorer = trainer.fit("xgboost")
    alone = explain_rows(scorer, table, {})
    names = list(alone.parts)
    grouped = explain_rows(scorer, table, {"pair": names[1:3], "absent": ["no_such_feature"]})
    assert list(grouped.parts) == [names[0], "pair", *names[3:]]
    assert np.allclose(grouped.values[:, 1], alone.values[:, 1] + alone.values[:, 2])
    assert np.allclose(grouped.values.sum(axis=1), alone.values.sum(axis=1))


def test_agreement_is_a_rank_correlation_over_all_features() -> None:
    none: dict[str, float] = {}
    up, down = {"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 3.0, "b": 2.0, "c": 1.0}
    assert agreement(down, up, none) == -1.0
    assert agreement({"a": 3.0}, {"b": 1.0}, none) is None
    assert agreement({"a": 0.0, "b": 0.0, "c": 0.0}, up, none) is None
    # a: 3, 2; b: 1, 3; c (not in the model): 2, 1 -> ranks correlate at -0.5
    assert agreement({"a": 9.0, "b": -1.0, "c": 4.0}, {"a": 0.5, "b": 0.9}, none) == -0.5


def test_accounts_agree_on_a_user_for_whom_little_speaks() -> None:
    """No points at all where others have many is said as plainly as log-odds far below zero."""
    moved = {"a": -2.0, "b": -0.5, "c": 0.1}
    nothing = dict.fromkeys("abc", 0.0)
    assert agreement(nothing, moved, {"a": 30.0, "b": 5.0, "c": 0.5}) == 1.0
    # What everybody gets more of tells nobody apart.
    points, usual = {"a": 3.0, "b": 9.0, "c": 4.0}, {"a": 8.0, "b": 8.0, "c": 8.0}
    more = [{n: v + 5 for n, v in part.items()} for part in (points, usual)]
    assert agreement(more[0], moved, more[1]) == agreement(points, moved, usual)


def test_what_cannot_be_learnt_from_is_said() -> None:
    table, labels = toy(200)
    rows = np.arange(200)
    for all_of_them, words in ((False, "nobody reached"), (True, "everybody reached")):
        one = np.full(200, all_of_them)
        with pytest.raises(DataError, match=words):
            Trainer(plan(), TrainingData(table, one, rows, labels))
    with pytest.raises(DataError, match="no feature 'visits'"):
        Trainer(plan(numeric=("visits",)), data(200)).fit("logistic")
    with pytest.raises(DataError, match="'device': must hold numbers"):
        Trainer(plan(numeric=("device",), categorical=()), data(200)).fit("logistic")
    known = available(plan(recency=None))
    assert "recency" not in known
    assert "bg_nbd" not in known
    with pytest.raises(UsageError, match=r"'recency' needs training\.recency"):
        check_names(["recency"], known)
    with pytest.raises(UsageError, match="did you mean 'xgboost'"):
        check_names(["xgbost"], known)
    with pytest.raises(DataError, match="holds no saved scorer"):
        LearnedScorer.load(Path("/nowhere"))
