"""The scorecard as a scorer, which ranks by points; a training calibrates it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..scorer import Contributions, FeatureTable, Scale
from ..spec.model import Spec
from ..spec.scorecard import HUNDREDTHS, BandsSpec
from ..stats.platt import Calibrator
from ..types import Floats, Integers, RawScores
from .ranking import band_codes
from .scorecard import Scorecard

_FILE = "scorecard.json"


@dataclass(frozen=True)
class PointsScorer:
    """A spec's scorecard and bands. The raw score is in whole hundredths of a point.

    Attributes:
        card: The scorecard.
        bands: The points from which users are labelled medium and high.
        calibrator: The map from points to the log-odds of the target; None if it was not trained.
    """

    card: Scorecard
    bands: BandsSpec
    calibrator: Calibrator | None = None
    name: str = Scorecard.name
    scale: Scale = Scorecard.scale
    explains: bool = True
    about: None = None

    @classmethod
    def of(cls, spec: Spec, calibrator: Calibrator | None = None) -> PointsScorer:
        """Return the scorer of a spec's scorecard."""
        return cls(Scorecard(spec.scorecard), spec.bands, calibrator)

    @property
    def features(self) -> tuple[str, ...]:
        """The features that terms read."""
        return self.card.features

    def raw_score(self, table: FeatureTable) -> Integers:
        """Return hundredths of points, shape (n,), int64 from 0 to 10,000."""
        return self.card.score_hundredths(table)

    def score_of(self, raw: RawScores) -> Floats:
        """Return points, shape (n,), 0 to 100."""
        return raw / HUNDREDTHS

    def bands_of(self, raw: RawScores) -> Integers:
        """Return labels as positions in LABELS, shape (n,)."""
        return band_codes(np.asarray(raw, dtype=np.int64), self.bands)

    def probability_of(self, raw: RawScores) -> Floats | None:
        """Return probabilities, shape (n,); None without a calibrator."""
        return None if self.calibrator is None else self.calibrator.probability(self.score_of(raw))

    def contributions(self, table: FeatureTable) -> Contributions:
        """Return hundredths of points by term, then by group cap, then clipping: (n, k) int64."""
        return self.card.contributions(table)

    def log_odds(self, points: Contributions) -> Contributions:
        """Convert contributions in hundredths of points to log-odds of the probability.

        With the base they add up to the logit of the probability.

        Raises:
            DataError: There is no calibrator.
        """
        if self.calibrator is None:
            raise DataError("the scorecard is not calibrated: run `whyrank train`")
        values = np.asarray(points.values, dtype=np.float64) / HUNDREDTHS
        return self.calibrator.calibrated(replace(points, values=values))

    def save(self, folder: Path) -> None:
        """Write scorecard.json with the calibrator to a new folder; the points are in the spec.

        Raises:
            DataError: There is no calibrator, so there is nothing to save.
        """
        if self.calibrator is None:
            raise DataError("the scorecard is not calibrated: run `whyrank train`")
        folder.mkdir(parents=True)
        text = json.dumps({"calibrator": asdict(self.calibrator)})
        (folder / _FILE).write_text(text, encoding="utf-8")

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a folder holds one."""
        return (folder / _FILE).exists()

    @classmethod
    def load(cls, folder: Path, spec: Spec) -> PointsScorer:
        """Read what `save` wrote, for the spec that was saved with it, or one of the same points.

        Raises ValueError, KeyError or OSError for a damaged file.
        """
        raw = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return cls.of(spec, Calibrator(**raw["calibrator"]))
