"""A scorecard learnt from snapshots: its terms, shapes, points and bands, within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..scorer import FeatureTable
from ..spec.model import Spec
from ..spec.scorecard import HUNDREDTHS, BandsSpec, ScorecardSpec, TermSpec
from ..types import Floats, Integers
from .calibration import LEVEL, WeightCalibration, calibrate_to_outcome, term_shares
from .scorecard import Scorecard
from .shape_fit import Limits, Shape, ShapeData, fit_shape
from .shapes import direction_of, same_shape, shapes_of
from .transforms import MILLION, shares

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

    def spec(self, before: Spec) -> Spec:
        """Return the spec with this scorecard and these bands in place of its own."""
        return shaped_spec(before, self.card, self.bands)

    def changes(self) -> dict[str, object]:
        """Return in names how the terms differ from the card's, for a run's parameters."""
        before, terms = self.shape.before, self.card.terms
        bent = [t for t in terms if t.name in before and not same_shape(before[t.name], t)]
        told = {
            "added": [term for term in terms if term.name not in before],
            "bent": bent,
            "dropped": self.shape.dropped,
        }
        names = {what: ", ".join(t.name for t in found) or "none" for what, found in told.items()}
        return {"terms": len(terms), **names}


@dataclass(frozen=True)
class LabelledRows:
    """Stacked snapshots, the latest last: a row per user and date.

    labels: who reached the target, bool (n,). users: who each row is, as integers, (n,). late,
    latest: rows of the later half of the snapshots, and of the last one, bool (n,).
    """

    table: FeatureTable
    labels: NDArray[np.bool_]
    users: Integers
    late: NDArray[np.bool_]
    latest: NDArray[np.bool_]


@dataclass(frozen=True)
class _Taken:
    """Some rows of a table, as a table."""

    table: FeatureTable
    rows: Integers

    def __len__(self) -> int:
        return len(self.rows)

    def numeric(self, name: str) -> Floats:
        """Return a numeric or boolean feature, shape (n,), null as NaN."""
        return self.table.numeric(name)[self.rows]

    def categorical(self, name: str) -> tuple[Integers, list[str]]:
        """Return a categorical feature: codes, shape (n,), -1 for null, and the categories."""
        codes, texts = self.table.categorical(name)
        return codes[self.rows], texts


def shape_card(
    spec: Spec,
    numbers: Sequence[str],
    data: LabelledRows,
    limits: Limits,
    *,
    seed: int,
    level: float = LEVEL,
) -> ShapedCard:
    """Learn terms, shapes, points and bands from labelled snapshots.

    numbers: the features that new terms may read. level: of the effects' intervals.

    Raises DataError when a fit does not converge, or no term with points to give raises the
    outcome.
    """
    found = fit_shape(spec.scorecard.terms, _shape_data(spec, numbers, data, seed), limits)
    draft = _draft(spec.scorecard, found)
    table = term_shares(draft, data.table)
    silent = np.zeros(len(draft.terms))
    points = calibrate_to_outcome(draft, table, data.labels, data.users, silent, level=level)
    latest = _Taken(data.table, np.flatnonzero(data.latest))
    return ShapedCard(found, points, _redrawn(spec, points.proposed, latest))


def shaped_spec(before: Spec, card: ScorecardSpec, bands: BandsSpec) -> Spec:
    """Return a spec with another scorecard and bands, and a version that says so."""
    version = f"{before.version}-shaped"
    return before.model_copy(update={"scorecard": card, "bands": bands, "version": version})


def in_bands(card: ScorecardSpec, bands: BandsSpec, table: FeatureTable) -> tuple[float, float]:
    """Return which share of users is medium, and which is high."""
    scores: Integers = Scorecard(card).score_hundredths(table)
    medium, high = (round(edge * HUNDREDTHS) for edge in (bands.medium, bands.high))
    above = float((scores >= high).mean())
    return float((scores >= medium).mean()) - above, above


def _shape_data(spec: Spec, numbers: Sequence[str], data: LabelledRows, seed: int) -> ShapeData:
    """Return all who reached the target and enough of the others, with every possible shape.

    Leaving out some of the others at random moves the intercept alone, which ranks nobody
    (Prentice & Pyke 1979).
    """
    labels, users = data.labels, data.users
    others = np.flatnonzero(~labels)
    enough = max(_ROWS, _NEGATIVES * int(labels.sum()))
    taken = np.random.default_rng(seed).permutation(others)[:enough]
    rows = np.concatenate([np.flatnonzero(labels), taken])
    rows = rows[np.argsort(users[rows], kind="stable")]
    table = _Taken(data.table, rows)
    shapes = _library(spec, numbers, table)
    columns = np.empty((len(rows), len(shapes)), dtype=np.float32)
    for place, shape in enumerate(shapes):
        columns[:, place] = shares(shape, table) / MILLION
    card = term_shares(spec.scorecard, table)
    return ShapeData(shapes, columns, card, labels[rows], users[rows], data.late[rows])


def _library(spec: Spec, numbers: Sequence[str], table: FeatureTable) -> list[TermSpec]:
    """Return the shapes of the features that learned scorers read, and of those of the card."""
    training, card = spec.training, [t for t in spec.scorecard.terms if t.transform != "map"]
    found = []
    for name in dict.fromkeys([*numbers, *(term.feature for term in card)]):
        own = {direction_of(term) for term in card if term.feature == name}
        if name in training.monotone_increasing or name in training.monotone_decreasing:
            own = own or {1 if name in training.monotone_increasing else -1}
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
    medium, high = in_bands(spec.scorecard, spec.bands, table)
    scores = Scorecard(card).score_hundredths(table)
    steps = np.arange(1, 101)
    reached = 1 - np.searchsorted(np.sort(scores), steps * HUNDREDTHS) / max(1, len(scores))
    first = int(np.abs(reached[:98] - (medium + high)).argmin())
    second = first + 1 + int(np.abs(reached[first + 1 :] - high).argmin())
    return BandsSpec(medium=float(steps[first]), high=float(steps[second]))
