"""Feature drift: how far a list's features have moved from those that a scorer was trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..escapes import csv_writer
from ..published.snapshot import Snapshot
from ..reports.figures import PSI_FAR, PSI_MOVED
from ..types import Floats

_PARTS = 10
_MOST = 20  # categories told one by one
_LEAST = 1e-4  # a share that counts for none, so that logarithms are finite


@dataclass(frozen=True)
class Spread:
    """How one feature was spread over users: shares by part, the last of them of unknown values.

    edges: upper ends of all parts of numbers but the last. words: the categories told one by one;
    others share a part. mean: of known numbers, None for categories or where none is known.
    """

    feature: str
    edges: tuple[float, ...]
    words: tuple[str, ...]
    shares: tuple[float, ...]
    mean: float | None

    @classmethod
    def of(cls, table: Snapshot, feature: str, *, text: bool) -> Spread:
        """Return a feature's spread: tenths of users, or the commonest categories."""
        if text:
            codes, texts = table.categorical(feature)
            sizes = np.bincount(codes[codes >= 0], minlength=len(texts))
            words = tuple(texts[place] for place in np.argsort(-sizes, kind="stable")[:_MOST])
            found = cls(feature, (), words, (), None)
        else:
            values = table.numeric(feature)
            known = values[~np.isnan(values)]
            tenths = np.arange(1, _PARTS) / _PARTS
            cuts = np.quantile(known, tenths) if len(known) else np.empty(0)
            edges = tuple(float(edge) for edge in np.unique(cuts))
            found = cls(feature, edges, (), (), None)
        shares, mean = found.now(table)
        return cls(feature, found.edges, found.words, tuple(shares.tolist()), mean)

    def now(self, table: Snapshot) -> tuple[Floats, float | None]:
        """Return the shares of the same parts in another table, and its mean."""
        if self.edges or not self.words:
            values = table.numeric(self.feature)
            known = ~np.isnan(values)
            place = np.searchsorted(np.array(self.edges), values)
            place = np.where(known, place, len(self.edges) + 1)
            parts = len(self.edges) + 2
            mean = float(values[known].mean()) if known.any() else None
        else:
            codes, texts = table.categorical(self.feature)
            at = {word: place for place, word in enumerate(self.words)}
            lookup = [at.get(text, len(at)) for text in texts]
            place, parts, mean = np.array([*lookup, len(at) + 1])[codes], len(at) + 2, None
        shares: Floats = np.bincount(place, minlength=parts) / max(1, len(table))
        return shares, mean


@dataclass(frozen=True)
class Drift:
    """How far a feature has moved: its population stability index, means, shares of unknown."""

    feature: str
    psi: float
    mean: tuple[float | None, float | None]
    unknown: tuple[float, float]


def read_profile(kept: str | None) -> tuple[str, list[Spread]] | None:
    """Return the training snapshot's date and its spreads; None where none were kept.

    Raises DataError when what was kept is damaged.
    """
    if kept is None:
        return None
    try:
        raw = json.loads(kept)
        spreads = [
            Spread(
                one["feature"], tuple(one["edges"]), tuple(one["words"]), tuple(one["shares"]),
                one["mean"],
            )
            for one in raw["spreads"]
        ]  # fmt: skip
        return raw["as_of"], spreads
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(
            "the scorer's profile.json, how features stood in training, is damaged: train again"
        ) from None


def drifts(spreads: Sequence[Spread], table: Snapshot) -> list[Drift]:
    """Return how far each feature has moved, the furthest first.

    The population stability index: the sum over parts of (now - then) · ln(now / then).
    """
    found = []
    for spread in spreads:
        shares, mean = spread.now(table)
        then, now = np.maximum(spread.shares, _LEAST), np.maximum(shares, _LEAST)
        psi = float(((now - then) * np.log(now / then)).sum())
        unknown = (spread.shares[-1], float(shares[-1]))
        found.append(Drift(spread.feature, psi, (spread.mean, mean), unknown))
    return sorted(found, key=lambda one: -one.psi)


def write_drifts(path: Path, found: Sequence[Drift]) -> None:
    """Write a line a feature."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv_writer(file)
        writer.writerow(
            ["feature", "psi", "moved", "mean_training", "mean_now", "unknown_training",
             "unknown_now"]
        )  # fmt: skip
        for one in found:
            moved = "far" if one.psi > PSI_FAR else "somewhat" if one.psi > PSI_MOVED else "no"
            means = ["" if mean is None else f"{mean:.6g}" for mean in one.mean]
            shares = [f"{share:.4f}" for share in one.unknown]
            writer.writerow([one.feature, f"{one.psi:.4f}", moved, *means, *shares])
