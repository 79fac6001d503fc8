"""Probabilities and thresholds, from outcomes that a scorer was not fitted on.

Two fits of one candidate put users on scales of their own: the later one saw later outcomes, so its
log-odds lie higher or lower. What the earlier fit's outcomes say is therefore carried over by what
both fits make of the same users, those of the new test, whose outcomes it does not ask for.
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
    """Raw scores of earlier fits on users they were not fitted on, and what came of those users.

    raw scores, labels: by scorer (n,), and bool (n,). again: the same fits' raw scores on the users
    of a later test, (m,) by scorer.
    """

    raw_scores: Mapping[str, Floats]
    labels: NDArray[np.bool_]
    again: Mapping[str, Floats]

    def calibrators(self, now: Mapping[str, Floats]) -> dict[str, Calibrator]:
        """Return how raw scores become probabilities.

        now: the new fits' raw scores on the later fold, (m,).
        """
        return {
            name: fit_calibrator(self.raw_scores[name], self.labels).moved(
                self.again[name], raw_score
            )
            for name, raw_score in now.items()
        }

    def thresholds(self, now: Mapping[str, Floats], capacity: float) -> dict[str, float | None]:
        """Return from which raw score on to act, by scorer.

        The earlier fit's threshold is the raw score that the best `capacity` of its users reached;
        the new fit's flags as many of the later test's users as that one does.
        """
        found: dict[str, float | None] = {}
        for name, raw_score in now.items():
            before = np.quantile(self.raw_scores[name], 1 - capacity, method="higher")
            share = float((self.again[name] >= before).mean())
            found[name] = float(np.quantile(raw_score, 1 - share, method="higher"))
        return found


def margins_of(
    spec: Spec, scorers: Mapping[str, LearnedScorer], table: Snapshot
) -> dict[str, Floats]:
    """Return raw scores by scorer, (n,): the scorecard, learned scorers, their rank average."""
    raw_scores = {SCORECARD: Scorecard(spec.scorecard).score(table)}
    raw_scores |= {name: scorer.raw_score(table) for name, scorer in scorers.items()}
    members = tuple(scorers[name] for name in MEMBERS if name in scorers)
    if len(members) > 1:
        raw_scores[RANK_AVERAGE] = RankAverage(members).raw_score(table)
    return raw_scores


def together(parts: Sequence[CalibrationSet]) -> CalibrationSet:
    """Return what several fits of the same candidates, on other users each, say in one."""
    return CalibrationSet(
        {name: np.concatenate([p.raw_scores[name] for p in parts]) for name in parts[0].raw_scores},
        np.concatenate([part.labels for part in parts]),
        {name: np.concatenate([p.again[name] for p in parts]) for name in parts[0].again},
    )
