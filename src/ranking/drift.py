"""Feature drift: how far users' features have moved since a scorer was trained."""

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

_BINS = 10
_MAX_CATEGORIES = 20  # that have a bin of their own
_MIN_SHARE = 1e-4  # taken for empty bins, so that logarithms are finite


@dataclass(frozen=True)
class FeatureDistribution:
    """The distribution of one feature over users, as the shares of users by bin.

    Attributes:
        feature: The feature's name.
        edges: The upper edges of a numeric feature's bins, except the last bin.
        words: The categories with a bin of their own; all others share one.
        shares: The share of users in each bin. The last bin holds unknown values.
        mean: The mean of the known values; None for categories or if none is known.
    """

    feature: str
    edges: tuple[float, ...]
    words: tuple[str, ...]
    shares: tuple[float, ...]
    mean: float | None

    @classmethod
    def of(cls, table: Snapshot, feature: str, *, text: bool) -> FeatureDistribution:
        """Return a feature's distribution, by deciles or by its most frequent categories."""
        if text:
            codes, texts = table.categorical(feature)
            sizes = np.bincount(codes[codes >= 0], minlength=len(texts))
            commonest = np.argsort(-sizes, kind="stable")[:_MAX_CATEGORIES]
            words = tuple(texts[place] for place in commonest)
            found = cls(feature, (), words, (), None)
        else:
            values = table.numeric(feature)
            known = values[~np.isnan(values)]
            tenths = np.arange(1, _BINS) / _BINS
            cuts = np.quantile(known, tenths) if len(known) else np.empty(0)
            edges = tuple(float(edge) for edge in np.unique(cuts))
            found = cls(feature, edges, (), (), None)
        shares, mean = found.now(table)
        return cls(feature, found.edges, found.words, tuple(shares.tolist()), mean)

    def now(self, table: Snapshot) -> tuple[Floats, float | None]:
        """Return the shares in the same bins in another table, and its mean."""
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
    """How far a feature has moved: its population stability index (PSI), and then and now its mean
    and its share of unknown values.
    """

    feature: str
    psi: float
    mean: tuple[float | None, float | None]
    unknown: tuple[float, float]


def read_profile(kept: str | None) -> tuple[str, list[FeatureDistribution]] | None:
    """Return the training snapshot's date and its distributions; None if none were saved.

    Raises:
        DataError: The saved profile is damaged.
    """
    if kept is None:
        return None
    try:
        raw = json.loads(kept)
        spreads = [
            FeatureDistribution(
                one["feature"], tuple(one["edges"]), tuple(one["words"]), tuple(one["shares"]),
                one["mean"],
            )
            for one in raw["spreads"]
        ]  # fmt: skip
        return raw["as_of"], spreads
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(
            "the scorer's profile.json, with the features' distributions in training, is damaged: "
            "train again"
        ) from None


def drifts(spreads: Sequence[FeatureDistribution], table: Snapshot) -> list[Drift]:
    """Return how far each feature has moved, the furthest first.

    The population stability index is the sum over bins of (now - then) · ln(now / then).
    """
    found = []
    for spread in spreads:
        shares, mean = spread.now(table)
        then, now = np.maximum(spread.shares, _MIN_SHARE), np.maximum(shares, _MIN_SHARE)
        psi = float(((now - then) * np.log(now / then)).sum())
        unknown = (spread.shares[-1], float(shares[-1]))
        found.append(Drift(spread.feature, psi, (spread.mean, mean), unknown))
    return sorted(found, key=lambda one: -one.psi)


def write_drifts(path: Path, found: Sequence[Drift]) -> None:
    """Write one row per feature as CSV."""
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
