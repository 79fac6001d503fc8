"""What is kept of a calibration: a run beside the trainings, its table, plot and diff."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..reports.figures import importance_figure
from ..scorer import Floats
from ..scoring.calibration import TermCalibration
from ..spec.model import Spec
from ..tracking import Store, log_result
from .calibrate import CALIBRATED, MODEL, Calibration, calibration_lines
from .scorers import SCORECARD


def log_calibration(
    store: Store, spec: Spec, made: Calibration, params: Mapping[str, object]
) -> str:
    """Log a calibration to the store; return the id of its run.

    Artifacts: weights.csv and weights.png (points before and after beside XGBoost's mean |SHAP|),
    calibration.txt (all that is printed), scorecard.diff and calibrated.toml.
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
        _write_weights(folder / "weights.csv", made.calibration.terms)
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
    """Write every term's share of the points, before and after, and of XGBoost's mean |SHAP|."""
    terms = sorted(made.calibration.terms, key=lambda term: -term.importance)
    importance_figure(
        path,
        f"{spec.name}: points against {made.calibration.against}",
        [term.name for term in terms],
        {
            "points now": _shares([term.old for term in terms]),
            "points proposed": _shares([term.new for term in terms]),
            "XGBoost on the same terms: mean |SHAP|": np.array([t.importance for t in terms]),
        },
    )


def _shares(points: Sequence[float]) -> Floats:
    size = np.abs(np.array(points, dtype=np.float64))
    shares: Floats = size / (size.sum() or 1.0)
    return shares


def _write_weights(path: Path, terms: Sequence[TermCalibration]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            [
                "term", "points", "proposed", "model_share", "scorecard_share", "contradicted",
                "effect_low", "effect_high",
            ]
        )  # fmt: skip
        for term in terms:
            writer.writerow(
                [
                    term.name, f"{term.old:g}", f"{term.new:g}", f"{term.importance:.4f}",
                    f"{term.own:.4f}", "yes" if term.contradicted else "no",
                    f"{term.effect[0]:.4f}", f"{term.effect[1]:.4f}",
                ]
            )  # fmt: skip
