"""The scorecard, its terms and shapes learnt."""

from __future__ import annotations

from ...errors import DataError
from ..catalogue import Imbalance
from ..points import PointsModel, fit_points
from .base import CannotFitError, Fitted, Kind, Params, Training

POSITIVES_BY_TERM = 10  # rows, at least, to shape a term by (Peduzzi et al. 1996)


class ShapedScorecard(Kind):
    """The spec's scorecard as `calibrate --shape` learns it without options."""

    name = "scorecard_shaped"
    models = {"points": PointsModel}
    libraries = (("scipy",),)

    def fit(self, training: Training, imbalance: Imbalance, params: Params | None) -> Fitted:
        """Fit on all snapshots; raises CannotFitError without a scorecard or enough positives."""
        from ...scoring.shape_fit import Limits
        from ...scoring.shaped_card import shape_card

        del imbalance, params
        spec, data = training.plan.spec, training.data
        if spec is None:
            raise CannotFitError(self.name, "there is no scorecard whose shape could be learnt")
        positives, terms = int(data.labels.sum()), len(spec.scorecard.terms)
        if positives < POSITIVES_BY_TERM * terms:
            raise CannotFitError(
                self.name,
                f"{positives:,} training rows reached the target, and the shapes of {terms} terms "
                f"are learnt from {POSITIVES_BY_TERM * terms:,} at least",
            )
        seed = training.plan.about.seed
        try:
            shaped = shape_card(spec, training.plan.numeric, data.rows(), Limits(), seed=seed)
        except DataError as error:
            raise CannotFitError(self.name, str(error)) from error
        per_point = shaped.points.terms[0].effect.per_point
        encoding, model = fit_points(shaped.card, shaped.bands, per_point, data.table, data.labels)
        return Fitted(encoding, model, shaped.changes())
