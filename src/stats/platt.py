"""Platt scaling: from raw scores to calibrated probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..scorer import Contributions
from ..types import Floats


@dataclass(frozen=True)
class Calibrator:
    """A map from raw scores to probabilities: 1 / (1 + exp(-(slope · raw score + intercept))).

    This is Platt's scaling (1999). It is fitted on raw scores of users whose outcomes the scorer
    has not seen: those of an earlier fit on its own fold. The fit in use was trained on these
    outcomes, so its own raw scores of the same users would be overconfident. `transferred` carries
    the calibration over to it.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def transferred(self, past: Floats, now: Floats) -> Calibrator:
        """Return the calibrator for a later fit of the same candidate.

        The later fit has its own scale. It has also learnt the drift of the base rate, which the
        earlier fit's calibrator corrects for, and which must not be corrected twice. So the later
        raw scores are first given the mean and the standard deviation of the earlier ones.

        Args:
            past: The earlier fit's raw scores of some users, (n,); outcomes are not needed.
            now: The later fit's raw scores of the same users, (n,).

        >>> Calibrator(2.0, 1.0).transferred(np.array([0.0, 1.0]), np.array([3.0, 5.0]))
        Calibrator(slope=1.0, intercept=-2.0)
        """
        spread = float(now.std())
        ratio = float(past.std()) / spread if spread > 0 else 0.0
        shift = float(past.mean()) - ratio * float(now.mean())
        return Calibrator(self.slope * ratio, self.intercept + self.slope * shift)

    def log_odds(self, raw_score: Floats) -> Floats:
        """Return the log-odds of the probability, shape (n,)."""
        return np.asarray(self.slope * raw_score + self.intercept)

    def probability(self, raw_score: Floats) -> Floats:
        """Return probabilities, shape (n,)."""
        return np.asarray(1 / (1 + np.exp(-self.log_odds(raw_score))))

    def calibrated(self, found: Contributions) -> Contributions:
        """Return contributions to a raw score as contributions to the log-odds of the probability.

        The map is affine, so it scales every contribution by the slope and moves only the base: the
        base plus a row's contributions is the logit of the probability. With a slope of 0, where
        the calibration kept the base rate alone, every contribution is 0.

        >>> raw_score = Contributions(("a", "b"), np.array([[1.0, -0.5]]), 2.0, "log-odds")
        >>> found = Calibrator(2.0, 1.0).calibrated(raw_score)
        >>> found.values.tolist(), found.base
        ([[2.0, -1.0]], 5.0)
        """
        values = self.slope * np.asarray(found.values, dtype=np.float64)
        base = self.slope * found.base + self.intercept
        return Contributions(found.names, values, base, found.scale)


def fit_calibrator(raw_score: Floats, labels: NDArray[np.bool_]) -> Calibrator:
    """Fit slope and intercept by maximum likelihood.

    A slope that is not positive would turn the ranking round: then only the base rate is kept.
    Raises DataError when the labels are of one class.

    >>> rng = np.random.default_rng(0)
    >>> raw_score = rng.normal(size=20_000)
    >>> labels = rng.random(20_000) < 1 / (1 + np.exp(-(2 * raw_score - 1)))
    >>> found = fit_calibrator(raw_score, labels)
    >>> abs(found.slope - 2) < 0.1, abs(found.intercept + 1) < 0.1
    (True, True)
    """
    if labels.all() or not labels.any():
        raise DataError(
            f"{int(labels.sum())} of {len(labels):,} users reached the target: probabilities are "
            "calibrated on both kinds; load more history, or lengthen the horizon"
        )
    base = float(np.log(labels.mean() / (1 - labels.mean())))
    spread = float(raw_score.std())
    if spread == 0:
        return Calibrator(0.0, base)
    from sklearn.linear_model import LogisticRegression

    scaled = (raw_score - raw_score.mean()) / spread
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(scaled[:, None], labels)
    slope = float(fitted.coef_[0, 0]) / spread
    if slope <= 0:
        return Calibrator(0.0, base)
    return Calibrator(slope, float(fitted.intercept_[0]) - slope * float(raw_score.mean()))
