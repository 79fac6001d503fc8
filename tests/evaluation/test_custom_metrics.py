"""Custom metrics: compared as whyrank's own are, on the same replicates; bad ones are left out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from whyrank.errors import UsageError
from whyrank.evaluation.comparison import Comparison, compare, from_dict, to_dict
from whyrank.evaluation.custom_metrics import CustomMetric, custom_metrics
from whyrank.evaluation.fold_scores import FoldScores
from whyrank.training.result import custom_metrics_key


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    won = mannwhitneyu(scores[labels], scores[~labels], method="asymptotic").statistic
    return float(won) / (labels.sum() * (~labels).sum())


def squared_error(labels: np.ndarray, probability: np.ndarray) -> float:
    return float(((probability - labels) ** 2).mean())


AUC = CustomMetric("auc_again", auc)
BRIER = CustomMetric("brier_again", squared_error, higher_is_better=False, of="probability")

SHARE = CustomMetric("share", lambda labels, scores: float(labels[scores > 1].mean()))


def folds() -> list[FoldScores]:
    """Two tests of 300 users, most of them in both, and three scorers."""
    found = []
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=300)
        labels = rng.random(300) < 1 / (1 + np.exp(-(truth - 2)))
        signal = {"scorecard": 0.4, "good": 2.0, "same": 0.4}
        raw_scores = {name: share * truth + rng.normal(size=300) for name, share in signal.items()}
        probabilities = {
            name: 1 / (1 + np.exp(-(raw_score - 2))) for name, raw_score in raw_scores.items()
        }
        users = np.arange(300) + 40 * seed
        found.append(
            FoldScores(
                str(seed), users, labels, raw_scores, probabilities, dict.fromkeys(raw_scores)
            )
        )
    return found


def compared(*metrics: CustomMetric) -> Comparison:
    return compare(
        folds(), reference="scorecard", selectable=["good", "same"], n_boot=30, metrics=metrics,
        rng=np.random.default_rng(5),
    )  # fmt: skip


def numbers(found: Any) -> list[float]:
    return [found.value, *found.interval, *found.family, found.family_size]


def test_a_custom_metric_has_the_intervals_and_differences_of_the_same_one_built_in() -> None:
    found = compared(AUC, BRIER)
    assert found.custom == {"auc_again": True, "brier_again": False}
    for mine, theirs in (("auc_again", "roc_auc"), ("brier_again", "brier")):
        for estimates in (found.pooled, *found.by_fold.values()):
            for scorer in estimates.values():
                one, other = scorer[mine], scorer[theirs]
                assert [one.value, one.low, one.high] == pytest.approx(
                    [other.value, other.low, other.high], abs=1e-12
                )
        for where in ("last_fold", "pooled"):
            for pair in (("good", "scorecard"), ("scorecard", "good"), ("good", "same")):
                one = found.difference(where, mine, *pair)
                other = found.difference(where, theirs, *pair)
                assert numbers(one) == pytest.approx(numbers(other), abs=1e-9)
                assert one.better == other.better
    words = found.difference("pooled", "auc_again", "good", "scorecard").words()
    assert words.startswith("good is better than scorecard by auc_again (")
    assert from_dict(json.loads(json.dumps(to_dict(found)))) == found


def only_whole(labels: np.ndarray, scores: np.ndarray) -> float:
    """Give a number for a test, and none where users are drawn twice, as in each replicate."""
    return 1.0 if len(np.unique(scores)) == len(scores) else float("nan")


def spoiled(labels: np.ndarray, scores: np.ndarray) -> float:
    labels[:], scores[:] = False, 0.0
    return 0.5


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (CustomMetric("never", lambda *_: float("nan")), "'never' (an argument) gave nan for 300"),
        (CustomMetric("now_and_then", only_whole), "'now_and_then' (an argument) gave nan for"),
        (CustomMetric("broken", lambda *_: 1 / 0), "'broken' (an argument) failed: ZeroDivision"),
    ],
)
def test_a_metric_that_gives_no_number_is_left_out_and_changes_nothing(
    metric: CustomMetric, said: str
) -> None:
    plain, found = compared(SHARE), compared(metric, SHARE)
    assert found.custom == {"share": True}
    (warn,) = found.notes
    assert warn.startswith(f"left out: metric {said}")
    assert replace(found, notes=()) == plain


def test_a_metric_cannot_change_what_others_measure() -> None:
    found, plain = compared(CustomMetric("spoiled", spoiled), SHARE), compared(SHARE)
    for name, estimates in plain.pooled.items():
        assert {m: found.pooled[name][m] for m in estimates} == estimates


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (CustomMetric("roc_auc", auc), "whyrank has one of that name"),
        (CustomMetric("Top 10%", auc), "lower-case letters, digits and _"),
        (CustomMetric("never", lambda *_: float("nan")), "gave nan for 200 users"),
        (CustomMetric("words", lambda *_: "high"), "failed: ValueError: could not convert"),
        (CustomMetric("odd", auc, of="odds"), "write score or probability"),  # type: ignore[arg-type]
        (CustomMetric("value", 0.5), "is no function"),  # type: ignore[arg-type]
    ],
)
def test_a_metric_that_cannot_be_used_is_refused_before_anything_is_fitted(
    metric: CustomMetric, said: str
) -> None:
    with pytest.raises(UsageError, match="^metric ") as refused:
        custom_metrics([metric], warn=lambda _: None)
    assert said in str(refused.value)
    assert repr(metric.name) in str(refused.value)


def test_a_training_whose_metric_has_changed_is_another_training() -> None:
    """By what it gives: the same name may stand for another function."""
    halved = replace(SHARE, function=lambda *users: SHARE.function(*users) / 2)
    keys = [custom_metrics_key(compared(metric)) for metric in (SHARE, SHARE, halved)]
    assert keys[0] == keys[1] != keys[2]
    assert custom_metrics_key(compared()) == ""


def test_two_metrics_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="metric 'auc_again' is given twice"):
        custom_metrics([AUC, AUC], warn=lambda _: None)
