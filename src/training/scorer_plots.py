"""What is drawn of every scorer, under the same names: how it ranks, and what moves its scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..escapes import csv_writer
from ..evaluation.ranking_metrics import roc_auc
from ..models.learned import LearnedScorer
from ..published.snapshot import Snapshot
from ..ranking.active_scorer import SCORECARD
from ..reports.figures import ranking_figure
from ..reports.scorer_figures import beeswarm_figure, importance_figure
from ..scorer import Scorer
from ..scoring.points_scorer import PointsScorer
from ..scoring.scorecard import Scorecard
from ..spec.scorecard import HUNDREDTHS
from ..types import Floats
from .datasets import Labelled

RANKING, SHAP, IMPORTANCE = "ranking.png", "shap.png", "importance.png"
_USERS = 1_000  # by whom importance is told: all who converted, up to half, and others
_SHOWN = 1_500  # users in a beeswarm
_SAMPLED, _ORDERS = 120, 8  # users, and orders of features, for scorers without contributions


@dataclass(frozen=True)
class Moved:
    """What moved some users' scores: contributions (n, k) by feature, in `unit`.

    Log-odds are those of the probability, as everywhere.

    data: the features' values, (n, k), a category's by its place among the texts; NaN is unknown.
    """

    names: tuple[str, ...]
    values: Floats
    data: Floats
    unit: str

    def shares(self) -> dict[str, float]:
        """Return each feature's share of the mean distance from its own average."""
        away = np.abs(self.values - self.values.mean(axis=0)).mean(axis=0)
        return dict(zip(self.names, (away / (away.sum() or 1.0)).tolist(), strict=True))


def draw_scorer(
    folder: Path,
    name: str,
    scorer: Scorer,
    part: Labelled,
    raw_scores: Mapping[str, Floats],
    probabilities: Mapping[str, Floats],
) -> None:
    """Write ranking.png, shap.png, importance.png and importance.csv of a scorer to a folder.

    part: a test's users and outcomes. raw_scores, probabilities: on it, of the scorecard and this
    scorer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{name}, fold as of {part.as_of}: {len(part.labels):,} users"
    shown = dict.fromkeys([SCORECARD, name])
    ranking_figure(
        folder / RANKING,
        title,
        part.labels,
        {one: raw_scores[one] for one in shown},
        {one: probabilities[one] for one in shown if one in probabilities},
    )
    moved = moved_by(scorer, part.table)
    beeswarm_figure(
        folder / SHAP, f"{name}: what moves scores", moved.names, moved.values, moved.data,
        unit=moved.unit,
    )  # fmt: skip
    lost, shares = lost_without(scorer, part), moved.shares()
    importance_figure(
        folder / IMPORTANCE,
        title,
        list(lost),
        np.array(list(lost.values())),
        np.array([shares[feature] for feature in lost]),
        unit=moved.unit,
    )
    with (folder / "importance.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv_writer(file)
        writer.writerow(["feature", "roc_auc_lost", "contribution_share"])
        for feature in sorted(lost, key=lambda one: -lost[one]):
            writer.writerow([feature, f"{lost[feature]:.5f}", f"{shares[feature]:.4f}"])


def lost_without(scorer: Scorer, part: Labelled, *, seed: int = 0) -> dict[str, float]:
    """Return the ROC AUC that a scorer loses by feature when its values are dealt at random.

    Told by at most a thousand users, who converted first; which share they are changes no ROC
    AUC.
    """
    rng = np.random.default_rng(seed)
    positive, others = np.flatnonzero(part.labels), np.flatnonzero(~part.labels)
    positive = rng.permutation(positive)[: _USERS // 2]
    rows = np.sort(np.concatenate([positive, rng.permutation(others)[: _USERS - len(positive)]]))
    table, labels = part.table.take(rows), part.labels[rows]
    dealt = rng.permutation(len(rows))
    tables = [table.replaced(feature, table, dealt) for feature in scorer.features]
    # One call: it costs some models more to begin than to rank a thousand users.
    raw_scores = scorer.raw_score(Snapshot.stack([table, *tables])).reshape(-1, len(rows))
    whole, *without = (roc_auc(raw_score, labels) for raw_score in raw_scores)
    return {f: whole - auc for f, auc in zip(scorer.features, without, strict=True)}


def moved_by(scorer: Scorer, table: Snapshot, *, seed: int = 0) -> Moved:
    """Return what moved the scores of some users, evenly spread over a table.

    By the scorer's own contributions; one that has none gets Shapley values by sampling (Štrumbelj
    & Kononenko 2014): features take a user's values one by one, in random orders, from a random
    user's. They add up to the raw score less the mean of those others'.
    """
    most = _SHOWN if scorer.explains else _SAMPLED
    rows = np.linspace(0, len(table) - 1, min(most, len(table))).astype(np.int64)
    part = table.take(rows)
    data = np.column_stack([_numbers(part, feature) for feature in scorer.features])
    if isinstance(scorer, PointsScorer):
        return Moved(scorer.features, _points(scorer.card, part), data, "points")
    if isinstance(scorer, LearnedScorer) and scorer.explains:
        found = scorer.calibrator.calibrated(scorer.contributions(part))
        return Moved(found.names, np.asarray(found.values, dtype=np.float64), data, found.scale)
    sampled = _sampled(scorer, part, table, seed)
    if isinstance(scorer, LearnedScorer):
        sampled = scorer.calibrator.slope * sampled
        return Moved(scorer.features, sampled, data, "log-odds, sampled")
    return Moved(scorer.features, sampled, data, "percentile, sampled")


def _points(card: Scorecard, part: Snapshot) -> Floats:
    """Return points by feature: of all terms that read it."""
    found = card.contributions(part)
    values = np.zeros((len(part), len(card.features)))
    for column, term in enumerate(card.spec.terms):  # the terms' columns come first
        values[:, card.features.index(term.feature)] += found.values[:, column] / HUNDREDTHS
    return values


def _sampled(scorer: Scorer, part: Snapshot, table: Snapshot, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    k, total = len(scorer.features), np.zeros((len(part), len(scorer.features)))
    for _ in range(_ORDERS):
        order = rng.permutation(k)
        steps = [table.take(rng.integers(0, len(table), len(part)))]
        everybody = np.arange(len(part))
        for place in order:
            steps.append(steps[-1].replaced(scorer.features[place], part, everybody))
        raw_scores = scorer.raw_score(Snapshot.stack(steps)).reshape(k + 1, len(part))
        total[:, order] += np.diff(raw_scores, axis=0).T
    return total / _ORDERS


def _numbers(table: Snapshot, feature: str) -> Floats:
    try:
        return table.numeric(feature)
    except (TypeError, ValueError, pa.ArrowInvalid):
        codes, _ = table.categorical(feature)
        return np.where(codes < 0, np.nan, codes.astype(np.float64))
