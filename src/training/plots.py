"""The figures of a training: what a person looks at before the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..evaluation.comparison import Comparison
from ..models.catalogue import kind_of
from ..models.rank_average import SavedRankAverage
from ..models.words import feature_words
from ..ranking.active_scorer import MODEL_PLOTS, SCORECARD
from ..ranking.mean_attributions import part_attributions
from ..ranking.results import Explanation
from ..reports.account_figures import shares_figure
from ..reports.figures import (
    agreement_figure,
    ranking_figure,
    waterfall_figure,
)
from ..scorer import Scorer
from ..scoring.lists import refuse_foreign
from ..scoring.points_scorer import PointsScorer
from ..spec.model import Spec
from ..types import Log
from .fitting import Fits
from .scorer_plots import draw_scorer

ACCOUNTS = "points_and_shap"
_SHOWN = 1500  # users in what compares both accounts


def kinds_shown(comparison: Comparison, champion: str | None = None) -> list[str]:
    """Return the scorers of a figure that has no room for all: the scorecard, and one of each kind.

    Of a kind the best over all tests stands for the others; XGBoost, the champion and the scorer
    that the comparison chose are always there.
    """
    order = sorted(comparison.pooled, key=lambda n: -comparison.pooled[n]["roc_auc"].value)
    found = {name for name in (comparison.selected, "xgboost", champion) if name in order}
    kinds = {kind_of(name) for name in found}
    for name in order:
        if kind_of(name) not in kinds:
            kinds.add(kind_of(name))
            found.add(name)
    return [SCORECARD, *(name for name in order if name in found - {SCORECARD})]


def draw_scorers(
    spec: Spec, fits: Fits, average: SavedRankAverage | None, folder: Path, log: Log
) -> None:
    """Draw every scorer on the last test, each in a folder of its name, all the same way."""
    test, part = fits.scores[-1], fits.parts[-1]
    for name in test.raw_scores:
        log(f"drawing {name}")
        scorer: Scorer | None = PointsScorer.of(spec) if name == SCORECARD else average
        scorer = fits.scorers.get(name, scorer)
        assert scorer is not None  # noqa: S101 - whatever else was compared is the average
        draw_scorer(folder / name, name, scorer, part, test.raw_scores, test.probabilities)


def draw_training(
    spec: Spec, fits: Fits, comparison: Comparison, folder: Path, *, champion: str | None = None
) -> None:
    """Write the figures of a training to a folder: model_plots.png first, then what moved scores.

    Drawn is the last test, by the scorers of `kinds_shown`. champion: of before the training. What
    compares points and contributions is written as points_and_shap.csv too.
    """
    test = fits.scores[-1]
    shown = [name for name in kinds_shown(comparison, champion) if name in test.raw_scores]
    title = f"{spec.name}, fold as of {test.name}: {len(test.labels):,} users"
    ranking_figure(
        folder / MODEL_PLOTS,
        title,
        test.labels,
        {name: test.raw_scores[name] for name in shown},
        {name: test.probabilities[name] for name in shown},
    )
    name = comparison.selected
    if name is None:
        return
    scorer, table = fits.scorers[name], fits.parts[-1].table
    rows = np.linspace(0, len(table) - 1, min(_SHOWN, len(table))).astype(np.int64)
    part = table.take(rows)
    first = table.take(np.array([int(np.argmax(test.raw_scores[name]))]))
    row, found = first.rows()[0], scorer.calibrator.calibrated(scorer.contributions(first))
    waterfall_figure(
        folder / "waterfall_first.png",
        f"{name}: why {row['user_id']} came first",
        [feature_words(spec.feature(feature), row.get(feature)) for feature in found.names],
        np.asarray(found.values[0], dtype=np.float64),
        found.base,
    )
    agreement_figure(
        folder / "points_and_model.png",
        f"The scorecard's points and {name}, {len(test.labels):,} users",
        test.raw_scores[SCORECARD],
        scorer.calibrator.log_odds(test.raw_scores[name]),
    )
    accounts = part_attributions(spec, scorer, part)
    accounts.write(folder / f"{ACCOUNTS}.csv")
    by_points, by_model = accounts.shares()
    shares_figure(
        folder / f"{ACCOUNTS}.png",
        f"The scorecard's points and {name}, {len(part):,} users",
        accounts.parts,
        by_points,
        by_model,
        accounts.agreements(),
    )


def draw_user(explanation: Explanation, path: Path) -> None:
    """Write the waterfall of one user's contributions in log-odds.

    Raises UsageError when the scorer has none (points are a table already), and when a file that is
    no picture of ours would be replaced.
    """
    refuse_foreign([path])
    user = explanation.user
    moved = [line for line in user.attributions if line.log_odds is not None]
    if user.model is None or not moved:
        raise UsageError(
            f"--plot draws the log-odds of a learned scorer, and {explanation.scorer} has none: "
            "leave it out, or name another by --scorer"
        )
    waterfall_figure(
        path,
        f"{user.user_id}: log-odds by {explanation.explainer}, probability "
        f"{user.model.probability:.2%}, {explanation.as_of}",
        [line.observed for line in moved],
        np.array([line.log_odds for line in moved], dtype=np.float64),
        user.model.base,
    )
