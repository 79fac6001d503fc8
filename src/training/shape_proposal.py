"""A proposed shape of the scorecard, compared with other scorers on later dates."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from ..evaluation.comparison import Comparison
from ..evaluation.fold_scores import FoldScores
from ..models.candidates import Trainer
from ..models.kinds.base import TrainingData
from ..published.build import Published
from ..ranking.active_scorer import SCORECARD
from ..scorer import FeatureTable
from ..scoring.calibration import calibrate_to_outcome, term_shares
from ..scoring.scorecard import Scorecard
from ..scoring.shaped_card import ShapedCard
from ..spec.model import Spec
from ..types import Floats
from .datasets import Backtest, Labelled, user_codes

SHAPED = "shaped"
CALIBRATED = "calibrated"
LOGISTIC = "logistic"


@dataclass(frozen=True)
class ShapeProposal:
    """A proposal, how it ranks later dates that it has not seen, and the spec it would make.

    shaped: by the last fold. comparison: of the current card, the same with calibrated points, the
    shaped card and logistic regression of all features, each fitted again for every test. in_bands:
    share of the last test's users that are medium, and high, by the current card and the proposal.
    diff: the change of the spec's text, as lines. text: the new spec. written: where, if applied.
    published: the build that was read. users: of the last test, by whom pictures are drawn.
    sample: what is said of the users it was learnt from; empty where they are all users.
    """

    shaped: ShapedCard
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


def raw_scores_beside(
    spec: Spec, backtest: Backtest, data: TrainingData, shaped: ShapedCard, table: FeatureTable
) -> dict[str, Floats]:
    """Return what the current card, its calibrated points, the shaped card and logistic say."""
    card = spec.scorecard
    points = calibrate_to_outcome(
        card, term_shares(card, data.table), data.labels, data.users, np.zeros(len(card.terms))
    )
    return {
        SCORECARD: Scorecard(card).score(table),
        CALIBRATED: Scorecard(points.proposed).score(table),
        SHAPED: Scorecard(shaped.card).score(table),
        LOGISTIC: Trainer(backtest.plan, data).fit(LOGISTIC).raw_score(table),
    }


def fold_scores(
    tests: Sequence[Labelled], raw_scores: Sequence[dict[str, Floats]]
) -> list[FoldScores]:
    """Return the raw scores of all cards on each fold, ready to be compared."""
    users = user_codes([test.table.user_ids for test in tests])
    return [
        FoldScores(test.as_of.isoformat(), codes, test.labels, scores)
        for test, codes, scores in zip(tests, users, raw_scores, strict=True)
    ]
