"""The scorecard's points and a model's contributions over many users, part by part."""

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
from .attributions import homes


@dataclass(frozen=True)
class Accounts:
    """Points and attributions of n users by part: a feature, or a group that is explained together.

    points: shape (n, k), of the terms on a part's features. moved: log-odds, shape (n, k). What
    belongs to no feature, such as a cap on a group of terms, is left out.
    """

    parts: tuple[str, ...]
    points: Floats
    moved: Floats

    def shares(self) -> tuple[Floats, Floats]:
        """Return each part's share of what moves users apart, (k,) each: by points, by the model.

        Mean distance from the average in points, mean |contribution| in log-odds: both say how far
        a part moves users from an average one.
        """
        away = np.abs(self.points - self.points.mean(axis=0)).mean(axis=0)
        size = np.abs(self.moved).mean(axis=0)
        return away / (away.sum() or 1.0), size / (size.sum() or 1.0)

    def correlations(self) -> list[float | None]:
        """Return how points and attributions rank users by part; None where one is constant.

        Near 1 a part's points grow where the model sees the probability grow; below 0 they
        contradict.
        """
        from scipy.stats import rankdata

        found: list[float | None] = []
        for points, moved in zip(self.points.T, self.moved.T, strict=True):
            if np.ptp(points) == 0 or np.ptp(moved) == 0:
                found.append(None)
            else:
                found.append(float(np.corrcoef(rankdata(points), rankdata(moved))[0, 1]))
        return found

    def agreements(self) -> Floats:
        """Return each user's rank correlation of points and attributions, where it is known."""
        found = []
        usual = dict(zip(self.parts, self.points.mean(axis=0).tolist(), strict=True))
        for points, moved in zip(self.points.tolist(), self.moved.tolist(), strict=True):
            by_points = dict(zip(self.parts, points, strict=True))
            found.append(agreement(by_points, dict(zip(self.parts, moved, strict=True)), usual))
        return np.array([value for value in found if value is not None], dtype=np.float64)

    def write(self, path: Path) -> None:
        """Write a line a part, the model's largest first: both shares and their correlation."""
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


def both_accounts(spec: Spec, scorer: LearnedScorer, table: Snapshot) -> Accounts:
    """Return the points and the contributions of the users in a table.

    Raises DataError for a scorer without contributions.
    """
    found = scorer.contributions(table)
    parts = parts_of(found.names, spec.training.groups)
    moved = by_part(np.asarray(found.values, dtype=np.float64), found.names, parts)
    home = homes(spec, parts)
    card = Scorecard(spec.scorecard).contributions(table)
    points: dict[str, Floats] = {part: np.zeros(len(table)) for part in parts}
    for column, term in enumerate(spec.scorecard.terms):  # the terms' columns come first
        part = home.get(term.feature, term.feature)
        before = points.get(part, np.zeros(len(table)))
        points[part] = before + card.values[:, column] / HUNDREDTHS
    beyond = np.zeros((len(table), len(points) - len(parts)))  # what the model does not read
    return Accounts(
        tuple(points), np.column_stack(list(points.values())), np.hstack([moved, beyond])
    )
