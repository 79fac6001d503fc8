"""The rank average as it is kept and used: several scorers as one that ranks without reasons."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from ..errors import DataError
from ..scorer import Contributions, FeatureTable, ModelMetadata, Scale
from ..stats.platt import Calibrator
from ..types import Floats, Integers, RawScores
from .learned import LearnedScorer, percentiles
from .model_files import read_whole

_FILE, _REFERENCE = "rank_average.json", "reference.npy"


@dataclass(frozen=True)
class SavedRankAverage:
    """Scorers ranked by together; a learned scorer in all but reasons, so never champion.

    reference: sorted raw scores of the frozen population. calibrator: from raw scores to
    probabilities. band_edges: the percentiles from which a user counts as medium and as high.
    """

    name: str
    members: tuple[LearnedScorer, ...]
    reference: Floats
    calibrator: Calibrator
    band_edges: tuple[float, float]
    scale: Scale = "percentile"

    @property
    def about(self) -> ModelMetadata:
        """Where it comes from: what its members say, who were fitted together."""
        params = {"members": ", ".join(member.name for member in self.members)}
        return replace(self.members[0].about, candidate=self.name, params=params)

    @property
    def features(self) -> tuple[str, ...]:
        """The features that its members read."""
        return tuple(dict.fromkeys(n for member in self.members for n in member.features))

    @property
    def explains(self) -> bool:
        """Whether contributions are known: they are not."""
        return False

    def raw_score(self, table: FeatureTable) -> Floats:
        """Return what users are ranked by, shape (n,): the average that was compared."""
        from .candidates import RankAverage  # brings scikit-learn, which other scorers do without

        return RankAverage(self.members).raw_score(table)

    def score_of(self, raw: RawScores) -> Floats:
        """Return the percentiles of raw scores in the reference population."""
        return percentiles(self.reference, raw)

    def bands_of(self, raw: RawScores) -> Integers:
        """Return labels as positions in LABELS, by the percentiles of `band_edges`."""
        return np.searchsorted(self.band_edges, self.score_of(raw), side="right")

    def probability_of(self, raw: RawScores) -> Floats:
        """Return calibrated probabilities of the target within the horizon, shape (n,)."""
        return self.calibrator.probability(raw)

    def contributions(self, table: FeatureTable) -> Contributions:
        """Raise DataError: an average of ranks is no sum over features."""
        del table
        raise DataError(f"scorer {self.name!r} ranks without reasons: it has no contributions")

    def save(self, folder: Path) -> None:
        """Write a new folder: rank_average.json, reference.npy and every member's own folder."""
        folder.mkdir(parents=True)
        raw = {
            "name": self.name,
            "members": [member.name for member in self.members],
            "calibrator": asdict(self.calibrator),
            "bands": list(self.band_edges),
        }
        (folder / _FILE).write_text(json.dumps(raw, indent=1), encoding="utf-8")
        np.save(folder / _REFERENCE, self.reference, allow_pickle=False)
        for member in self.members:
            member.save(folder / "members" / member.name)

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        """Whether a folder holds one."""
        return (folder / _FILE).exists()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; raises DataError when it is not there or not readable."""
        with read_whole(folder):
            try:
                raw = json.loads((folder / _FILE).read_text(encoding="utf-8"))
                reference = np.load(folder / _REFERENCE, allow_pickle=False)
            except (OSError, ValueError) as error:
                raise DataError(f"{folder}: holds no saved rank average: {error}") from None
            return cls(
                name=raw["name"],
                members=tuple(LearnedScorer.load(folder / "members" / n) for n in raw["members"]),
                reference=reference,
                calibrator=Calibrator(**raw["calibrator"]),
                band_edges=(float(raw["bands"][0]), float(raw["bands"][1])),
            )
