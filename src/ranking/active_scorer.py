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
    """A scorer to rank by.

    version: in the registry, else 0. spend: what expects spend beside it, where that was trained.
    plots: how it ranked on its last test, as a PNG. companion: the learned scorer of the same
    training whose reasons stand beside the points when the scorecard ranks. profile: how features
    were spread where it learnt, as JSON.
    """

    scorer: Scorer
    version: int = 0
    spend: SpendScorer | None = None
    plots: bytes | None = None
    companion: LearnedScorer | None = None
    profile: str | None = None

    @classmethod
    def by_points_of(cls, spec: Spec) -> ActiveScorer:
        """Return the scorecard of a spec as it is, which no training stands behind."""
        return cls(PointsScorer.of(spec))

    @property
    def name(self) -> str:
        """The scorer's name."""
        return self.scorer.name

    @property
    def by_points(self) -> bool:
        """Whether the scorecard ranks."""
        return self.scorer.scale == "points"

    @property
    def model(self) -> Scorer | None:
        """The learned scorer: the one that ranks, or the companion; None where there is none."""
        return self.companion if self.by_points else self.scorer

    @property
    def explainer(self) -> LearnedScorer | None:
        """The learned scorer whose reasons stand beside the points; None where none can say why."""
        model = self.model
        return model if isinstance(model, LearnedScorer) and model.explains else None

    @property
    def point_calibrator(self) -> Calibrator | None:
        """From the scorecard's points to log-odds, where it ranks and was trained."""
        return self.scorer.calibrator if isinstance(self.scorer, PointsScorer) else None

    @property
    def trained(self) -> bool:
        """Whether a training stands behind it."""
        parts = (self.model, self.spend, self.point_calibrator)
        return any(part is not None for part in parts)

    @property
    def stamp(self) -> str:
        """What stands in outputs, such as "xgboost v3"."""
        return f"{self.name} v{self.version}" if self.version else self.name
