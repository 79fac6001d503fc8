"""Probabilities and targeting thresholds, from outcomes that a scorer was not fitted on.

Two fits of one candidate have different scales: the later one saw later outcomes, so its log-odds
are higher or lower. The earlier fit's calibration is therefore transferred to the later fit by the
raw scores that both give to the same users, those of the later fold. Their outcomes are not needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..models.candidates import RankAverage
from ..models.catalogue import MEMBERS, RANK_AVERAGE
from ..models.learned import LearnedScorer
from ..published.snapshot import Snapshot
from ..ranking.active_scorer import SCORECARD
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..stats.platt import Calibrator, fit_calibrator
from ..types import Floats


@dataclass(frozen=True)
class CalibrationSet:
    """Held-out raw scores and outcomes of earlier fits, to calibrate later fits by.

    Attributes:
        raw_scores: The earlier fits' raw scores of users they were not fitted on, by scorer, (n,).
        labels: Whether these users reached the target, (n,).
        later_raw_scores: The earlier fits' raw scores of the later fold's users, by scorer, (m,).
    """

    raw_scores: Mapping[str, Floats]
    labels: NDArray[np.bool_]
    later_raw_scores: Mapping[str, Floats]

    def calibrators(self, now: Mapping[str, Floats]) -> dict[str, Calibrator]:
        """Return the later fits' calibrators, by scorer.

        Args:
            now: The later fits' raw scores of the later fold's users, by scorer, (m,).
        """
        return {
            name: fit_calibrator(self.raw_scores[name], self.labels).transferred(
                self.later_raw_scores[name], raw_score
            )
            for name, raw_score in now.items()
        }

    def thresholds(self, now: Mapping[str, Floats], capacity: float) -> dict[str, float | None]:
        """Return the raw score from which users are targeted, by scorer.

        The earlier fit's threshold is the raw score that the best `capacity` of its users reached.
        The later fit's threshold targets as many of the later fold's users as the earlier one's.
        """
        found: dict[str, float | None] = {}
        for name, raw_score in now.items():
            before = np.quantile(self.raw_scores[name], 1 - capacity, method="higher")
            share = float((self.later_raw_scores[name] >= before).mean())
            found[name] = float(np.quantile(raw_score, 1 - share, method="higher"))
        return found


def raw_scores_of(
    spec: Spec, scorers: Mapping[str, LearnedScorer], table: Snapshot
) -> dict[str, Floats]:
    """Return raw scores by scorer, (n,): the scorecard, learned scorers, their rank average."""
    raw_scores = {SCORECARD: Scorecard(spec.scorecard).score(table)}
    raw_scores |= {name: scorer.raw_score(table) for name, scorer in scorers.items()}
    members = tuple(scorers[name] for name in MEMBERS if name in scorers)
    if len(members) > 1:
        raw_scores[RANK_AVERAGE] = RankAverage(members).raw_score(table)
    return raw_scores


def concatenate(parts: Sequence[CalibrationSet]) -> CalibrationSet:
    """Concatenate the calibration sets of several fits of the same candidates."""
    return CalibrationSet(
        {name: np.concatenate([p.raw_scores[name] for p in parts]) for name in parts[0].raw_scores},
        np.concatenate([part.labels for part in parts]),
        {
            name: np.concatenate([p.later_raw_scores[name] for p in parts])
            for name in parts[0].later_raw_scores
        },
    )
