"""Fit the shape of a scorecard: which terms it has, and along which curve each gives points.

A sum of monotone terms is built in steps, from the card at hand. A term is added while its score
statistic, with errors clustered by user, is larger than the largest of as many would be by
chance, and tells the same in the earlier and the later snapshots. A term is bent only where
that raises the likelihood clearly. A term of the card is dropped only where there are too many, or
to make room for one that gives more. Every feature works in one direction: that of the card, of the
spec's training.monotone_increasing and training.monotone_decreasing, or of its first new term.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from ..spec.scorecard import TermSpec
from ..types import Floats
from .shapes import direction_of, same_shape
from .term_fit import least_loss

CHANCE = 0.05  # of adding any term in a step, when none of them tells anything
BEND = 4.0  # of the log-likelihood, that another shape of a term must win
DROP = 2.0  # of it, the least that a new term must be worth in the end
_TRIED = 3  # additions fitted in full at each step, of those with the largest gains
_BENDS = 2  # shapes of a term fitted in full, of those with the largest gains
_ROUNDS = 4
_SAME = 1e-3  # of a shape's information: what remains of one that goes with the others
_BLOCK = 64  # shapes
_STEADY = 1.645  # of z, one-sided 95%, in each half of the snapshots by itself


@dataclass(frozen=True)
class Limits:
    """What a shape must respect: how many terms, and the names of those that stay as they are."""

    terms: int = 15
    pinned: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Shape:
    """The terms that were found, in the order of the card, new ones last.

    weights: log-odds of a whole term, (k,). before: the card's terms by name, of those that stay.
    dropped: the others.
    """

    terms: tuple[TermSpec, ...]
    weights: Floats
    before: Mapping[str, TermSpec]
    dropped: tuple[TermSpec, ...]


@dataclass
class ShapeData:
    """What a shape is learnt from: rows of users, and the columns of terms.

    shares: of every possible shape, 0 to 1, float32 (n, m). card: of the card's terms, (n, k).
    users: who each row is, in order, so that a user's rows stand together, (n,). late: rows of the
    later half of the snapshots, bool (n,).
    """

    shapes: Sequence[TermSpec]
    shares: NDArray[np.float32]
    card: Floats
    labels: NDArray[np.bool_]
    users: NDArray[np.int64]
    late: NDArray[np.bool_]
    starts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.starts = np.flatnonzero(np.r_[True, np.diff(self.users) != 0])


def fit_shape(card: Sequence[TermSpec], data: ShapeData, limits: Limits) -> Shape:
    """Return the terms that the data tell, within limits.

    The names of new terms are those of their features, numbered where the name is taken. Raises
    DataError when a fit does not converge.
    """
    search = _Search(card, data, limits)
    search.trim()
    for _ in range(_ROUNDS):
        search.add()
        if not search.bend():
            break
    search.trim()
    kept = {term.name for term in search.terms}
    return Shape(
        tuple(search.terms),
        search.weights[1:],
        {term.name: term for term in card if term.name in kept},
        tuple(term for term in card if term.name not in kept),
    )


class _State(NamedTuple):
    """Terms, their centred columns, weights (the intercept first) and minus the log-likelihood."""

    terms: list[TermSpec]
    columns: list[Floats]
    weights: Floats
    loss: float


class _Search:
    """The terms so far, their columns and weights; every step refits all of them."""

    def __init__(self, card: Sequence[TermSpec], data: ShapeData, limits: Limits) -> None:
        self._data, self._limits, self._card = data, limits, card
        self._center = data.shares.mean(axis=0)
        self._directions = np.array([direction_of(shape) for shape in data.shapes])
        self._signs = np.sign([shape.points for shape in data.shapes])
        self.terms: list[TermSpec] = list(card)
        self.columns = [column - column.mean() for column in data.card.T]
        self.weights, self.loss = self._fit(self.terms, self.columns)

    def add(self) -> None:
        """Add the term that tells the most, while one tells more than chance, and one fits in."""
        while True:
            told, gain = self._told()
            tried = []
            for place in told[np.argsort(-gain[told])][:_TRIED]:
                named = self._named(self._data.shapes[place])
                terms, columns = [*self.terms, named], [*self.columns, self._column(place)]
                weights, loss = self._fit(terms, columns, [*self.weights, 0.0])
                tried.append(_State(terms, columns, weights, loss))
            before = self._state()
            if not tried:
                return
            best = min(tried, key=lambda state: state.loss)
            if self._bend_instead(best.terms[-1]):
                continue
            self._become(best)
            while len(self.terms) > self._limits.terms and self._drop_least(newest=False):
                pass
            if len(self.terms) > self._limits.terms or before.loss - self.loss < BEND:
                self._become(before)
                return

    def _told(self) -> tuple[NDArray[np.int64], Floats]:
        """Return the shapes that tell more than chance, and what each of all would win."""
        wanted = float(norm.isf(CHANCE / max(1, len(self._data.shapes))))
        design = self._design(self.columns)
        z, gain = self._score_tests(design, self.weights, np.arange(len(self._data.shapes)))
        told = np.flatnonzero(self._fitting() & (z * self._signs > wanted))
        for half in (self._data.late, ~self._data.late):
            z, _ = self._score_tests(design, self.weights, told, half)
            told = told[z * self._signs[told] > _STEADY]
        return told, gain

    def _state(self) -> _State:
        return _State([*self.terms], [*self.columns], self.weights, self.loss)

    def _become(self, state: _State) -> None:
        self.terms, self.columns, self.weights, self.loss = state

    def bend(self) -> bool:
        """Give every term the shape that fits best, if it fits clearly better; say if any did."""
        bent = [self._bend_one(place) for place in range(len(self.terms))]
        return self._unbend() or any(bent)

    def _bend_instead(self, new: TermSpec) -> bool:
        """Bend a term that gives points for the same feature, rather than adding another one."""
        own = [place for place, term in enumerate(self.terms) if _kind(term) == _kind(new)]
        bent = [self._bend_one(place) for place in own]
        return any(bent)

    def _bend_one(self, place: int) -> bool:
        shapes = self._bends(self.terms[place])
        if not len(shapes):
            return False
        terms, columns = _without(self.terms, place), _without(self.columns, place)
        rest, _ = self._fit(terms, columns, np.delete(self.weights, place + 1))
        _, gain = self._score_tests(self._design(columns), rest, shapes)
        best = shapes[np.argsort(-gain)][:_BENDS]
        bent = [self._try_bend(place, int(shape)) for shape in best]
        return any(bent)

    def trim(self) -> None:
        """Drop terms beyond the limit, and new ones that have become worth next to nothing."""
        while len(self.terms) > self._limits.terms and self._drop_least():
            pass
        while self._drop_least(new_only=True, most=DROP):
            pass

    def _drop_least(
        self, *, newest: bool = True, new_only: bool = False, most: float = np.inf
    ) -> bool:
        """Drop the term that is worth the least of the likelihood, and no more than `most`.

        newest: whether it may be the last one. new_only: none of the card's. Pinned terms stay.
        Returns whether one went.
        """
        card = {term.name for term in self._card}
        fits = []
        for place, term in enumerate(self.terms if newest else self.terms[:-1]):
            if term.name in self._limits.pinned or (new_only and term.name in card):
                continue
            terms, columns = _without(self.terms, place), _without(self.columns, place)
            rest = np.delete(self.weights, place + 1)
            if self.weights[place + 1] == 0:
                fits.append(_State(terms, columns, rest, self.loss))
                break
            fits.append(_State(terms, columns, *self._fit(terms, columns, rest)))
        if not fits or len(self.terms) == 1:
            return False
        least = min(fits, key=lambda state: state.loss)
        if least.loss - self.loss > most:
            return False
        self._become(least)
        return True

    def _unbend(self) -> bool:
        """Give a term of the card its own shape back where the new one is not needed any more."""
        own = {term.name: place for place, term in enumerate(self._card)}
        changed = False
        for place, term in enumerate(self.terms):
            if term.name not in own or same_shape(term, self._card[own[term.name]]):
                continue
            old = self._data.card[:, own[term.name]]
            columns = [*self.columns]
            columns[place] = old - old.mean()
            weights, loss = self._fit(self.terms, columns, self.weights)
            if loss - self.loss < BEND:
                self.terms[place] = self._card[own[term.name]]
                self.columns, self.weights, self.loss = columns, weights, loss
                changed = True
        return changed

    def _try_bend(self, place: int, shape: int) -> bool:
        term = self.terms[place]
        if same_shape(self._data.shapes[shape], term):
            return False
        columns = [*self.columns]
        columns[place] = self._column(shape)
        weights, loss = self._fit(self.terms, columns, self.weights)
        if self.loss - loss < BEND:
            return False
        self.terms[place] = _bent(term, self._data.shapes[shape])
        self.columns, self.weights, self.loss = columns, weights, loss
        return True

    def _bends(self, term: TermSpec) -> NDArray[np.int64]:
        """Return the places of the shapes that a term may take: its feature, direction and sign."""
        if term.transform == "map" or term.name in self._limits.pinned:
            return np.zeros(0, dtype=np.int64)
        return np.array(
            [p for p, shape in enumerate(self._data.shapes) if _kind(shape) == _kind(term)],
            dtype=np.int64,
        )

    def _fitting(self) -> NDArray[np.bool_]:
        """Return which shapes have the direction of the terms of the same feature, (m,)."""
        fixed = {t.feature: direction_of(t) for t in self.terms if t.transform != "map"}
        return np.array(
            [
                fixed.get(shape.feature, direction) == direction
                for shape, direction in zip(self._data.shapes, self._directions, strict=True)
            ],
            dtype=np.bool_,
        )

    def _named(self, shape: TermSpec) -> TermSpec:
        # A dropped term's name stays its own: a diff says what became of it.
        taken = {term.name for term in (*self.terms, *self._card)}
        taken |= {term.group for term in self._card if term.group} | {"clipping"}
        name, number = shape.feature, 2
        while name in taken:
            name, number = f"{shape.feature}_{number}", number + 1
        return shape.model_copy(update={"name": name})

    def _column(self, place: int) -> Floats:
        return self._data.shares[:, place].astype(np.float64) - float(self._center[place])

    def _design(self, columns: Sequence[Floats]) -> Floats:
        return np.column_stack([np.ones(len(self._data.labels)), *columns])

    def _fit(
        self,
        terms: Sequence[TermSpec],
        columns: Sequence[Floats],
        start: Sequence[float] | Floats | None = None,
    ) -> tuple[Floats, float]:
        sign = np.sign([term.points for term in terms])
        first = None if start is None else np.asarray(start, dtype=np.float64)
        return least_loss(self._design(columns), self._data.labels, sign, first)

    def _score_tests(
        self,
        design: Floats,
        weights: Floats,
        shapes: NDArray[np.int64],
        among: NDArray[np.bool_] | None = None,
    ) -> tuple[Floats, Floats]:
        """Test each shape beside the terms of a fit, without fitting it.

        among: rows whose outcomes are looked at, bool (n,); all when None.

        Returns z, (m,), clustered by user, and about twice the log-likelihood to be won, (m,);
        both are 0 for a shape that goes with the terms.
        """
        probability = 1 / (1 + np.exp(-(design @ weights)))
        pull = (self._data.labels - probability).astype(np.float32)
        if among is not None:
            pull[~among] = 0
        curvature = probability * (1 - probability)
        active = design[:, np.r_[True, weights[1:] != 0]]
        weighted = active * curvature[:, None]
        bread = weighted.T @ active
        bread[np.diag_indices(len(bread))] += 1e-6
        curve = curvature.astype(np.float32)
        z, gain = np.zeros(len(shapes)), np.zeros(len(shapes))
        for start in range(0, len(shapes), _BLOCK):
            block = self._data.shares[:, shapes[start : start + _BLOCK]]
            block = block - self._center[shapes[start : start + _BLOCK]]
            whole = curve @ (block * block)
            block = block - (active @ np.linalg.solve(bread, weighted.T @ block)).astype(np.float32)
            left = curve @ (block * block)
            by_user = np.add.reduceat(block * pull[:, None], self._data.starts, axis=0)
            total = by_user.sum(axis=0, dtype=np.float64)
            spread = (by_user.astype(np.float64) ** 2).sum(axis=0)
            told = (left > _SAME * whole) & (spread > 0)
            here = slice(start, start + block.shape[1])
            z[here][told] = total[told] / np.sqrt(spread[told])
            gain[here][told] = total[told] ** 2 / left[told]
        return z, gain


def _without(items: Sequence, place: int) -> list:  # type: ignore[type-arg]
    return [*items[:place], *items[place + 1 :]]


def _kind(term: TermSpec) -> tuple[str, int, bool]:
    """Return what stays of a term that is bent: its feature, direction and sign."""
    return term.feature, direction_of(term), term.points > 0


def _bent(term: TermSpec, shape: TermSpec) -> TermSpec:
    taken = ("transform", "cap", "half_life")
    return term.model_copy(update={key: getattr(shape, key) for key in taken})
