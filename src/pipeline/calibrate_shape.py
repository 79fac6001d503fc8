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
from ..features.matrix import Snapshot
from ..files import replacing
from ..models.candidates import Trainer, TrainingData
from ..scorer import FeatureTable, Floats, Integers
from ..scoring.calibration import (
    WeightCalibration,
    calibrate_to_outcome,
    term_shares,
)
from ..scoring.scorecard import Scorecard
from ..scoring.shape_fit import Limits, Shape, ShapeData, fit_shape
from ..scoring.shapes import direction_of, shapes_of
from ..scoring.transforms import MILLION, shares
from ..spec.load import spec_text
from ..spec.model import Spec
from ..spec.rewrite_terms import with_scorecard
from ..spec.scorecard import HUNDREDTHS, BandsSpec, ScorecardSpec, TermSpec
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
_NEGATIVES = 20  # by positive: more tell a search hardly anything
_ROWS = 20_000  # at least, of those who did not reach the target


@dataclass(frozen=True)
class ShapedCard:
    """What one fold's training snapshots say that the scorecard should be.

    shape: the terms, and which of the card's were dropped. points: their calibration, with
    effects; new terms are "old" at one point. bands: as many users in each as by the card at hand,
    on the latest training snapshot.
    """

    shape: Shape
    points: WeightCalibration
    bands: BandsSpec

    @property
    def card(self) -> ScorecardSpec:
        """The proposed scorecard."""
        return self.points.proposed


@dataclass(frozen=True)
class ShapeProposal:
    """A proposal, how it ranks later dates that it has not seen, and the spec it would make.

    made: by the last fold. comparison: of the current card, the same with calibrated points, the
    shaped card and logistic regression of all features, each fitted again for every test. in_bands:
    share of the last test's users that are medium, and high, by the current card and the proposal.
    diff: the change of the spec's text, as lines. text: the new spec. written: where, if applied.
    published: the build that was read.
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
        parts = [read_labelled(spec, course, day) for day in fold.train]
        made = shape_card(spec, course.plan.numbers, parts, limits, seed=seed, level=level)
        margins.append(margins_beside(spec, course, stack(parts), made, test.table))
        tests.append(test)
    assert made is not None  # noqa: S101 - there is a fold, or set_course has raised
    before = spec_text(source)
    after = with_scorecard(before, made.card, made.bands, f"{spec.version}-shaped")
    diff = _diff(before.splitlines(), after.splitlines(), str(source))
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
            _in_bands(spec.scorecard, spec.bands, tests[-1].table),
            _in_bands(made.card, made.bands, tests[-1].table),
        ),
        spec, course.folds[-1].train, diff, after, apply_to, course.published,
        course.published.info.sample,
    )  # fmt: skip


def _diff(before: Sequence[str], after: Sequence[str], source: str) -> tuple[str, ...]:
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


def shape_card(
    spec: Spec,
    numbers: Sequence[str],
    parts: Sequence[Labelled],
    limits: Limits,
    *,
    seed: int,
    level: float = LEVEL,
) -> ShapedCard:
    """Learn terms, shapes, points and bands from labelled snapshots, the latest last.

    numbers: the features that new terms may read. level: of the effects' intervals.
    """
    data = stack(parts)
    found = fit_shape(spec.scorecard.terms, _shape_data(spec, numbers, parts, seed), limits)
    draft = _draft(spec.scorecard, found)
    table = term_shares(draft, data.table)
    silent = np.zeros(len(draft.terms))
    points = calibrate_to_outcome(draft, table, data.labels, data.users, silent, level=level)
    bands = _redrawn(spec, points.proposed, parts[-1].table)
    return ShapedCard(found, points, bands)


def _shape_data(
    spec: Spec, numbers: Sequence[str], parts: Sequence[Labelled], seed: int
) -> ShapeData:
    """Return all who reached the target and enough of the others, with every possible shape.

    Leaving out some of the others at random moves the intercept alone, which ranks nobody
    (Prentice & Pyke 1979).
    """
    labels = np.concatenate([part.labels for part in parts])
    users = np.concatenate(user_codes([part.table.user_ids for part in parts]))
    late = np.repeat(np.arange(len(parts)) >= len(parts) / 2, [len(part.labels) for part in parts])
    others = np.flatnonzero(~labels)
    enough = max(_ROWS, _NEGATIVES * int(labels.sum()))
    taken = np.random.default_rng(seed).permutation(others)[:enough]
    rows = np.concatenate([np.flatnonzero(labels), taken])
    rows = rows[np.argsort(users[rows], kind="stable")]
    table = Snapshot.stack([part.table for part in parts]).take(rows)
    shapes = _library(spec, numbers, table)
    columns = np.empty((len(rows), len(shapes)), dtype=np.float32)
    for place, shape in enumerate(shapes):
        columns[:, place] = shares(shape, table) / MILLION
    card = term_shares(spec.scorecard, table)
    return ShapeData(shapes, columns, card, labels[rows], users[rows], late[rows])


def _library(spec: Spec, numbers: Sequence[str], table: FeatureTable) -> list[TermSpec]:
    """Return the shapes of the features that learned scorers read, and of those of the card."""
    training, card = spec.training, [t for t in spec.scorecard.terms if t.transform != "map"]
    found = []
    for name in dict.fromkeys([*numbers, *(term.feature for term in card)]):
        own = {direction_of(term) for term in card if term.feature == name}
        if name in training.rising or name in training.falling:
            own = own or {1 if name in training.rising else -1}
        costs = any(term.feature == name and term.points < 0 for term in card)
        found += shapes_of(spec.feature(name), table, sorted(own or {-1, 1}), costs=costs)
    return found


def _draft(card: ScorecardSpec, shape: Shape) -> ScorecardSpec:
    """Return the terms with the points they have, new ones with one: not yet a card of 100."""
    used = {term.group for term in shape.terms}
    groups = {name: group for name, group in card.groups.items() if name in used}
    return ScorecardSpec.model_construct(terms=shape.terms, groups=groups)


def _redrawn(spec: Spec, card: ScorecardSpec, table: FeatureTable) -> BandsSpec:
    """Return whole-point bands that hold, as nearly as may be, as many users as the spec's do."""
    medium, high = _in_bands(spec.scorecard, spec.bands, table)
    scores = Scorecard(card).score_hundredths(table)
    steps = np.arange(1, 101)
    reached = 1 - np.searchsorted(np.sort(scores), steps * HUNDREDTHS) / max(1, len(scores))
    first = int(np.abs(reached[:98] - (medium + high)).argmin())
    second = first + 1 + int(np.abs(reached[first + 1 :] - high).argmin())
    return BandsSpec(medium=float(steps[first]), high=float(steps[second]))


def _in_bands(card: ScorecardSpec, bands: BandsSpec, table: FeatureTable) -> tuple[float, float]:
    """Return which share of users is medium, and which is high."""
    scores: Integers = Scorecard(card).score_hundredths(table)
    medium, high = (round(edge * HUNDREDTHS) for edge in (bands.medium, bands.high))
    above = float((scores >= high).mean())
    return float((scores >= medium).mean()) - above, above


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
