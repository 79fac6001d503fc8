"""A fitted model as a scorer: percentiles, calibrated probabilities, contributions."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from ..errors import DataError
from ..scorer import Contributions, FeatureTable, ModelMetadata, Scale
from ..stats.platt import Calibrator
from ..types import Floats, Integers, RawScores
from .encoding import Encoding
from .fitted import Model
from .kinds import MODELS
from .model_files import load_as, read_whole, save_as

REFERENCE_SIZE = 10_000
_ROUNDING = 1e-4  # of all that is added up: what 32 bits may leave out over hundreds of trees


@dataclass(frozen=True)
class LearnedScorer:
    """A learned scorer. The score is the percentile of the raw score in a reference population.

    Attributes:
        encoding: The encoding of features as columns.
        model: The fitted model.
        reference: The sorted raw scores of the reference population, at most REFERENCE_SIZE.
        about: Its metadata.
        calibrator: The map from raw scores to probabilities.
        band_edges: The percentiles from which a user is labelled medium and high. They label as
            many users of the reference population as the scorecard does.
        scale: The scale of contributions.
        unsaved: Why it cannot be saved and registered; empty if it can.
    """

    encoding: Encoding
    model: Model
    reference: Floats
    about: ModelMetadata
    calibrator: Calibrator = field(default_factory=Calibrator)
    band_edges: tuple[float, float] = (70.0, 90.0)
    scale: Scale = "log-odds"
    unsaved: str = ""

    @property
    def name(self) -> str:
        """The candidate's name, such as "xgboost"."""
        return self.about.candidate

    @property
    def features(self) -> tuple[str, ...]:
        """The features it reads."""
        return self.encoding.names

    def raw_score(self, table: FeatureTable) -> Floats:
        """Return the uncalibrated log-odds that users are ranked by, shape (n,)."""
        return self.model.raw_score(self.encoding.matrix(table))

    def score_of(self, raw: RawScores) -> Floats:
        """Return percentiles in the reference population, 0 to 100; ties take the middle."""
        return percentiles(self.reference, raw)

    def bands_of(self, raw: RawScores) -> Integers:
        """Return labels as positions in LABELS, by the percentiles of `band_edges`."""
        return np.searchsorted(self.band_edges, self.score_of(raw), side="right")

    def probability_of(self, raw: RawScores) -> Floats:
        """Return calibrated probabilities of the target within the horizon, shape (n,)."""
        return self.calibrator.probability(raw)

    def score(self, table: FeatureTable) -> Floats:
        """Return the scores of users, shape (n,), 0 to 100."""
        return self.score_of(self.raw_score(table))

    def probability(self, table: FeatureTable) -> Floats:
        """Return the probabilities of users, shape (n,)."""
        return self.probability_of(self.raw_score(table))

    def contributions(self, table: FeatureTable) -> Contributions:
        """Return each feature's contribution to the raw score, in log-odds.

        The base and a user's contributions add up to the raw score.

        Raises:
            DataError: The model has no contributions, or they do not add up to the raw score.
        """
        matrix = self.encoding.matrix(table)
        found = self.model.contributions(matrix)
        if found is None:
            raise DataError(f"scorer {self.name!r} ranks without reasons: it has no contributions")
        values, base = found
        exact = _adding_up(self.name, values, base, self.model.raw_score(matrix))
        return Contributions(self.encoding.names, exact, base, self.scale)

    @property
    def explains(self) -> bool:
        """Whether it has contributions. Only such a scorer can be champion."""
        return self.model.contributions(np.zeros((1, len(self.features)), np.float32)) is not None

    def save(self, folder: Path) -> None:
        """Write a new folder: scorer.json, reference.npy and the model's own files.

        Raises DataError for a scorer that cannot be saved.
        """
        if self.unsaved:
            raise DataError(f"scorer {self.name!r} cannot be saved: {self.unsaved}")
        folder.mkdir(parents=True)
        raw = {
            "about": asdict(self.about),
            "encoding": self.encoding.to_dict(),
            "calibrator": asdict(self.calibrator),
            "bands": list(self.band_edges),
        }
        (folder / "scorer.json").write_text(json.dumps(raw, indent=1), encoding="utf-8")
        np.save(folder / "reference.npy", self.reference, allow_pickle=False)
        (folder / "model").mkdir()
        save_as(MODELS, self.model, folder / "model")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; raises DataError when it is not there or not readable."""
        with read_whole(folder):
            try:
                raw = json.loads((folder / "scorer.json").read_text(encoding="utf-8"))
                reference = np.load(folder / "reference.npy", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise DataError(f"{folder}: holds no saved scorer: {error}") from None
            about = ModelMetadata(**{**raw["about"], "snapshots": tuple(raw["about"]["snapshots"])})
            return cls(
                encoding=Encoding.from_dict(raw["encoding"]),
                model=load_as(MODELS, folder / "model"),
                reference=reference,
                about=about,
                calibrator=Calibrator(**raw["calibrator"]),
                band_edges=(float(raw["bands"][0]), float(raw["bands"][1])),
            )


def _adding_up(name: str, values: Floats, base: float, raw_score: Floats) -> Floats:
    """Return contributions, (n, k), that add up to the raw scores exactly, with the base.

    XGBoost sums in 32 bits. Its rounding error is added to each row's largest contribution.

    Raises:
        DataError: The difference is larger than a rounding error.
    """
    exact = np.array(values, dtype=np.float64)
    missing = raw_score - base - exact.sum(axis=1)
    size = np.maximum(1.0, np.abs(exact).sum(axis=1) + abs(base))
    if (np.abs(missing) > _ROUNDING * size).any():
        worst = int(np.argmax(np.abs(missing) / size))
        raise DataError(
            f"scorer {name!r}: contributions add up to {raw_score[worst] - missing[worst]:.6f}, "
            "and "
            f"the score is {raw_score[worst]:.6f}: train again"
        )
    rows = np.arange(len(exact))
    exact[rows, np.abs(exact).argmax(axis=1)] += missing
    return exact


def percentiles(reference: Floats, raw_score: RawScores) -> Floats:
    """Return percentiles, 0 to 100, in sorted raw scores; ties get the middle of their range.

    >>> percentiles(np.array([1.0, 2.0, 2.0, 3.0]), np.array([2.0, 9.0])).tolist()
    [50.0, 100.0]
    """
    values, sizes = np.unique(reference, return_counts=True)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    place = np.searchsorted(values, raw_score)  # the slow part: once, and not once more for ties
    tied = values.take(place, mode="clip") == raw_score
    below = ends[place]
    return 50.0 * (2 * below + np.where(tied, sizes.take(place, mode="clip"), 0)) / len(reference)


def reference_of(raw_score: Floats) -> Floats:
    """Return a population's sorted raw scores: all of them, or evenly spaced ones."""
    ordered = np.sort(raw_score)
    if len(ordered) <= REFERENCE_SIZE:
        return ordered
    places = (np.arange(REFERENCE_SIZE) + 0.5) * len(ordered) / REFERENCE_SIZE
    return ordered[places.astype(np.int64)]
