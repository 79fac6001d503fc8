"""On whom scorecard and model disagree in a way that matters: who changes sides, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..scoring.ranking import LABELS, band_codes
from ..spec.model import Spec
from ..types import Bools, Floats, Integers
from .rank import ScoredUsers

HIGH = len(LABELS) - 1


@dataclass(frozen=True)
class Changed:
    """How many users are on one side by the model alone, and by the scorecard alone.

    capacity: among the share of users that can be targeted. high: labelled high.
    """

    capacity: tuple[int, int]
    high: tuple[int, int]


@dataclass(frozen=True)
class Sides:
    """Where both scorers put n users: each array (n,).

    model, card: the share of users ranked below, ties in the middle. model_codes, card_codes:
    labels as positions in LABELS. capacity: the share of users that can be targeted.
    """

    model: Floats
    card: Floats
    model_codes: Integers
    card_codes: Integers
    capacity: float

    @property
    def acted_on(self) -> tuple[Bools, Bools]:
        """Whether a user is within the capacity, by the model and by the scorecard."""
        edge = 1 - self.capacity
        return self.model > edge, self.card > edge

    def changes(self) -> tuple[Bools, Bools, Bools]:
        """Return whether a user changes sides of the capacity, of the label high, of any label."""
        by_model, by_card = self.acted_on
        high, high_by_card = self.model_codes == HIGH, self.card_codes == HIGH
        return by_model != by_card, high != high_by_card, self.model_codes != self.card_codes

    def order(self, most: int) -> NDArray[np.int64]:
        """Return positions of at most so many users, those on whom it matters most first.

        First who changes sides of the capacity and of the label high; then of one of them, and of
        these who has another label at all; then who has another label; then the rest. Among those
        on whom it matters alike, what changes and its two directions take turns, the widest gap
        first in each, so that none of them hides another.
        """
        gap = self.model - self.card
        acted, high, label = self.changes()
        weight = weight_of(acted, high, label)
        stream = 4 * acted + 2 * high + (gap > 0)
        by_stream = np.lexsort((-np.abs(gap), stream, weight))
        key = (8 * weight + stream)[by_stream]
        starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        turn = np.empty(len(gap), dtype=np.int64)
        turn[by_stream] = np.arange(len(gap)) - np.repeat(starts, np.diff([*starts, len(gap)]))
        found = np.lexsort((-np.abs(gap), turn, -weight))
        apart: NDArray[np.int64] = found[gap[found] != 0][:most]
        return apart

    def changed(self) -> Changed:
        """Count who changes sides."""
        by_model, by_card = self.acted_on
        high, high_by_card = self.model_codes == HIGH, self.card_codes == HIGH
        return Changed(_alone(by_model, by_card), _alone(high, high_by_card))

    def take(self, rows: Integers) -> Sides:
        """Return some users, in the order of `rows`."""
        return Sides(
            self.model[rows],
            self.card[rows],
            self.model_codes[rows],
            self.card_codes[rows],
            self.capacity,
        )

    def columns(self) -> dict[str, Sequence[str]]:
        """Return what disagreements.csv says of each user beyond a list's own columns."""
        acted, high, label = self.changes()
        kinds = list(zip(acted, high, label, strict=True))
        labels = {name: [LABELS[int(code)] for code in codes] for name, codes in self._labels()}
        return {
            "changes": [_in_words(*each) for each in kinds],
            "higher_by": ["model" if gap > 0 else "scorecard" for gap in self.model - self.card],
            **labels,
            "scorecard_percentile": [f"{100 * share:.2f}" for share in self.card],
            "model_percentile": [f"{100 * share:.2f}" for share in self.model],
        }

    def _labels(self) -> tuple[tuple[str, Integers], ...]:
        return ("scorecard_label", self.card_codes), ("model_label", self.model_codes)


def sides_of(spec: Spec, scored: ScoredUsers) -> Sides | None:
    """Return where scorecard and model put everybody; None without a learned scorer."""
    if scored.model_raw_score is None:
        return None
    model_codes, card_codes = both_codes(spec, scored)
    return Sides(
        _share_below(scored.model_raw_score),
        _share_below(scored.hundredths),
        model_codes,
        card_codes,
        spec.training.capacity,
    )


def both_codes(spec: Spec, scored: ScoredUsers) -> tuple[Integers, Integers]:
    """Return everybody's label by the model and by the scorecard, as positions in LABELS."""
    by_card = band_codes(scored.hundredths, spec.bands)
    model = scored.active.model
    if model is None or scored.model_raw_score is None:
        return by_card, by_card
    return model.bands_of(scored.model_raw_score), by_card


def weight_of(acted: Bools, high: Bools, label: Bools) -> Integers:
    """Return how much changes of sides matter, 0 to 5: by the order that `Sides.order` tells."""
    found: Integers = 2 * acted.astype(np.int64) + 2 * high + label
    return found


def _in_words(acted: bool, high: bool, label: bool) -> str:
    """Say what a user changes sides of.

    >>> _in_words(True, True, True), _in_words(False, False, True), _in_words(False, False, False)
    ('capacity and high', 'label', '')
    """
    said = [name for name, changes in (("capacity", acted), ("high", high)) if changes]
    if label and not high:
        said.append("label")
    return " and ".join(said)


def _alone(by_model: Bools, by_card: Bools) -> tuple[int, int]:
    return int((by_model & ~by_card).sum()), int((by_card & ~by_model).sum())


def _share_below(values: Integers | Floats) -> Floats:
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, side="left")
    through = np.searchsorted(ordered, values, side="right")
    shares: Floats = (below + through) / (2 * len(values))
    return shares
