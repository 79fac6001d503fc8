"""What is kept of calibrate --shape: a run beside the trainings, with its terms and diff."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from ..escapes import csv_writer, inert
from ..spec.model import Spec
from ..tracking import Store, log_result
from .calibrate_shape import CALIBRATED, LOGISTIC, SHAPED, ShapeProposal
from .log_calibration import scorer_metrics
from .log_data import calibration_data, code_commit, code_version
from .scorers import SCORECARD
from .show_shape import change_of, shape_lines, term_rows
from .specs import spec_version

NAME = "scorecard_shaped"


def log_shape(store: Store, spec: Spec, made: ShapeProposal, params: Mapping[str, object]) -> str:
    """Log a proposal to the store; return the id of its run.

    Its metrics bear the names that those of a training's scorers bear, on the last test; vs_card is
    over all tests. Artifacts: terms.csv, shape.txt (all that is printed), scorecard.diff and
    shaped.toml.
    """
    comparison = made.comparison
    test = comparison.tests[-1]
    change = change_of(made, SHAPED)
    # By the names that scorers of a training have: that view and its table compare them.
    against_card = {
        "vs_card/auc": change.value,
        "vs_card/lower": change.family[0],
        "vs_card/upper": change.family[1],
    }
    metrics = scorer_metrics(comparison, SHAPED, others=(SCORECARD, CALIBRATED, LOGISTIC))
    metrics |= against_card
    with tempfile.TemporaryDirectory(prefix="whyrank-shape-") as temporary:
        folder = Path(temporary)
        with (folder / "terms.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv_writer(file)
            writer.writerow(["term", "feature", "shape", "points", "proposed", "effect"])
            for row in term_rows(made):
                writer.writerow([inert(cell) for cell in row])
        (folder / "shape.txt").write_text("\n".join(shape_lines(made)), "utf-8")
        (folder / "scorecard.diff").write_text("\n".join(made.diff) + "\n", "utf-8")
        (folder / "shaped.toml").write_text(made.text, "utf-8")
        return log_result(
            store,
            spec.name,
            f"{NAME} · {test}",
            kind="calibration",
            note=change.words(),
            params={"scorer": NAME, "against": "outcome", "shape": True, "test": test, **params},
            metrics={**metrics, "terms": len(made.made.card.terms)},
            artifacts=folder,
            tags={
                "scorer": NAME,
                "code": code_version(),
                "spec_version": spec_version(spec),
                "build": made.published.info.build_id,
            },
            commit=code_commit(),
            data=calibration_data(spec, made.published, made.trained, date.fromisoformat(test)),
        )
