"""What is kept of a calibration: a run beside the trainings, its table, plot and diff."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..escapes import csv_writer
from ..reports.figures import weights_figure
from ..scoring.calibration import LEVEL, WeightCalibration
from ..spec.model import Spec
from ..tracking import Store, log_result
from .calibrate import CALIBRATED, MODEL, Calibration, calibration_lines
from .scorers import SCORECARD


def log_calibration(
    store: Store, spec: Spec, made: Calibration, params: Mapping[str, object]
) -> str:
    """Log a calibration to the store; return the id of its run.

    Artifacts: weights.csv and weights.png (points before and after beside what the data say, with
    intervals, and each term's share of what moves users apart), calibration.txt (all that is
    printed), scorecard.diff and calibrated.toml.
    """
    comparison = made.comparison
    test = comparison.tests[-1]
    against = made.calibration.against
    change = comparison.difference("tested", "roc_auc", CALIBRATED, SCORECARD)
    metrics = {
        f"{metric}_{name.replace(' ', '_')}": comparison.tested[name][metric].value
        for metric in ("roc_auc", "lift")
        for name in (SCORECARD, CALIBRATED, MODEL)
    }
    with tempfile.TemporaryDirectory(prefix="whyrank-calibration-") as temporary:
        folder = Path(temporary)
        _write_weights(folder / "weights.csv", made.calibration)
        draw_weights(folder / "weights.png", spec, made)
        (folder / "calibration.txt").write_text("\n".join(calibration_lines(made)), "utf-8")
        (folder / "scorecard.diff").write_text("\n".join(made.diff) + "\n", "utf-8")
        (folder / "calibrated.toml").write_text(made.text, "utf-8")
        return log_result(
            store,
            spec.name,
            f"calibration against {against}, test {test}",
            kind="calibration",
            note=change.words(),
            params={"against": against, "test": test, **params},
            metrics={
                **metrics,
                "roc_auc_change": change.value,
                "roc_auc_change_low": change.family[0],
                "roc_auc_change_high": change.family[1],
                "rank_correlation_of_whole_points": made.rounding.rank_correlation,
            },
            artifacts=folder,
        )


def draw_weights(path: Path, spec: Spec, made: Calibration) -> None:
    """Write what the terms' points were, become and should be; and what moves users apart."""
    terms = sorted(made.calibration.terms, key=lambda term: -abs(term.effect.points()[0]))
    weights_figure(
        path,
        f"{spec.name}: points against {made.calibration.against}, tried on "
        f"{made.comparison.tests[-1]}",
        [term.name for term in terms],
        points=np.array([[term.old, term.new] for term in terms]),
        effects=np.array([term.effect.points() for term in terms]),
        shares=np.array([[term.own, term.own_new, term.importance] for term in terms]),
        level=LEVEL,
    )


def _write_weights(path: Path, calibration: WeightCalibration) -> None:
    """Write a row by term; where the data cannot tell a term's effect its interval is empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv_writer(file)
        writer.writerow(
            [
                "term", "points", "proposed", "effect", "effect_low", "effect_high",
                "effect_log_odds", "effect_log_odds_low", "effect_log_odds_high",
                "contradicted", "model_share", "scorecard_share", "proposed_share",
            ]
        )  # fmt: skip
        for term in calibration.terms:
            log_odds = (term.effect.log_odds, term.effect.low, term.effect.high)
            writer.writerow(
                [
                    term.name, f"{term.old:g}", f"{term.new:g}",
                    *(_finite(part, 2) for part in term.effect.points()),
                    *(_finite(part, 6) for part in log_odds),
                    "yes" if term.contradicted else "no",
                    f"{term.importance:.4f}", f"{term.own:.4f}", f"{term.own_new:.4f}",
                ]
            )  # fmt: skip


def _finite(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if np.isfinite(value) else ""
