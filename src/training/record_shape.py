"""What is kept of calibrate --shape: a run beside the trainings, with its terms and diff."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from ..escapes import csv_writer, escape_formula
from ..files import temporary_folder
from ..models.learned import LearnedScorer
from ..models.points import PointsModel
from ..ranking.active_scorer import SCORECARD
from ..scoring.shaped_card import shaped_spec
from ..spec.model import Spec
from ..spec.versions import spec_version
from ..spec.written import written_spec
from ..tracking import Store, log_result
from ..tracking.code_version import code_commit, code_version
from .lineage import calibration_data
from .record_calibration import scorer_metrics
from .shape_plots import SHAPES, draw_shape
from .shape_proposal import CALIBRATED, LOGISTIC, SHAPED, ShapeProposal, diff_lines
from .shape_text import change_of, shape_lines, term_rows

NAME = "scorecard_shaped"
SHAPED_SPEC, SHAPED_DIFF = "shaped.toml", "scorecard.diff"


def proposal(spec: Spec, scorer: object) -> dict[str, str]:
    """Return the spec that a shaped scorecard proposes and its diff, by file name.

    Both specs are written from their parts, since a training knows no text of a person's. Empty
    for any other scorer.
    """
    if not isinstance(scorer, LearnedScorer) or not isinstance(scorer.model, PointsModel):
        return {}
    shaped = shaped_spec(spec, scorer.model.card, scorer.model.bands)
    before, after = written_spec(spec), written_spec(shaped)
    diff = diff_lines(before.splitlines(), after.splitlines(), spec.name)
    return {SHAPED_SPEC: after, SHAPED_DIFF: "\n".join(diff) + "\n"}


def log_shape(
    store: Store, spec: Spec, proposal: ShapeProposal, params: Mapping[str, object]
) -> str:
    """Log a proposal to the store; return the id of its run.

    Its metrics bear the names that those of a training's scorers bear, on the last test; vs_card is
    over all tests. Artifacts: terms.csv, shapes.png (its changed terms drawn), shape.txt (all that
    is printed), scorecard.diff and shaped.toml.
    """
    comparison = proposal.comparison
    test = comparison.fold_names[-1]
    change = change_of(proposal, SHAPED)
    # By the names that scorers of a training have: that view and its table compare them.
    against_card = {
        "vs_card/auc": change.value,
        "vs_card/lower": change.family[0],
        "vs_card/upper": change.family[1],
    }
    metrics = scorer_metrics(comparison, SHAPED, others=(SCORECARD, CALIBRATED, LOGISTIC))
    metrics |= against_card
    with temporary_folder("shape") as folder:
        with (folder / "terms.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv_writer(file)
            writer.writerow(["term", "feature", "shape", "points", "proposed", "effect"])
            for row in term_rows(proposal):
                writer.writerow([escape_formula(cell) for cell in row])
        draw_shape(folder / SHAPES, proposal)
        (folder / "shape.txt").write_text("\n".join(shape_lines(proposal)), "utf-8")
        (folder / SHAPED_DIFF).write_text("\n".join(proposal.diff) + "\n", "utf-8")
        (folder / SHAPED_SPEC).write_text(proposal.text, "utf-8")
        return log_result(
            store,
            spec.name,
            f"{NAME} · {test}",
            kind="calibration",
            description=change.words(),
            params={"scorer": NAME, "against": "outcome", "shape": True, "test": test, **params},
            metrics={**metrics, "terms": len(proposal.shaped.card.terms)},
            artifacts=folder,
            tags={
                "scorer": NAME,
                "code": code_version(),
                "spec_version": spec_version(spec),
                "build": proposal.published.info.build_id,
            },
            commit=code_commit(),
            data=calibration_data(
                spec, proposal.published, proposal.trained, date.fromisoformat(test)
            ),
        )
