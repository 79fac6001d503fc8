"""The figures of a training: what a person looks at before the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..evaluation.comparison import Comparison
from ..models.words import feature_words
from ..reports.figures import (
    agreement_figure,
    beeswarm_figure,
    importance_figure,
    ranking_figure,
    shares_figure,
    waterfall_figure,
)
from ..scoring.lists import refuse_foreign
from ..spec.model import Spec
from .accounts import both_accounts
from .fold_fits import Fits
from .score import Explanation
from .scorers import MODEL_PLOTS, SCORECARD

ACCOUNTS = "points_and_shap"
_SHOWN = 1500  # users in a beeswarm, and in what compares both accounts
_BEST = 4  # scorers drawn beside the scorecard


def draw_training(spec: Spec, fits: Fits, comparison: Comparison, folder: Path) -> None:
    """Write the figures of a training to a folder: model_plots.png first, then what moved scores.

    Drawn are the scorecard and the best scorers over all tests, on the last test. What compares
    points and contributions is written as points_and_shap.csv too.
    """
    test = fits.scores[-1]
    order = sorted(comparison.pooled, key=lambda n: -comparison.pooled[n]["roc_auc"].value)
    best = [name for name in order if name != SCORECARD][:_BEST]
    shown = [SCORECARD, *best]
    title = f"{spec.name}, test as of {test.name}: {len(test.labels):,} users"
    ranking_figure(
        folder / MODEL_PLOTS,
        title,
        test.labels,
        {name: test.margins[name] for name in shown},
        {name: test.chances[name] for name in shown},
    )
    name = next((n for n in order if n == comparison.chosen), None)
    if name is None:
        return
    scorer, table = fits.scorers[name], fits.parts[-1].table
    rows = np.linspace(0, len(table) - 1, min(_SHOWN, len(table))).astype(np.int64)
    part = table.take(rows)
    found = scorer.calibrator.calibrated(scorer.contributions(part))
    values = np.asarray(found.values, dtype=np.float64)
    data = scorer.encoding.matrix(part).astype(np.float64)
    beeswarm_figure(
        folder / "shap.png", f"{name}: what moved scores", found.names, values, data, found.base
    )
    first = table.take(np.array([int(np.argmax(test.margins[name]))]))
    row = first.rows()[0]
    waterfall_figure(
        folder / "waterfall_first.png",
        f"{name}: why {row['user_id']} came first",
        [feature_words(spec.feature(feature), row.get(feature)) for feature in found.names],
        scorer.calibrator.slope * np.asarray(scorer.contributions(first).values[0], np.float64),
        found.base,
    )
    agreement_figure(
        folder / "points_and_model.png",
        f"The scorecard's points and {name}, {len(test.labels):,} users",
        test.margins[SCORECARD],
        scorer.calibrator.log_odds(test.margins[name]),
    )
    accounts = both_accounts(spec, scorer, part)
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
    order_of_parts = np.argsort(-np.maximum(by_points, by_model), kind="stable")
    importance_figure(
        folder / "importance_and_points.png",
        "What moves users apart",
        [accounts.parts[place] for place in order_of_parts],
        {
            "scorecard: mean |points| from average": by_points[order_of_parts],
            f"{name}: mean |SHAP|": by_model[order_of_parts],
        },
    )


def draw_user(explanation: Explanation, path: Path) -> None:
    """Write the waterfall of one user's contributions in log-odds.

    Raises UsageError when the scorer has none (points are a table already), and when a file that is
    no picture of ours would be replaced.
    """
    refuse_foreign([path])
    user = explanation.user
    moved = [line for line in user.influences if line.log_odds is not None]
    if user.model is None or not moved:
        raise UsageError(
            f"--plot draws the log-odds of a learned scorer, and {explanation.scorer} has none: "
            "leave it out, or name another by --scorer"
        )
    waterfall_figure(
        path,
        f"{user.user_id}: log-odds by {explanation.beside}, probability "
        f"{user.model.probability:.2%}, {explanation.as_of}",
        [line.said for line in moved],
        np.array([line.log_odds for line in moved], dtype=np.float64),
        user.model.base,
    )
