"""Comparison of scorers: against scikit-learn, users drawn one by one, and planted differences."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, ndcg_score
from sklearn.metrics import log_loss as sklearn_log_loss

from whyrank.errors import DataError
from whyrank.evaluation.comparison import Comparison, compare, from_dict, to_dict
from whyrank.evaluation.fold_scores import FoldScores
from whyrank.evaluation.paired_bootstrap import cells_of
from whyrank.evaluation.probability_metrics import (
    brier,
    calibration_bins,
    calibration_error,
    log_loss,
)
from whyrank.evaluation.ranking_metrics import (
    average_precision,
    group_by_score,
    lift_at,
    metrics_of_groups,
    ndcg_at,
    precision_at,
    roc_auc,
)
from whyrank.pipeline.compare import cautions, champion_of
from whyrank.reports.comparison_text import comparison_table
from whyrank.training.result import matched_pairs_of


def fold(
    seed: int, signal: dict[str, float], n: int = 4000, name: str = "2026-01-01"
) -> FoldScores:
    """A test on which each scorer sees the same signal, more or less of it."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    labels = rng.random(n) < 1 / (1 + np.exp(-(truth - 3)))
    raw_scores = {s: share * truth + rng.normal(size=n) for s, share in signal.items()}
    probabilities = {s: 1 / (1 + np.exp(-(m - 3))) for s, m in raw_scores.items()}
    users = rng.permutation(2 * n)[:n].astype(np.int64)
    return FoldScores(name, users, labels, raw_scores, probabilities, dict.fromkeys(signal, 1.0))


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=3, max_size=40),
    st.floats(0.05, 0.95),
)
def test_merged_cells_measure_what_every_score_measures(
    users: list[tuple[int, bool]], k: float
) -> None:
    score = np.array([float(s) for s, _ in users])
    label = np.array([y for _, y in users])
    label[:2] = [True, False]
    cell, n_cells = cells_of(score, label)
    merged = group_by_score(-cell.astype(float), label)
    assert n_cells <= 2 * label.sum() + 1
    expected = {
        "roc_auc": roc_auc(score, label),
        "average_precision": average_precision(score, label),
        "lift": lift_at(score, label, k),
        "precision": precision_at(score, label, k),
        "ndcg": ndcg_at(score, label, k),
    }
    assert metrics_of_groups(merged, k) == pytest.approx(expected, abs=1e-12)


def test_probability_metrics_equal_scikit_learns() -> None:
    found = fold(0, {"a": 1.0})
    probability, labels = found.probabilities["a"], found.labels
    assert brier(probability, labels) == pytest.approx(brier_score_loss(labels, probability))
    assert log_loss(probability, labels) == pytest.approx(sklearn_log_loss(labels, probability))
    for k in (10, 400, 4000):
        expected = ndcg_score([labels.astype(float)], [found.raw_scores["a"]], k=k)
        assert ndcg_at(found.raw_scores["a"], labels, k) == pytest.approx(expected)
    ties = np.round(found.raw_scores["a"])
    assert ndcg_at(ties, labels, 500) == pytest.approx(
        ndcg_score([labels.astype(float)], [ties], k=500)
    )


def test_what_is_told_of_a_test_is_counted_by_hand() -> None:
    """Twenty users without ties: the top twentieth is one of them, the top fifth four."""
    raw_score = np.arange(20.0)[::-1]
    labels = np.isin(np.arange(20), [0, 2, 3, 9, 15])
    probability = np.full(20, 0.3)
    one = FoldScores(
        "t", np.arange(20), labels, {"scorecard": raw_score, "flat": -raw_score},
        {"scorecard": probability},
        {"scorecard": None, "flat": None},
    )  # fmt: skip
    found = compare([one], reference="scorecard", n_boot=20, rng=np.random.default_rng(0))
    told = found.fold_values["t"]["scorecard"]
    assert told["base_rate"] == 0.25
    assert told["lift_at_5pct"] == pytest.approx(1.0 / 0.25)
    assert told["lift_at_20pct"] == pytest.approx(0.75 / 0.25)
    assert told["mean_probability"] == pytest.approx(0.3)
    assert told["calibration_error"] == pytest.approx(calibration_error(probability, labels))
    assert found.fold_values["t"]["flat"]["lift_at_20pct"] == 0.0
    assert "brier" not in found.fold_values["t"]["flat"]


def test_calibration_error_is_zero_for_true_chances_up_to_sampling() -> None:
    rng = np.random.default_rng(1)
    probability = rng.beta(1, 9, 20_000)
    labels = rng.random(20_000) < probability
    said, came, size = calibration_bins(probability, labels)
    error = np.sqrt(came * (1 - came) / size)
    assert (np.abs(said - came) <= 4 * error).all()
    assert calibration_error(np.clip(2 * probability, 0, 1), labels) > 0.05


def test_a_planted_difference_is_detected_and_none_is_not() -> None:
    folds = [fold(s, {"scorecard": 0.5, "better": 2.0, "same": 0.5}, name=str(s)) for s in (1, 2)]
    found = compare(
        folds, reference="scorecard", selectable=["better", "same"], n_boot=300,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    better = found.difference("pooled", "roc_auc", "better", "scorecard")
    assert better.detected
    assert better.value > 0
    assert better.family[0] <= better.interval[0] + 0.01
    assert better.words().startswith("better ranks better than scorecard (+")
    same = found.difference("pooled", "roc_auc", "same", "scorecard")
    assert not same.detected
    assert "no detectable difference between same and scorecard" in same.words()
    assert found.selected == "better"
    assert found.where() == "over 2 folds"
    alone = compare(
        folds[:1], reference="scorecard", n_boot=100, rng=np.random.default_rng(0)
    )  # fmt: skip
    assert alone.where() == "on one fold"
    assert "ROC AUC better ranks better than scorecard" in found.verdict()
    worse = found.difference("last_fold", "roc_auc", "scorecard", "better")
    assert worse.words().startswith("scorecard ranks worse than better")
    raw = json.loads(json.dumps(to_dict(found)))
    assert from_dict(raw) == found
    # As earlier versions named the fields.
    earlier = {"tests": "fold_names", "folds": "fold_values", "by_test": "by_fold"}
    raw |= {old: raw.pop(name) for old, name in earlier.items()}
    raw["differences"]["tested"] = raw["differences"].pop("last_fold")
    assert from_dict(raw) == found


def one_better(base: FoldScores) -> FoldScores:
    """Return a test with a scorer `rich` that is `plain` with one positive user moved up."""
    rich = base.raw_scores["plain"].copy()
    rich[np.flatnonzero(base.labels)[np.argmin(rich[base.labels])]] = rich.max() + 1
    return replace(
        base,
        raw_scores={**base.raw_scores, "rich": rich},
        probabilities={**base.probabilities, "rich": base.probabilities["plain"]},
        thresholds={**base.thresholds, "rich": 1.0},
    )


def test_the_simplest_of_those_that_cannot_be_told_apart_is_chosen() -> None:
    signal = {"scorecard": 0.5, "weak": 0.5, "plain": 2.0}
    folds = [one_better(fold(seed, signal, name=f"2026-01-0{seed}")) for seed in (1, 2, 3)]

    def choose(*selectable: str, tests: list[FoldScores] = folds) -> Comparison:
        return compare(
            tests, reference="scorecard", selectable=selectable, n_boot=200,
            rng=np.random.default_rng(0),
        )  # fmt: skip

    for test in folds:  # it is better everywhere, by less than can be told
        assert roc_auc(test.raw_scores["rich"], test.labels) > roc_auc(
            test.raw_scores["plain"], test.labels
        )
    found = choose("weak", "plain", "rich")
    assert (found.best, found.selected) == ("rich", "plain")
    assert found.verdict().startswith(
        "plain, the simplest of those that cannot be told from rich, the best on the folds before"
    )
    assert champion_of(found) == "plain"
    assert choose("rich", "plain", "weak").selected == "rich"
    assert choose("weak", "rich").selected == "rich", "what is worse is not chosen, simple or not"
    # The last test has no say in it.
    upside_down = {name: -raw_score for name, raw_score in folds[-1].raw_scores.items()}
    last = replace(
        folds[-1], raw_scores={**upside_down, "scorecard": folds[-1].raw_scores["scorecard"]}
    )
    assert choose("weak", "plain", "rich", tests=[*folds[:2], last]).selected == "plain"
    # Whoever promotes against it is told.
    assert list(cautions(found, "plain")) == []
    (line,) = cautions(found, "rich")
    assert line.startswith("by ROC AUC, over 3 folds, no detectable difference between rich and pl")
    assert line.endswith(": plain, which --promote selected takes, may rank as well")
    same, worse = cautions(found, "weak")
    assert "no detectable difference between weak and scorecard" in same
    assert same.endswith(": scorecard, the simpler one, may rank as well")
    assert "weak ranks worse than plain (-0." in worse
    (kept,) = cautions(found, "scorecard")
    assert "scorecard ranks worse than plain" in kept


def test_intervals_of_equal_scorers_cover_zero_as_often_as_they_say() -> None:
    """Two scorers of the same worth, 60 worlds: 95% intervals miss zero in 0 to 8 of them.

    A binomial(60, 0.05) exceeds 8 once in 600 times.
    """
    missed = 0
    for seed in range(60):
        found = compare(
            [fold(100 + seed, {"scorecard": 1.0, "other": 1.0}, n=1500)],
            reference="scorecard", n_boot=120, rng=np.random.default_rng(seed),
        )  # fmt: skip
        low, high = found.difference("last_fold", "roc_auc", "other", "scorecard").interval
        missed += not low <= 0 <= high
    assert missed <= 8


def test_pooled_replicates_draw_a_user_once_for_all_tests() -> None:
    """The same test twice, with the same users: pooling adds nothing, so the interval stays."""
    one = fold(3, {"scorecard": 0.5, "other": 1.0})
    twin = FoldScores(
        "again", one.users, one.labels, one.raw_scores, one.probabilities, one.thresholds
    )
    stranger = FoldScores(
        "strangers", one.users + 8000, one.labels, one.raw_scores, one.probabilities, one.thresholds
    )

    def width(folds: list[FoldScores]) -> float:
        found = compare(folds, reference="scorecard", n_boot=400, rng=np.random.default_rng(1))
        estimate = found.pooled["other"]["roc_auc"]
        return estimate.high - estimate.low

    alone = width([one])
    assert width([one, twin]) == pytest.approx(alone, rel=0.15)
    assert width([one, stranger]) == pytest.approx(alone / np.sqrt(2), rel=0.15)


def test_what_cannot_be_compared_is_refused() -> None:
    first, second = fold(1, {"scorecard": 1.0}), fold(2, {"other": 1.0}, name="b")
    with pytest.raises(DataError, match="fold b: its scorers are not those of 2026-01-01"):
        compare([first, second], reference="scorecard", rng=np.random.default_rng(0))
    found = compare([first], reference="scorecard", n_boot=20, rng=np.random.default_rng(0))
    raw = json.loads(json.dumps(to_dict(found)))
    del raw["evaluation_folds"]
    with pytest.raises(DataError, match="written by another version of whyrank .*: train again"):
        from_dict(raw)


def test_tests_that_were_tuned_on_are_told_and_judge_nothing() -> None:
    """Better than the scorecard on the first test, which it was tuned on, and worse on the last."""
    folds = [
        fold(1, {"scorecard": 0.5, "tuned": 2.0}, name="before"),
        fold(2, {"scorecard": 2.0, "tuned": 0.5}, name="after"),
    ]
    known = {"reference": "scorecard", "selectable": ["tuned"], "n_boot": 200}
    found = compare(folds, **known, tuned_on=["before"], rng=np.random.default_rng(0))  # type: ignore[arg-type]
    assert found.evaluation_folds == ("after",)
    assert found.pooled == found.last_fold
    assert set(found.fold_values) == {"before", "after"}
    difference = found.difference("pooled", "roc_auc", "tuned", "scorecard")
    assert (difference.detected, difference.better) == (True, False)
    assert "tuned on (after): by ROC AUC tuned ranks worse" in found.verdict()
    both = compare(folds, **known, rng=np.random.default_rng(0))  # type: ignore[arg-type]
    assert both.evaluation_folds == ("before", "after")
    with pytest.raises(DataError, match="every fold was tuned on"):
        compare(folds, **known, tuned_on=["before", "after"], rng=np.random.default_rng(0))  # type: ignore[arg-type]


def test_the_choice_never_sees_the_last_test() -> None:
    """Early is ahead by the mean of both tests before the last; late on the first and the last.

    Late is the simpler one, so that it would be chosen wherever it is not detectably worse.
    """
    signals = [(0.5, 0.7), (3.0, 0.2), (0.0, 4.0)]
    folds = [
        fold(seed, {"scorecard": 0.5, "early": early, "late": late}, name="abc"[seed])
        for seed, (early, late) in enumerate(signals)
    ]
    known = {"reference": "scorecard", "selectable": ["late", "early"], "n_boot": 40}
    found = compare(folds, **known, rng=np.random.default_rng(0))  # type: ignore[arg-type]
    ahead = [
        max(("early", "late"), key=lambda name: found.fold_values[test][name]["roc_auc"])
        for test in "abc"
    ]
    assert ahead == ["late", "early", "late"]
    assert found.difference("pooled", "roc_auc", "late", "early").value > 0
    assert (found.selected, found.best) == ("early", "early")
    assert found.notes == ()
    assert "early, the best on the folds before the last, against scorecard" in found.verdict()
    # On one test there is nothing else to choose by, and the notes say so.
    alone = compare(folds[2:], **known, rng=np.random.default_rng(0))  # type: ignore[arg-type]
    assert alone.selected == "late"
    assert alone.notes == (
        "selected on the only fold: the selected scorer's estimates are optimistic",
    )
    assert "late, the best of them on this same fold, against" in alone.verdict()


def test_intervals_of_calibration_errors_lie_around_what_was_measured() -> None:
    """Ten groups of true probabilities: resampling adds as much noise again as the error is made
    of.

    Were replicates taken as they come, the mean of |N(z, 1)| over ten groups, they would lie above
    the mean of |z| by a third of it, more than one of their standard deviations (0.25), so that
    less than a fifth of the interval would lie below the value. Around it, about half does.
    """
    below = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        probability = rng.beta(2, 6, 2000)
        labels = rng.random(2000) < probability
        one = FoldScores(
            "t", np.arange(2000), labels, {"scorecard": probability}, {"scorecard": probability},
            {"scorecard": None},
        )  # fmt: skip
        found = compare([one], reference="scorecard", n_boot=200, rng=rng)
        error = found.last_fold["scorecard"]["calibration_error"]
        below.append((error.value - error.low) / (error.high - error.low))
    assert np.mean(below) == pytest.approx(0.5, abs=0.1)


def test_a_floor_has_a_family_of_its_own_as_wide_as_all_comparisons_with_it() -> None:
    signal = {"scorecard": 0.5, "floor": 0.4, **{f"s{i}": 0.6 for i in range(8)}}
    known = {"reference": "scorecard", "n_boot": 300}
    found = compare(
        [fold(4, signal)], **known, baselines=["floor", "gone"], rng=np.random.default_rng(0)
    )  # type: ignore[arg-type]
    plain = compare([fold(4, signal)], **known, rng=np.random.default_rng(0))  # type: ignore[arg-type]
    assert found.baselines == ("floor",)
    for name in ("s0", "s7"):
        wide = found.difference("pooled", "roc_auc", name, "floor")
        narrow = plain.difference("pooled", "roc_auc", name, "floor")
        assert (wide.value, wide.interval) == (narrow.value, narrow.interval)
        assert (wide.family_size, narrow.family_size) == (9, 1)
        # Nine at once need about 2.7 standard errors, one alone 1.96.
        ratio = (wide.family[1] - wide.family[0]) / (narrow.family[1] - narrow.family[0])
        assert 1.15 < ratio < 1.6
    # A pair of both bases stays in the reference's family.
    both = found.difference("pooled", "roc_auc", "floor", "scorecard")
    assert both == plain.difference("pooled", "roc_auc", "floor", "scorecard")


def twin_folds(smote: float, off: float) -> list[FoldScores]:
    """A plain scorer, and a twin that keeps a share of its signal, with probabilities off."""
    made = []
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=6000)
        probability = 1 / (1 + np.exp(-(truth - 2)))
        labels = rng.random(6000) < probability
        seen = truth if smote == 1 else smote * truth + rng.normal(size=6000)
        raw_scores = {"scorecard": np.round(truth), "plain": truth + 0, "plain_smote": seen}
        probabilities = dict.fromkeys(raw_scores, probability) | {
            "plain_smote": np.clip(probability + off, 0, 1)
        }
        users = np.arange(6000)
        made.append(
            FoldScores(
                str(seed), users, labels, raw_scores, probabilities, dict.fromkeys(raw_scores)
            )
        )
    return made


@pytest.mark.parametrize(
    ("smote", "off", "whole", "said"),
    [
        (1.0, 0.0, "resampling does not help", "plain_smote against plain: no detectable diff"),
        (0.5, 0.0, "resampling does not help", "plain_smote against plain: harms by ROC AUC ("),
        (1.0, 0.1, "resampling does not help", "plain: harms by calibration error ("),
        (0.5, 0.1, "resampling does not help", "harms by ROC AUC and calibration error ("),
    ],
)
def test_resampling_that_does_not_help_is_said(
    smote: float, off: float, whole: str, said: str
) -> None:
    found = compare(
        twin_folds(smote, off), reference="scorecard", matched_pairs=[("plain_smote", "plain")],
        n_boot=200, rng=np.random.default_rng(0),
    )  # fmt: skip
    text = "\n".join(comparison_table(found))
    assert f"(max-t): {whole}, neither the ranking nor the probabilities" in text
    assert said in text
    assert "over 2 folds, intervals widened for 2 comparisons" in text
    assert from_dict(json.loads(json.dumps(to_dict(found)))).matched_pairs == found.matched_pairs


@pytest.mark.parametrize(
    ("smote", "off", "said"),
    [
        (0.5, 0.0, "plain against plain_smote: helps by ROC AUC ("),
        (1.0, 0.1, "plain against plain_smote: helps by calibration error ("),
    ],
)
def test_resampling_that_helps_is_said(smote: float, off: float, said: str) -> None:
    """The same pair the other way round: now it is the plain one that is worse."""
    found = compare(
        twin_folds(smote, off), reference="scorecard", matched_pairs=[("plain", "plain_smote")],
        n_boot=200, rng=np.random.default_rng(0),
    )  # fmt: skip
    text = "\n".join(comparison_table(found))
    assert "(max-t): resampling helps plain" in text
    assert said in text


def test_every_candidate_that_resamples_is_set_against_the_same_without() -> None:
    names = ["xgboost_smote", "logistic_weights", "logistic", "xgboost", "forest", "recency"]
    assert matched_pairs_of(names) == [
        ("xgboost_smote", "xgboost"),
        ("logistic_weights", "logistic"),
    ]
    assert matched_pairs_of(["logistic_smote", "forest"]) == []
