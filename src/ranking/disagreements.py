"""Users whom scorecard and model rank apart, those with the largest consequence first."""

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
class SideChanges:
    """How many users are selected by one scorer alone: by the model, and by the scorecard.

    Attributes:
        capacity: Users among the share that can be targeted.
        high: Users labelled high.
    """

    capacity: tuple[int, int]
    high: tuple[int, int]


@dataclass(frozen=True)
class Disagreements:
    """Where the model and the scorecard rank n users; each array has shape (n,).

    Attributes:
        model: The share of users that the model ranks below, ties in the middle.
        card: The same by the scorecard.
        model_codes: The model's labels, as positions in LABELS.
        card_codes: The scorecard's labels.
        capacity: The share of users that can be targeted.
    """

    model: Floats
    card: Floats
    model_codes: Integers
    card_codes: Integers
    capacity: float

    @property
    def targeted(self) -> tuple[Bools, Bools]:
        """Whether a user is within the capacity, by the model and by the scorecard."""
        edge = 1 - self.capacity
        return self.model > edge, self.card > edge

    def changes(self) -> tuple[Bools, Bools, Bools]:
        """Return whether the scorers differ on the capacity, on the label high, on any label."""
        by_model, by_card = self.targeted
        high, high_by_card = self.model_codes == HIGH, self.card_codes == HIGH
        return by_model != by_card, high != high_by_card, self.model_codes != self.card_codes

    def order(self, most: int) -> NDArray[np.int64]:
        """Return positions of at most `most` users, the most severe disagreements first.

        Users are ordered by `severity`. Among equally severe ones, the kinds of disagreement and
        their two directions take turns, the widest gap first in each, so that no kind hides
        another. Users whom both scorers rank alike are left out.
        """
        gap = self.model - self.card
        targeted, high, label = self.changes()
        weight = severity(targeted, high, label)
        stream = 4 * targeted + 2 * high + (gap > 0)
        by_stream = np.lexsort((-np.abs(gap), stream, weight))
        key = (8 * weight + stream)[by_stream]
        starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        turn = np.empty(len(gap), dtype=np.int64)
        turn[by_stream] = np.arange(len(gap)) - np.repeat(starts, np.diff([*starts, len(gap)]))
        found = np.lexsort((-np.abs(gap), turn, -weight))
        disagreeing: NDArray[np.int64] = found[gap[found] != 0][:most]
        return disagreeing

    def side_changes(self) -> SideChanges:
        """Count the users who are selected by one scorer alone."""
        by_model, by_card = self.targeted
        high, high_by_card = self.model_codes == HIGH, self.card_codes == HIGH
        return SideChanges(_one_sided(by_model, by_card), _one_sided(high, high_by_card))

    def take(self, rows: Integers) -> Disagreements:
        """Return the users at these positions, in this order."""
        return Disagreements(
            self.model[rows],
            self.card[rows],
            self.model_codes[rows],
            self.card_codes[rows],
            self.capacity,
        )

    def columns(self) -> dict[str, Sequence[str]]:
        """Return the columns that disagreements.csv has besides those of a list."""
        kinds = list(zip(*self.changes(), strict=True))
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


def find_disagreements(spec: Spec, scored: ScoredUsers) -> Disagreements | None:
    """Return where scorecard and model rank every user; None without a learned scorer."""
    if scored.model_raw_score is None:
        return None
    model_codes, card_codes = label_codes(spec, scored)
    return Disagreements(
        _share_below(scored.model_raw_score),
        _share_below(scored.hundredths),
        model_codes,
        card_codes,
        spec.training.capacity,
    )


def label_codes(spec: Spec, scored: ScoredUsers) -> tuple[Integers, Integers]:
    """Return every user's label by the model and by the scorecard, as positions in LABELS."""
    by_card = band_codes(scored.hundredths, spec.bands)
    model = scored.active.model
    if model is None or scored.model_raw_score is None:
        return by_card, by_card
    return model.bands_of(scored.model_raw_score), by_card


def severity(targeted: Bools, high: Bools, label: Bools) -> Integers:
    """Return how severe disagreements are, 0 to 5.

    The capacity and the label high count 2 each, any label counts 1.

    Args:
        targeted: Whether the scorers differ on who is within the capacity, (n,).
        high: Whether they differ on who is labelled high, (n,).
        label: Whether they give different labels, (n,).
    """
    found: Integers = 2 * targeted.astype(np.int64) + 2 * high + label
    return found


def _in_words(targeted: bool, high: bool, label: bool) -> str:
    """Return, in words, what the scorers differ on.

    >>> _in_words(True, True, True), _in_words(False, False, True), _in_words(False, False, False)
    ('capacity and high', 'label', '')
    """
    differing = [name for name, differs in (("capacity", targeted), ("high", high)) if differs]
    if label and not high:
        differing.append("label")
    return " and ".join(differing)


def _one_sided(by_model: Bools, by_card: Bools) -> tuple[int, int]:
    return int((by_model & ~by_card).sum()), int((by_card & ~by_model).sum())


def _share_below(values: Integers | Floats) -> Floats:
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, side="left")
    through = np.searchsorted(ordered, values, side="right")
    shares: Floats = (below + through) / (2 * len(values))
    return shares
