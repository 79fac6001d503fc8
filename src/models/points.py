"""A scorecard as a fitted model: log-odds in proportion to its points, a sum over features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..scorer import FeatureTable
from ..scoring.scorecard import Scorecard
from ..spec.scorecard import HUNDREDTHS, BandsSpec, ScorecardSpec
from ..types import Floats, Integers
from .encoding import Categories, Encoding, Matrix

_FILE = "points.json"


@dataclass(frozen=True)
class PointsModel:
    """A scorecard over a matrix of the features that its terms read.

    card, bands: as a spec would have them. categories: of the last columns, as in the encoding.
    log_odds: of one point. base: log-odds of a user with the usual points. usual: mean points by
    column where it was fitted, (k,).

    A user's points are exactly the scorecard's, in hundredths. By feature they are those of all
    its terms. What a group's cap takes away is taken from the group's positive terms, and what
    clipping at zero gives back is given to the negative terms, each in proportion to its points.
    """

    card: ScorecardSpec
    bands: BandsSpec
    categories: tuple[Categories, ...]
    log_odds: float
    base: float
    usual: Floats

    def points(self, matrix: Matrix) -> Floats:
        """Return scores in points, shape (n,), 0 to 100."""
        return Scorecard(self.card).score(self._table(matrix))

    def raw_score(self, matrix: Matrix) -> Floats:
        """Return log-odds, shape (n,)."""
        raw_score: Floats = self.base + self.log_odds * (self.points(matrix) - self.usual.sum())
        return raw_score

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        """Return what each column's points beyond the usual add in log-odds, (n, k), and the base.

        These are the Shapley values of a sum of terms, but for caps and clipping.
        """
        by_column = points_by_feature(self.card, self._table(matrix), self._names)
        return self.log_odds * (by_column - self.usual), self.base

    @property
    def _names(self) -> tuple[str, ...]:
        return _numbers_of(self.card) + tuple(one.name for one in self.categories)

    def _table(self, matrix: Matrix) -> _Columns:
        return _Columns(self._names, self.categories, matrix)

    def save(self, folder: Path) -> None:
        """Write points.json."""
        raw = {
            "card": self.card.model_dump(mode="json"),
            "bands": self.bands.model_dump(mode="json"),
            "categories": [one.to_dict() for one in self.categories],
            "log_odds": self.log_odds,
            "base": self.base,
            "usual": self.usual.tolist(),
        }
        (folder / _FILE).write_text(json.dumps(raw), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read points.json."""
        raw = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return cls(
            ScorecardSpec.model_validate(raw["card"]),
            BandsSpec.model_validate(raw["bands"]),
            tuple(Categories.from_dict(one) for one in raw["categories"]),
            float(raw["log_odds"]),
            float(raw["base"]),
            np.array(raw["usual"], dtype=np.float64),
        )


def fit_points(
    card: ScorecardSpec,
    bands: BandsSpec,
    log_odds: float,
    table: FeatureTable,
    labels: NDArray[np.bool_],
) -> tuple[Encoding, PointsModel]:
    """Return a scorecard as a model, and the encoding of its features.

    log_odds: of one point, above zero. table, labels: what it was learnt from; they give the usual
    points and their log-odds, those of the share of positives.
    """
    texts = dict.fromkeys(term.feature for term in card.terms if term.transform == "map")
    categories = tuple(Categories(name, _known(card, name)) for name in texts)
    encoding = Encoding(_numbers_of(card), categories=categories, dtype="float64")
    usual = points_by_feature(card, table, encoding.names).mean(axis=0)
    base = float(np.log(labels.mean() / (1 - labels.mean())))
    return encoding, PointsModel(card, bands, categories, log_odds, base, usual)


def points_by_feature(card: ScorecardSpec, table: FeatureTable, features: Sequence[str]) -> Floats:
    """Return a scorecard's points by feature, (n, k), which add up to the score.

    Caps of groups and clipping are dealt to the terms, as `PointsModel` has it.
    """
    found = Scorecard(card).contributions(table)
    values = np.asarray(found.values, dtype=np.float64)
    points, rest = values[:, : len(card.terms)], values[:, len(card.terms) :]
    every = np.ones(len(card.terms), dtype=bool)
    for place, group in enumerate(card.groups):
        inside = np.array([term.group == group for term in card.terms])
        points = points + _dealt(points, rest[:, place], inside)
    points = points + _dealt(points, rest[:, -1], every)
    by_feature = np.zeros((len(values), len(features)))
    for place, term in enumerate(card.terms):
        by_feature[:, features.index(term.feature)] += points[:, place] / HUNDREDTHS
    return by_feature


def _dealt(points: Floats, amount: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Deal amounts, (n,), to the terms inside whose points they reduce, in proportion."""
    against = np.where(amount < 0, 1.0, -1.0)[:, None]
    sizes = np.maximum(against * points, 0.0) * inside
    whole = sizes.sum(axis=1, keepdims=True)
    share = np.divide(sizes, whole, out=np.zeros_like(sizes), where=whole > 0)
    dealt: Floats = share * amount[:, None]
    return dealt


def _numbers_of(card: ScorecardSpec) -> tuple[str, ...]:
    return tuple(dict.fromkeys(t.feature for t in card.terms if t.transform != "map"))


def _known(card: ScorecardSpec, feature: str) -> tuple[str, ...]:
    maps = [term.map or {} for term in card.terms if term.feature == feature]
    return tuple(dict.fromkeys(text for one in maps for text in one))


@dataclass(frozen=True)
class _Columns:
    """A matrix as the table of features that it was made of."""

    names: Sequence[str]
    categories: Sequence[Categories]
    matrix: Matrix

    def __len__(self) -> int:
        return len(self.matrix)

    def numeric(self, name: str) -> Floats:
        """Return a numeric or boolean feature, shape (n,), null as NaN."""
        return self.matrix[:, self.names.index(name)].astype(np.float64)

    def categorical(self, name: str) -> tuple[Integers, list[str]]:
        """Return a categorical feature: codes, shape (n,), -1 for null, and the categories."""
        known = next(one.texts for one in self.categories if one.name == name)
        codes = self.matrix[:, self.names.index(name)].astype(np.int64)
        return codes, [*known, _OTHER]


_OTHER = "\x00"  # no text of any log: Postgres cannot keep one, nor can a line of a CSV file
