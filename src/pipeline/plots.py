"""The figures of a training: what a person looks at before the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..evaluation.comparison import Comparison
from ..features.matrix import Snapshot
from ..models.explain import in_words
from ..reports.figures import (
    agreement_figure,
    beeswarm_figure,
    importance_figure,
    ranking_figure,
    waterfall_figure,
)
from ..scorer import Floats
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from .fold_fits import Fits
from .score import Explanation
from .scorers import MODEL_PLOTS, SCORECARD

_SHOWN = 1500  # users in a beeswarm
_BEST = 4  # scorers drawn beside the scorecard


def draw_training(spec: Spec, fits: Fits, comparison: Comparison, folder: Path) -> None:
    """Write the figures of a training to a folder: model_plots.png first, then what moved scores.

    Drawn are the scorecard and the best scorers over all tests, on the last test.
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
    found = scorer.contributions(part)
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
        [in_words(spec.feature(feature), row.get(feature)) for feature in found.names],
        np.asarray(scorer.contributions(first).values[0], dtype=np.float64),
        found.base,
    )
    agreement_figure(
        folder / "points_and_model.png",
        f"The scorecard's points and {name}, {len(test.labels):,} users",
        test.margins[SCORECARD],
        test.margins[name],
    )
    features, points = _points_by_feature(spec, part)
    moved = {f: float(np.abs(values[:, i]).mean()) for i, f in enumerate(found.names)}
    names = sorted(
        {*features, *moved}, key=lambda f: -max(points.get(f, 0.0), _share(moved).get(f, 0.0))
    )
    importance_figure(
        folder / "importance_and_points.png",
        "What moves users apart",
        names,
        {
            "scorecard: mean |points| from average": _column(names, points),
            f"{name}: mean |SHAP|": _column(names, _share(moved)),
        },
    )


def draw_user(explanation: Explanation, path: Path) -> None:
    """Write the waterfall of one user's contributions in log-odds.

    Raises UsageError when the scorer has none: points are a table already.
    """
    user = explanation.user
    moved = [line for line in user.influences if line.log_odds is not None]
    if user.base is None or not moved:
        raise UsageError(
            f"--plot draws the log-odds of a learned scorer, and {explanation.scorer} has none: "
            "leave it out, or name another by --scorer"
        )
    waterfall_figure(
        path,
        f"{user.user_id}: log-odds by {explanation.beside}, {user.score:.2f} of 100 by "
        f"{explanation.scorer}, {explanation.as_of}",
        [line.values for line in moved],
        np.array([line.log_odds for line in moved], dtype=np.float64),
        user.base,
    )


def _points_by_feature(spec: Spec, part: Snapshot) -> tuple[list[str], dict[str, float]]:
    contributions = Scorecard(spec.scorecard).contributions(part)
    found: dict[str, float] = {}
    for column, term in enumerate(spec.scorecard.terms):
        values = contributions.values[:, column]
        away = float(np.abs(values - values.mean()).mean())
        found[term.feature] = found.get(term.feature, 0.0) + away
    return list(found), _share(found)


def _share(values: dict[str, float]) -> dict[str, float]:
    total = sum(values.values()) or 1.0
    return {name: value / total for name, value in values.items()}


def _column(names: list[str], values: dict[str, float]) -> Floats:
    return np.array([values.get(name, 0.0) for name in names])
