"""Calibrate a scorecard's points on a training snapshot, and compare the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..evaluation.comparison import Comparison, compare
from ..evaluation.fold_scores import FoldScores
from ..models.classifier import RankingClassifier
from ..published.build import Published
from ..ranking.active_scorer import SCORECARD
from ..reports.frames import Result, terms_frame
from ..scoring.calibration import (
    Against,
    WeightCalibration,
    calibrate_to_importance,
    calibrate_to_outcome,
    shap_slopes,
    term_shares,
)
from ..spec.model import Spec
from ..types import Floats
from .datasets import Labelled, user_codes

if TYPE_CHECKING:
    import pandas as pd


CALIBRATED = "calibrated"
UNROUNDED = "unrounded"
MODEL = "xgboost on terms"
_GROUPS = 8  # of users, each with a model of its own


@dataclass(frozen=True)
class Rounding:
    """What making the points whole did to the ranking of the later date.

    rank_correlation: Spearman's, of scores by whole points and by those before rounding.
    comparison: of the two.
    """

    rank_correlation: float
    comparison: Comparison

    def words(self) -> str:
        """Say how much of the ranking whole points keep."""
        whole = self.comparison.last_fold[CALIBRATED]["roc_auc"].value
        real = self.comparison.last_fold[UNROUNDED]["roc_auc"].value
        change = self.comparison.difference("last_fold", "roc_auc", CALIBRATED, UNROUNDED)
        return (
            f"whole points against unrounded ones: rank correlation {self.rank_correlation:.3f}, "
            f"ROC AUC {whole:.3f} against {real:.3f} ({change.numbers()})"
        )


@dataclass(frozen=True, repr=False)
class Calibration(Result):
    """A proposal, how it ranks a later date it has not seen, and the spec it would make.

    diff: the change of the spec's text, as lines. text: the new spec. written: where, if applied.
    sample: what is said of the users that it was learnt from; empty where they are all users.
    raw_scores: of the later date's users, by each scorer. tested: those users and their outcomes.
    published: the build that was read.
    """

    calibration: WeightCalibration
    comparison: Comparison
    rounding: Rounding
    trained: tuple[date, ...]
    diff: tuple[str, ...]
    text: str
    written: Path | None
    sample: str
    raw_scores: Mapping[str, Floats]
    tested: Labelled
    published: Published

    def summary(self) -> str:
        """Return how the proposal ranks the later date, against the points as they are."""
        change = self.comparison.difference("last_fold", "roc_auc", CALIBRATED, SCORECARD)
        return (
            f"against {self.calibration.against}, tried on {self.comparison.fold_names[-1]}: "
            f"{change.words()}"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each term; see `results.terms_frame`."""
        return terms_frame(self.calibration)

    @property
    def build(self) -> str:
        """The id of the build that was read."""
        return self.published.info.build_id


def learn_points(
    spec: Spec, train: Sequence[Labelled], kind: Against, seed: int, level: float
) -> tuple[WeightCalibration, RankingClassifier]:
    """Return the proposal, and XGBoost on the same terms."""
    table = np.concatenate([term_shares(spec.scorecard, part.table) for part in train])
    labels = np.concatenate([part.labels for part in train])
    users = np.concatenate(user_codes([part.table.user_ids for part in train]))
    model, values = _explained(table, labels, seed)
    if kind == "outcome":
        importance = np.abs(values).mean(axis=0)
        found = calibrate_to_outcome(spec.scorecard, table, labels, users, importance, level=level)
        return found, model
    slopes = _slopes_of_groups(table, labels, users, seed)
    return calibrate_to_importance(spec.scorecard, table, values, slopes, level=level), model


def _explained(
    table: Floats, labels: NDArray[np.bool_], seed: int
) -> tuple[RankingClassifier, Floats]:
    """Return XGBoost on the terms, and its SHAP values.

    Free of monotone constraints: a sign that the data contradict must be able to show.
    """
    model = RankingClassifier("xgboost", seed=seed).fit(table, labels)
    values = model.contributions(table)
    assert values is not None  # noqa: S101 - XGBoost has contributions
    return model, values[0]


def _slopes_of_groups(
    table: Floats, labels: NDArray[np.bool_], users: NDArray[np.int64], seed: int
) -> Floats:
    """Return SHAP slopes of models that have no user in common, (groups, terms)."""
    group = np.random.default_rng([seed, 2]).integers(0, _GROUPS, int(users.max()) + 1)[users]
    found = []
    for one in range(_GROUPS):
        rows = group == one
        if labels[rows].any() and not labels[rows].all():
            _, values = _explained(table[rows], labels[rows], seed)
            found.append(shap_slopes(table[rows], values))
    return np.reshape(found, (len(found), table.shape[1]))


def compare_cards(
    raw_scores: dict[str, Floats],
    test: Labelled,
    reference: str,
    *,
    n_boot: int,
    level: float,
    seed: int,
    capacity: float,
) -> Comparison:
    """Compare cards on the backtest fold, `reference` against the others."""
    users = np.arange(len(test.labels))
    scores = FoldScores(test.as_of.isoformat(), users, test.labels, raw_scores)
    rng = np.random.default_rng(seed)
    return compare(
        [scores], reference=reference, capacity=capacity, n_boot=n_boot, level=level, rng=rng
    )
