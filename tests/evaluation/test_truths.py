"""Planted truths: where points are right, the two tie; where they cannot be, the model wins."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.models.tables import ABOUT
from whyrank.evaluation.comparison import Comparison, FoldScores, compare
from whyrank.features.matrix import Snapshot
from whyrank.models.candidates import Plan, Trainer, TrainingData
from whyrank.scoring.scorecard import Scorecard
from whyrank.spec.scorecard import ScorecardSpec

CARD = ScorecardSpec.model_validate(
    {
        "terms": [
            {"name": n, "feature": n, "points": p, "transform": "linear", "cap": 1, "reason": "x"}
            for n, p in (("a", 50), ("b", 30), ("c", 20))
        ]
    }
)
PLAN = Plan(("a", "b", "c"), (), frozenset(), frozenset(), None, None, ABOUT)


def world(n: int, rng: np.random.Generator, *, linear: bool) -> tuple[Snapshot, np.ndarray]:
    a, b, c = rng.random((3, n))
    points = 4 * (0.5 * a + 0.3 * b + 0.2 * c)
    both_ends = 4 * np.abs(2 * a - 1) + b  # high and low a convert, the middle does not
    margin = points if linear else both_ends
    labels = rng.random(n) < 1 / (1 + np.exp(-(margin - 4.5)))
    return Snapshot(pa.table({"a": a, "b": b, "c": c})), labels


def verdict(seed: int, kind: str, *, linear: bool) -> Comparison:
    rng = np.random.default_rng([seed, linear])
    table, labels = world(60_000, rng, linear=linear)
    rows = np.arange(60_000)
    scorer = Trainer(PLAN, TrainingData(table, labels, rows, rows >= 0)).fit(kind)
    test, came = world(1500, rng, linear=linear)
    margins = {"scorecard": Scorecard(CARD).score(test), kind: scorer.margin(test)}
    chances = {name: 1 / (1 + np.exp(-m)) for name, m in margins.items()}
    fold = FoldScores("t", np.arange(1500), came, margins, chances, dict.fromkeys(margins))
    return compare([fold], reference="scorecard", eligible=[kind], n_boot=200, rng=rng)


@pytest.mark.parametrize("seed", range(3))
def test_a_truth_that_points_cannot_say_is_won_by_the_model(seed: int) -> None:
    found = verdict(seed, "xgboost", linear=False)
    difference = found.difference("pooled", "roc_auc", "xgboost", "scorecard")
    assert difference.detected
    assert difference.value > 0.1
    assert "ROC AUC xgboost ranks better than scorecard" in found.verdict()


def test_a_truth_that_is_a_sum_of_points_is_a_tie() -> None:
    """At 95% one tie in twenty looks like a difference: two or more of six would be odd (3%).

    The points are the truth here, which no learner can beat: the straight one ties, and trees,
    which climb a slope in steps, lose next to nothing.
    """
    straight = [verdict(seed, "logistic", linear=True) for seed in range(6)]
    told = ["ROC AUC no detectable difference between" in found.verdict() for found in straight]
    assert sum(told) >= 5
    for found in [verdict(seed, "xgboost", linear=True) for seed in range(6)]:
        difference = found.difference("pooled", "roc_auc", "xgboost", "scorecard")
        assert not (difference.detected and difference.value > 0)
        assert abs(difference.value) < 0.02
