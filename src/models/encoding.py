"""Encode a feature table as a numeric matrix, one column per feature, for models to read."""

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
    """The target encoding of a categorical feature: each category's smoothed share of positives.

    worth: the encoded value by category; nulls have one of their own (the key ""). other: the
    value of a category not seen in training, which is the share of positives overall.
    """

    name: str
    worth: Mapping[str, float]
    other: float

    def column(self, table: FeatureTable) -> Matrix:
        """Return each user's encoded value, shape (n,)."""
        codes, texts = table.categorical(self.name)
        worth = [self.worth.get(text, self.other) for text in texts]
        worth.append(self.worth.get("", self.other))  # code -1, a null, takes the last one
        return np.array(worth, dtype=np.float32)[codes]


@dataclass(frozen=True)
class Categories:
    """The ordinal encoding of a categorical feature: a text's position among the known texts.

    A null is -1. An unknown text is the position after the last one.
    """

    name: str
    texts: tuple[str, ...]

    def column(self, table: FeatureTable) -> Integers:
        """Return each user's position, shape (n,)."""
        codes, texts = table.categorical(self.name)
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
    """The matrix columns: numeric features first (null as NaN), then categorical ones.

    target_encoded: categorical features encoded by their share of positives. categories: those
    encoded by their position among the known texts. dtype: of the matrix; float64 keeps every
    number as it is.
    """

    numeric: tuple[str, ...]
    target_encoded: tuple[TargetEncoding, ...] = ()
    categories: tuple[Categories, ...] = ()
    dtype: Literal["float32", "float64"] = "float32"

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in the order of the columns."""
        encoded = [one.name for one in self.target_encoded]
        return (*self.numeric, *encoded, *(one.name for one in self.categories))

    def matrix(self, table: FeatureTable) -> Matrix:
        """Return the features, shape (n, k), every value finite or NaN.

        Values beyond ±1e38 are clipped to it.

        Raises:
            DataError: The table lacks a feature, or a numeric feature holds something else than
                numbers or is infinite for a user. The message names the feature.
        """
        columns: list[NDArray[Any]] = [_numbers(table, name) for name in self.numeric]
        columns += [text.column(table) for text in self.target_encoded]
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
        return {
            "numbers": list(self.numeric),
            "texts": [
                {"name": one.name, "worth": dict(one.worth), "other": one.other}
                for one in self.target_encoded
            ],
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
    numeric: Sequence[str],
    categorical: Sequence[str],
    smoothing: float = SMOOTHING,
) -> tuple[Encoding, Matrix]:
    """Fit the target encoding; return the encoding and the matrix to train on.

    The matrix is cross-fitted: a row's categories are encoded from the outcomes of *other* users
    (five parts, split by user), so that no row has seen its own label. `Encoding.matrix` uses
    everybody's outcomes.

    Args:
        table: The features, one row per user and snapshot.
        labels: The outcomes, shape (n,).
        users: The user of each row, shape (n,); a user is in several snapshots.
        numeric: The numeric features.
        categorical: The categorical features.
        smoothing: Users of a category that count as much as the rest of the population.
    """
    encodings = tuple(_fitted(table, name, labels, smoothing) for name in categorical)
    encoding = Encoding(tuple(numeric), encodings)
    matrix = encoding.matrix(table)
    for place, name in enumerate(categorical, start=len(numeric)):
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
    codes, texts = table.categorical(name)
    return np.array([*texts, ""], dtype=object)[codes][:, None]


def _numbers(table: FeatureTable, name: str) -> NDArray[np.float64]:
    try:
        values = table.numeric(name)
    except KeyError:
        raise DataError(f"the table has no feature {name!r}, which the scorer reads") from None
    except (TypeError, ValueError):
        raise DataError(f"feature {name!r}: must hold numbers, and holds something else") from None
    return values
