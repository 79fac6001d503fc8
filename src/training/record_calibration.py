"""What is kept of a calibration: a run beside the trainings, its table, plot and diff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..escapes import csv_writer
from ..evaluation.comparison import Comparison
from ..files import temporary_folder
from ..ranking.active_scorer import SCORECARD
from ..reports.figures import weights_figure
from ..reports.frames import terms_frame
from ..scoring.calibration import WeightCalibration
from ..scoring.points_scorer import PointsScorer
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..spec.versions import spec_version
from ..tracking import Store, log_result
from ..tracking.code_version import code_commit, code_version
from ..tracking.markdown import cell, sentence, table_row
from .calibration_text import calibration_lines, effect_text
from .lineage import calibration_data
from .points_calibration import CALIBRATED, MODEL, Calibration
from .scorer_plots import draw_scorer

NAME = "scorecard_calibrated"


def log_calibration(
    store: Store, spec: Spec, result: Calibration, params: Mapping[str, object]
) -> str:
    """Log a calibration to the store as a scorer among the others; return the id of its run.

    Its metrics and figures bear the names that those of a training's scorers bear, on the one test
    that it was tried on. Artifacts: those figures, weights.csv and weights.png (points before and
    after beside what the data say, with intervals, and each term's share of what moves users
    apart), calibration.txt (all that is printed), scorecard.diff and calibrated.toml.
    """
    comparison = result.comparison
    test = comparison.fold_names[-1]
    against = result.calibration.against
    with temporary_folder("calibration") as folder:
        _write_weights(folder / "weights.csv", result.calibration)
        draw_weights(folder / "weights.png", spec, result)
        _draw_as_scorer(folder, spec, result)
        (folder / "calibration.txt").write_text("\n".join(calibration_lines(result)), "utf-8")
        (folder / "scorecard.diff").write_text("\n".join(result.diff) + "\n", "utf-8")
        (folder / "calibrated.toml").write_text(result.text, "utf-8")
        return log_result(
            store,
            spec.name,
            f"{NAME} against {against} · {test}",
            kind="calibration",
            description=_note(result),
            params={
                "scorer": NAME,
                "against": against,
                "test": test,
                "n_boot": comparison.n_boot,
                "level": comparison.level,
                **params,
            },
            metrics=scorer_metrics(comparison, CALIBRATED, others=(SCORECARD, MODEL))
            | {"rank_correlation_of_whole_points": result.rounding.rank_correlation},
            artifacts=folder,
            tags={
                "scorer": NAME,
                "code": code_version(),
                "spec_version": spec_version(spec),
                "build": result.build,
            },
            commit=code_commit(),
            data=calibration_data(spec, result.published, result.trained, result.tested.as_of),
        )


def scorer_metrics(
    comparison: Comparison, proposed: str, *, others: Sequence[str]
) -> dict[str, float]:
    """Return a proposed card's metrics on the last test by a scorer's names; others' in folders."""
    change = comparison.difference("last_fold", "roc_auc", proposed, SCORECARD)
    tested = comparison.last_fold[proposed]
    found = {
        "roc_auc": tested["roc_auc"].value,
        "roc_auc_lower": tested["roc_auc"].low,
        "roc_auc_upper": tested["roc_auc"].high,
        "average_precision": tested["average_precision"].value,
        f"lift_at_{100 * comparison.capacity:g}pct": tested["lift"].value,
        "vs_card/auc": change.value,
        "vs_card/lower": change.family[0],
        "vs_card/upper": change.family[1],
    }
    for name in others:
        for metric in ("roc_auc", "lift"):
            key = f"{name.replace(' ', '_')}/{metric}"
            found[key] = comparison.last_fold[name][metric].value
    return found


def _draw_as_scorer(folder: Path, spec: Spec, result: Calibration) -> None:
    """Draw the calibrated card as every scorer of a training is drawn."""
    raw_scores = {SCORECARD: result.raw_scores[SCORECARD], NAME: result.raw_scores[CALIBRATED]}
    scorer = PointsScorer(Scorecard(result.calibration.proposed), spec.bands)
    draw_scorer(folder, NAME, scorer, result.tested, raw_scores, {})


def _note(result: Calibration) -> str:
    """Return in Markdown whether it ranks better, and the weights that the data would change most.

    A term stands among them when its points leave the interval of what the data say.
    """
    change = result.comparison.difference("last_fold", "roc_auc", CALIBRATED, SCORECARD)
    lines = [
        f"**{cell(sentence(change.words()))}**  ",
        f"on the fold as of {result.comparison.fold_names[-1]}.",
        "",
    ]
    lines += [
        table_row(["term", "points", "proposed", "the data say, points", "sure?"]),
        "|---|---|---|---|---|",
    ]
    terms = sorted(result.calibration.terms, key=lambda term: -abs(term.new - term.old))
    for term in terms:
        _, low, high = term.effect.points()
        if not np.isfinite([low, high]).all():
            sure = "no: the data cannot tell"
        elif term.contradicted:
            sure = "the other sign: look at it"
        else:
            sure = (
                "no: today's are inside" if low <= term.old <= high else "yes: today's are outside"
            )
        effect = cell(effect_text(term.effect))
        lines.append(table_row([cell(term.name), f"{term.old:g}", f"{term.new:g}", effect, sure]))
    level = f"{100 * result.calibration.level:g}%"
    lines += ["", f"Intervals: {level} for all terms together. `weights.png` draws them."]
    return "\n".join(lines)


def draw_weights(path: Path, spec: Spec, result: Calibration) -> None:
    """Write what the terms' points were, become and should be; and what moves users apart."""
    terms = sorted(result.calibration.terms, key=lambda term: -abs(term.effect.points()[0]))
    weights_figure(
        path,
        f"{spec.name}: points against {result.calibration.against}, tried on "
        f"{result.comparison.fold_names[-1]}",
        [term.name for term in terms],
        points=np.array([[term.old, term.new] for term in terms]),
        effects=np.array([term.effect.points() for term in terms]),
        shares=np.array([[term.own, term.own_new, term.importance] for term in terms]),
        level=result.calibration.level,
    )


_FORMATS = {
    "points": "g", "proposed": "g", "level": "g",
    "effect": ".2f", "effect_low": ".2f", "effect_high": ".2f",
    "effect_log_odds": ".6f", "effect_log_odds_low": ".6f", "effect_log_odds_high": ".6f",
    "model_share": ".4f", "scorecard_share": ".4f", "proposed_share": ".4f",
}  # fmt: skip


def _write_weights(path: Path, calibration: WeightCalibration) -> None:
    """Write a row by term; where the data cannot tell a term's effect its interval is empty."""
    frame = terms_frame(calibration)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv_writer(file)
        writer.writerow(frame.columns)
        for row in frame.to_dict("records"):
            writer.writerow([_cell(str(column), value) for column, value in row.items()])


def _cell(column: str, value: Any) -> str:
    if column in _FORMATS:
        return format(value, _FORMATS[column]) if np.isfinite(value) else ""
    if column == "contradicted":
        return "yes" if value else "no"
    return str(value)
