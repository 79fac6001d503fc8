"""calibrate --shape: propose other terms, shapes and bands of the scorecard, and measure them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from ..evaluation.comparison import Comparison, FoldScores, compare
from ..files import replacing
from ..models.candidates import Trainer, TrainingData
from ..scorer import FeatureTable, Floats
from ..scoring.calibration import calibrate_to_outcome, term_shares
from ..scoring.scorecard import Scorecard
from ..scoring.shape_fit import Limits
from ..scoring.shaped_card import ShapedCard, in_bands, shape_card
from ..spec.load import spec_text
from ..spec.model import Spec
from ..spec.rewrite_terms import with_scorecard
from ..warehouse.engine import Warehouse
from ..warehouse.published import Published
from .build import Say
from .checks import LEVEL, MOST_TERMS, N_BOOT, check_calibration, check_shape
from .scorers import SCORECARD
from .training_data import (
    Course,
    Labelled,
    read_labelled,
    set_course,
    stack,
    user_codes,
)

SHAPED = "shaped"
CALIBRATED = "calibrated"
LOGISTIC = "logistic"


@dataclass(frozen=True)
class ShapeProposal:
    """A proposal, how it ranks later dates that it has not seen, and the spec it would make.

    made: by the last fold. comparison: of the current card, the same with calibrated points, the
    shaped card and logistic regression of all features, each fitted again for every test. in_bands:
    share of the last test's users that are medium, and high, by the current card and the proposal.
    diff: the change of the spec's text, as lines. text: the new spec. written: where, if applied.
    published: the build that was read. users: of the last test, by whom pictures are drawn.
    sample: what is said of the users it was learnt from; empty where they are all users.
    """

    made: ShapedCard
    comparison: Comparison
    in_bands: tuple[tuple[float, float], tuple[float, float]]
    before: Spec
    trained: tuple[date, ...]
    diff: tuple[str, ...]
    text: str
    written: Path | None
    published: Published
    users: FeatureTable
    sample: str = ""

    def gap_closed(self, where: str = "pooled") -> float | None:
        """Return which part of the ROC AUC between the card and logistic regression is gained.

        None where logistic regression does not rank detectably better than the card.
        """
        gap = self.comparison.difference(where, "roc_auc", LOGISTIC, SCORECARD)
        if gap.family[0] <= 0:
            return None
        gained = self.comparison.difference(where, "roc_auc", SHAPED, SCORECARD)
        return gained.value / gap.value


def calibrate_shape(
    spec: Spec,
    warehouse: Warehouse,
    *,
    source: str | Path,
    limits: Limits | None = None,
    as_of: date | None = None,
    horizon: str | None = None,
    folds: int = 1,
    apply_to: Path | None = None,
    n_boot: int = N_BOOT,
    level: float = LEVEL,
    seed: int = 0,
    say: Say = lambda _: None,
) -> ShapeProposal:
    """Propose terms, shapes, whole points and bands learnt before a date, and rank that date.

    source: the spec's name or file, whose text is rewritten. folds: tests a horizon apart, the last
    as of `as_of`; each has a shape of its own, learnt from its own training snapshots, and the last
    one's is proposed. apply_to: a new file for the spec; nothing is written when None, and no file
    is ever replaced. n_boot: bootstrap replicates over users. level: of all intervals.

    Raises UsageError for limits that cannot be kept or a file that exists already.
    """
    limits = limits or Limits(MOST_TERMS)
    check_calibration(
        spec, against="outcome", apply_to=apply_to, horizon=horizon, n_boot=n_boot, level=level
    )
    check_shape(spec, against="outcome", terms=limits.terms, pinned=limits.pinned)
    course = set_course(
        spec, warehouse, as_of=as_of, horizon=horizon, folds=folds, seed=seed, say=say
    )
    tests, margins, made = [], [], None
    for fold in course.folds:
        test = read_labelled(spec, course, fold.test)
        say(f"test {fold.test}: shaping the scorecard")
        data = stack([read_labelled(spec, course, day) for day in fold.train])
        made = shape_card(spec, course.plan.numbers, data.rows(), limits, seed=seed, level=level)
        margins.append(margins_beside(spec, course, data, made, test.table))
        tests.append(test)
    assert made is not None  # noqa: S101 - there is a fold, or set_course has raised
    before = spec_text(source)
    after = with_scorecard(before, made.card, made.bands, made.spec(spec).version)
    diff = diff_lines(before.splitlines(), after.splitlines(), str(source))
    if apply_to is not None:
        with replacing(apply_to) as temporary:
            temporary.write_text(after, encoding="utf-8")
    rng = np.random.default_rng(seed)
    return ShapeProposal(
        made,
        compare(
            _scores(tests, margins), reference=SCORECARD, capacity=spec.training.capacity,
            n_boot=n_boot, level=level, rng=rng,
        ),
        (
            in_bands(spec.scorecard, spec.bands, tests[-1].table),
            in_bands(made.card, made.bands, tests[-1].table),
        ),
        spec, course.folds[-1].train, diff, after, apply_to, course.published, tests[-1].table,
        course.published.info.sample,
    )  # fmt: skip


def diff_lines(before: Sequence[str], after: Sequence[str], source: str) -> tuple[str, ...]:
    """Return the changed lines; each hunk names the term, or the table, that it changes."""
    lines = []
    for line in difflib.unified_diff(before, after, source, "shaped", lineterm="", n=0):
        if hunk := re.match(r"@@ -(\d+)", line):
            above = [
                re.match(r'name *= *"(.*)"|(\[.*\])$', told) for told in before[: int(hunk[1])]
            ]
            named = [found[1] or found[2] for found in above if found]
            lines.append(f"{line} {named[-1]}" if named else line)
        else:
            lines.append(line)
    return tuple(lines)


def margins_beside(
    spec: Spec, course: Course, data: TrainingData, made: ShapedCard, table: FeatureTable
) -> dict[str, Floats]:
    """Return what the current card, its calibrated points, the shaped card and logistic say."""
    card = spec.scorecard
    points = calibrate_to_outcome(
        card, term_shares(card, data.table), data.labels, data.users, np.zeros(len(card.terms))
    )
    return {
        SCORECARD: Scorecard(card).score(table),
        CALIBRATED: Scorecard(points.proposed).score(table),
        SHAPED: Scorecard(made.card).score(table),
        LOGISTIC: Trainer(course.plan, data).fit(LOGISTIC).margin(table),
    }


def _scores(tests: Sequence[Labelled], margins: Sequence[dict[str, Floats]]) -> list[FoldScores]:
    users = user_codes([test.table.user_ids for test in tests])
    return [
        FoldScores(test.as_of.isoformat(), who, test.labels, said, {}, dict.fromkeys(said))
        for test, who, said in zip(tests, users, margins, strict=True)
    ]
