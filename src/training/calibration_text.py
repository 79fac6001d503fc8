"""What both kinds of calibration print first and last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from ..evaluation.comparison import Comparison
from ..ranking.active_scorer import SCORECARD
from ..scoring.calibration import Effect, WeightCalibration
from .points_calibration import CALIBRATED, MODEL, Calibration


def opening_lines(
    what: str, trained: Sequence[date], comparison: Comparison, sample: str
) -> Iterator[str]:
    """Yield what was proposed, what it was learnt from and what it was tried on.

    sample: what is said of the users it was learnt from; empty where they are all users.
    """
    test = comparison.fold_names[-1]
    n, positives = comparison.sizes[test]
    yield (
        f"{what}: learnt from {len(trained)} snapshots until {trained[-1]}, tried on {test}: "
        f"{n:,} users, {positives:,} positive"
    )
    if sample:
        yield sample


def intervals_line(comparison: Comparison) -> str:
    """Say which intervals those of a comparison are."""
    level = f"{100 * comparison.level:g}%"
    return f"intervals {level}, bootstrap over users, {comparison.n_boot:,} times"


def closing_line(kind: str, written: Path | None) -> str:
    """Say whether the new spec was written, and what comes next; kind: calibrated or shaped."""
    if written is None:
        return "nothing is written: review the diff, then --apply FILE"
    return f"{kind} spec written to {written}: review it, then pass it with --spec"


def calibration_lines(result: Calibration) -> Iterator[str]:
    """Yield the terms before and after, how both rank a later date, and the spec's diff."""
    comparison = result.comparison
    against = f"against {result.calibration.against}"
    yield from opening_lines(against, result.trained, comparison, result.sample)
    yield ""
    yield from _term_lines(result.calibration)
    yield ""
    for name in (SCORECARD, CALIBRATED, MODEL):
        tested = comparison.last_fold[name]
        yield f"{name:<17} ROC AUC {tested['roc_auc']}, lift {tested['lift']}"
    yield intervals_line(comparison)
    yield comparison.difference("last_fold", "roc_auc", CALIBRATED, SCORECARD).words()
    yield result.rounding.words()
    yield ""
    yield from result.diff or ["the points stay as they are"]
    yield ""
    yield closing_line("calibrated", result.written)


def _term_lines(calibration: WeightCalibration) -> Iterator[str]:
    """Yield a table of the terms, and what its columns are."""
    rows = [("term", "points", "new", "effect, points", "model", "scorecard", "")]
    rows += [
        (
            term.name, f"{term.old:g}", f"{term.new:g}", effect_text(term.effect),
            f"{term.importance:.1%}", f"{term.own:.1%}",
            "the other sign: kept, look at it" if term.contradicted else "",
        )
        for term in calibration.terms
    ]  # fmt: skip
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [c.rjust(w) for c, w in zip(row[1:6], widths[1:6], strict=True)]
        yield "  ".join([*cells, row[6]]).rstrip()
    yield ""
    source = {
        "outcome": "a logistic fit without signs",
        "importance": "SHAP slopes of models of an eighth of the users each",
    }
    log_odds = calibration.terms[0].effect.per_point
    yield (
        f"effect: of the whole term by {source[calibration.against]}, in points of the new card "
        f"(one is {log_odds:.3g} log-odds),"
    )
    yield f"  with intervals of {100 * calibration.level:g}% for all terms together"
    yield "model: share of XGBoost's mean |SHAP|; scorecard: of the points' own mean |contribution|"


def effect_text(effect: Effect) -> str:
    """Write an effect in points with its interval.

    >>> effect_text(Effect(log_odds=1.5, low=1.0, high=2.0, per_point=0.05))
    '+30 [+20, +40]'
    """
    if not np.isfinite([effect.low, effect.high]).all():
        return "the data cannot tell"
    value, low, high = (f"{_unsigned_zero(part):+.0f}" for part in effect.points())
    return f"{value} [{low}, {high}]"


def _unsigned_zero(value: float) -> float:
    return round(value) + 0.0
