"""A feature table as a matrix of numbers, one column a feature; categories by target encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..scorer import FeatureTable
from ..types import Integers

Matrix = NDArray[np.float32 | np.float64]
SMOOTHING = 200.0  # users of a category that count as much as the rest of the population
PARTS = 5
_BLOCK = 4_096  # rows
_LARGEST = np.float32(1e38)


@dataclass(frozen=True)
class TargetEncoding:
    """What each category of a text feature is worth: the smoothed share of positives in it.

    A null has a worth of its own (the key ""); a category not seen in training is worth `other`,
    the share of positives overall.
    """

    name: str
    worth: Mapping[str, float]
    other: float

    def column(self, table: FeatureTable) -> Matrix:
        """Return each user's worth, shape (n,)."""
        codes, texts = table.texts(self.name)
        worth = [self.worth.get(text, self.other) for text in texts]
        worth.append(self.worth.get("", self.other))  # code -1, a null, takes the last one
        return np.array(worth, dtype=np.float32)[codes]


@dataclass(frozen=True)
class Categories:
    """The known texts of a text feature: its column holds a text's place among them.

    A null is -1, another text the place after the last one.
    """

    name: str
    texts: tuple[str, ...]

    def column(self, table: FeatureTable) -> Integers:
        """Return each user's place, shape (n,)."""
        codes, texts = table.texts(self.name)
        places = {text: place for place, text in enumerate(self.texts)}
        known = [places.get(text, len(places)) for text in texts]
        return np.array([*known, -1], dtype=np.int64)[codes]

    def to_dict(self) -> dict[str, Any]:
        """Return the categories as JSON can hold them."""
        return {"name": self.name, "texts": list(self.texts)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Categories:
        """Return the categories that `to_dict` wrote."""
        return cls(raw["name"], tuple(raw["texts"]))


@dataclass(frozen=True)
class Encoding:
    """Which features stand in which column: numbers first (null as NaN), then texts.

    texts: by what they are worth. categories: by their place among known texts. dtype: of the
    matrix; float64 keeps every number as it is.
    """

    numbers: tuple[str, ...]
    texts: tuple[TargetEncoding, ...] = ()
    categories: tuple[Categories, ...] = ()
    dtype: Literal["float32", "float64"] = "float32"

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in the order of the columns."""
        known = [*(text.name for text in self.texts), *(one.name for one in self.categories)]
        return (*self.numbers, *known)

    def matrix(self, table: FeatureTable) -> Matrix:
        """Return the features, shape (n, k), every value finite or NaN.

        A number past ±1e38 counts as that. Raises DataError naming a feature that the table does
        not have, that is no number, or that is infinite for somebody.
        """
        columns: list[NDArray[Any]] = [_numbers(table, name) for name in self.numbers]
        columns += [text.column(table) for text in self.texts]
        columns += [one.column(table) for one in self.categories]
        found: Matrix = np.empty((len(table), len(columns)), dtype=self.dtype)
        # A block is cast column by column and turned round while it is in the cache.
        block: Matrix = np.empty((len(columns), _BLOCK), dtype=self.dtype)
        for start in range(0, len(found), _BLOCK):
            part = block[:, : len(found) - start]
            with np.errstate(over="ignore"):
                for place, column in enumerate(columns):
                    part[place] = column[start : start + _BLOCK]
            if np.isinf(part).any():
                _refuse_infinite(self.names, columns)
                np.clip(part, -_LARGEST, _LARGEST, out=part)
            found[start : start + _BLOCK] = part.T
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the encoding as JSON can hold it."""
        texts = [{"name": t.name, "worth": dict(t.worth), "other": t.other} for t in self.texts]
        return {
            "numbers": list(self.numbers),
            "texts": texts,
            "categories": [one.to_dict() for one in self.categories],
            "dtype": self.dtype,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Encoding:
        """Return the encoding that `to_dict` wrote, now or before there were categories."""
        return cls(
            tuple(raw["numbers"]),
            tuple(TargetEncoding(**text) for text in raw["texts"]),
            tuple(Categories.from_dict(one) for one in raw.get("categories", ())),
            raw.get("dtype", "float32"),
        )


def fit_encoding(
    table: FeatureTable,
    labels: NDArray[np.bool_],
    users: NDArray[np.int64],
    *,
    numbers: Sequence[str],
    texts: Sequence[str],
    smoothing: float = SMOOTHING,
) -> tuple[Encoding, Matrix]:
    """Learn what categories are worth; return the encoding, and the matrix to train on.

    users: who each row is, shape (n,): somebody is in several snapshots. In the matrix returned a
    row's categories are worth what the *other* users' outcomes say (five parts, cut between
    users), so that no row has seen its own label; `Encoding.matrix` uses everybody's.
    """
    codes = tuple(_fitted(table, name, labels, smoothing) for name in texts)
    encoding = Encoding(tuple(numbers), codes)
    matrix = encoding.matrix(table)
    for place, name in enumerate(texts, start=len(numbers)):
        matrix[:, place] = _from_others(table, name, labels, users, smoothing)
    return encoding, matrix


def _fitted(
    table: FeatureTable, name: str, labels: NDArray[np.bool_], smoothing: float
) -> TargetEncoding:
    from sklearn.preprocessing import TargetEncoder

    words = _words(table, name)
    encoder = TargetEncoder(target_type="binary", smooth=smoothing).fit(words, labels)
    worth = {
        str(word): float(value)
        for word, value in zip(encoder.categories_[0], encoder.encodings_[0], strict=True)
    }
    return TargetEncoding(name, worth, float(encoder.target_mean_))


def _from_others(
    table: FeatureTable,
    name: str,
    labels: NDArray[np.bool_],
    users: NDArray[np.int64],
    smoothing: float,
) -> Matrix:
    from sklearn.model_selection import GroupKFold
    from sklearn.preprocessing import TargetEncoder

    words = _words(table, name)
    found = np.full(len(words), labels.mean(), dtype=np.float32)
    parts = min(PARTS, len(np.unique(users)))
    if parts < 2:  # noqa: PLR2004 - one user has no others
        return found
    for rest, held in GroupKFold(parts).split(words, labels, users):
        if labels[rest].any() and not labels[rest].all():
            encoder = TargetEncoder(target_type="binary", smooth=smoothing)
            encoder.fit(words[rest], labels[rest])
            found[held] = encoder.transform(words[held])[:, 0]
    return found


def _refuse_infinite(names: Sequence[str], columns: Sequence[NDArray[Any]]) -> None:
    for name, column in zip(names, columns, strict=True):
        infinite = np.flatnonzero(np.isinf(column))
        if len(infinite):
            raise DataError(
                f"feature {name!r}: {column[infinite[0]]} in row {infinite[0]}: must be a finite "
                "number or null; leave the value out where it is not known"
            )


def _words(table: FeatureTable, name: str) -> NDArray[np.object_]:
    codes, texts = table.texts(name)
    return np.array([*texts, ""], dtype=object)[codes][:, None]


def _numbers(table: FeatureTable, name: str) -> NDArray[np.float64]:
    try:
        values = table.numbers(name)
    except KeyError:
        raise DataError(f"the table has no feature {name!r}, which the scorer reads") from None
    except (TypeError, ValueError):
        raise DataError(f"feature {name!r}: must hold numbers, and holds something else") from None
    return values
