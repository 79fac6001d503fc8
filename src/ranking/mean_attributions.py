"""Points and log-odds by part over many users, and how far they agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..escapes import csv_writer
from ..models.explain import agreement, by_part, parts_of
from ..models.learned import LearnedScorer
from ..published.snapshot import Snapshot
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..spec.scorecard import HUNDREDTHS
from ..types import Floats
from .attributions import part_by_feature


@dataclass(frozen=True)
class PartAttributions:
    """The points and log-odds of n users by part.

    Adjustments that belong to no feature, such as a cap on a group of terms, are left out.

    Attributes:
        parts: The k parts: features, and groups of features that are explained together.
        points: The points of the terms on a part's features, shape (n, k).
        log_odds: The model's contributions in log-odds, shape (n, k).
    """

    parts: tuple[str, ...]
    points: Floats
    log_odds: Floats

    def shares(self) -> tuple[Floats, Floats]:
        """Return each part's share of the scorecard's and of the model's effect, (k,) each.

        The effect is the mean absolute deviation from the average in points, and the mean absolute
        contribution in log-odds. Both measure how far a part moves users from an average user.
        """
        away = np.abs(self.points - self.points.mean(axis=0)).mean(axis=0)
        size = np.abs(self.log_odds).mean(axis=0)
        return away / (away.sum() or 1.0), size / (size.sum() or 1.0)

    def correlations(self) -> list[float | None]:
        """Return the rank correlation of points and log-odds over users, by part.

        Near 1, a part's points rise where the model's probability rises. Below 0, scorecard and
        model contradict each other. None where either is constant.
        """
        from scipy.stats import rankdata

        found: list[float | None] = []
        for points, log_odds in zip(self.points.T, self.log_odds.T, strict=True):
            if np.ptp(points) == 0 or np.ptp(log_odds) == 0:
                found.append(None)
            else:
                found.append(float(np.corrcoef(rankdata(points), rankdata(log_odds))[0, 1]))
        return found

    def agreements(self) -> Floats:
        """Return each user's rank correlation of points and log-odds, for users who have one."""
        found = []
        mean_points = dict(zip(self.parts, self.points.mean(axis=0).tolist(), strict=True))
        for points, log_odds in zip(self.points.tolist(), self.log_odds.tolist(), strict=True):
            by_points = dict(zip(self.parts, points, strict=True))
            by_model = dict(zip(self.parts, log_odds, strict=True))
            found.append(agreement(by_points, by_model, mean_points))
        return np.array([value for value in found if value is not None], dtype=np.float64)

    def write(self, path: Path) -> None:
        """Write each part's shares and correlation as CSV, the model's largest share first."""
        by_points, by_model = self.shares()
        correlations = self.correlations()
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv_writer(file)
            writer.writerow(["part", "points_share", "shap_share", "correlation"])
            for place in np.argsort(-by_model, kind="stable"):
                found = correlations[place]
                shares = [f"{by_points[place]:.4f}", f"{by_model[place]:.4f}"]
                last = "" if found is None else f"{found:.3f}"
                writer.writerow([self.parts[place], *shares, last])


def part_attributions(spec: Spec, scorer: LearnedScorer, table: Snapshot) -> PartAttributions:
    """Return the points and log-odds of a table's users.

    Raises:
        DataError: The scorer has no contributions.
    """
    found = scorer.contributions(table)
    parts = parts_of(found.names, spec.training.groups)
    log_odds = by_part(np.asarray(found.values, dtype=np.float64), found.names, parts)
    part_of = part_by_feature(spec, parts)
    card = Scorecard(spec.scorecard).contributions(table)
    points: dict[str, Floats] = {part: np.zeros(len(table)) for part in parts}
    for column, term in enumerate(spec.scorecard.terms):  # the terms' columns come first
        part = part_of.get(term.feature, term.feature)
        before = points.get(part, np.zeros(len(table)))
        points[part] = before + card.values[:, column] / HUNDREDTHS
    beyond = np.zeros((len(table), len(points) - len(parts)))  # what the model does not read
    return PartAttributions(
        tuple(points), np.column_stack(list(points.values())), np.hstack([log_odds, beyond])
    )
