"""The scorer that ranks, and what was trained with it."""

from __future__ import annotations

from dataclasses import dataclass

from ..models.learned import LearnedScorer
from ..models.spend import SpendScorer
from ..scorer import Scorer
from ..scoring.points_scorer import PointsScorer
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..stats.platt import Calibrator

SCORECARD = Scorecard.name
MODEL_PLOTS = "model_plots.png"
PROFILE = "profile.json"


@dataclass(frozen=True)
class ActiveScorer:
    """The scorer that ranks users, and what was trained with it.

    Attributes:
        scorer: The scorer.
        version: Its version in the registry, or 0.
        spend: The spend model of the same training, if there is one.
        plots: How the scorer ranked on the last backtest fold, as a PNG.
        companion: When the scorecard ranks, the learned scorer of the same training, which
            explains users as well.
        profile: The distributions of features in training, as JSON.
    """

    scorer: Scorer
    version: int = 0
    spend: SpendScorer | None = None
    plots: bytes | None = None
    companion: LearnedScorer | None = None
    profile: str | None = None

    @classmethod
    def untrained(cls, spec: Spec) -> ActiveScorer:
        """Return the spec's scorecard, without calibration or learned scorers."""
        return cls(PointsScorer.of(spec))

    @property
    def name(self) -> str:
        """The scorer's name."""
        return self.scorer.name

    @property
    def by_points(self) -> bool:
        """Whether the scorecard ranks, by points."""
        return self.scorer.scale == "points"

    @property
    def model(self) -> Scorer | None:
        """The learned scorer: the one that ranks, or the companion; None without either."""
        return self.companion if self.by_points else self.scorer

    @property
    def explainer(self) -> LearnedScorer | None:
        """The learned scorer that explains users besides the scorecard; None if there is none."""
        model = self.model
        return model if isinstance(model, LearnedScorer) and model.explains else None

    @property
    def point_calibrator(self) -> Calibrator | None:
        """The map from points to log-odds; None unless a calibrated scorecard ranks."""
        return self.scorer.calibrator if isinstance(self.scorer, PointsScorer) else None

    @property
    def trained(self) -> bool:
        """Whether any part of it was trained."""
        parts = (self.model, self.spend, self.point_calibrator)
        return any(part is not None for part in parts)

    @property
    def stamp(self) -> str:
        """The name and version shown in outputs, such as "xgboost v3"."""
        return f"{self.name} v{self.version}" if self.version else self.name
