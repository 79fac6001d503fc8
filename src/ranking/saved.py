"""Load saved scorers; each kind reads its own files."""

from __future__ import annotations

from pathlib import Path

from ..models.learned import LearnedScorer
from ..models.model_files import read_whole
from ..models.rank_average import SavedRankAverage
from ..scorer import Scorer
from ..scoring.points_scorer import PointsScorer
from ..spec.model import Spec


def load_scorer(folder: Path, spec: Spec) -> Scorer:
    """Load a saved scorer of any kind.

    Args:
        folder: Where the scorer was saved.
        spec: The spec whose points a scorecard ranks by.

    Raises:
        DataError: The folder holds no scorer, or a damaged one.
    """
    if PointsScorer.is_in(folder):
        with read_whole(folder):
            return PointsScorer.load(folder, spec)
    if SavedRankAverage.is_in(folder):
        return SavedRankAverage.load(folder)
    return LearnedScorer.load(folder)
