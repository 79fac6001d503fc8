"""Results of ranking: a ranked list, and the explanation of one user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ..escapes import shown
from ..reports.frames import Result, account_frame, users_frame
from ..scoring.ranking import RankedUser
from ..warehouse.landing.links import Link
from .active_scorer import ActiveScorer
from .disagreements import Disagreements, SideChanges

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Ranking(Result):
    """What `score` returns: the exported users, and where the files are.

    Attributes:
        users: The exported users, best first.
        population: Users ranked.
        labels: Users by label.
        as_of: The date of the snapshot.
        last_event: The time of the last event in the build.
        run_id: The build.
        scorer: The scorer that ranked, with its version.
        top_users: The file of the exported users.
        all_scores: The file of every user's score.
        propensities: The file of every user's probability, if the scorer was trained.
        explainer: The learned scorer that explains users besides the scorecard; empty without one.
        attribution_files: reasons.csv and disagreements.csv, if there is a learned scorer.
        plots: How the scorer ranked on the last backtest fold, if it was trained.
        capacity: The share of users that can be targeted.
        side_changes: Users selected by one scorer alone; None without a learned scorer.
        active: The scorer that ranked.
    """

    users: tuple[RankedUser, ...]
    population: int
    labels: Mapping[str, int]
    as_of: date
    last_event: str
    run_id: str
    scorer: str
    top_users: Path
    all_scores: Path
    propensities: Path | None
    explainer: str = ""
    attribution_files: tuple[Path, Path] | None = None
    plots: Path | None = None
    capacity: float = 0.0
    side_changes: SideChanges | None = None
    active: ActiveScorer | None = None

    def summary(self) -> str:
        """Return the number of users listed and ranked, the date and the scorer."""
        return (
            f"{len(self.users):,} of {self.population:,} users as of {self.as_of}, by "
            f"{self.scorer}: {self.top_users}"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per listed user; reasons are lists of part, text, amount and unit."""
        return users_frame(self.users)


@dataclass(frozen=True, repr=False)
class Explanation(Result):
    """One user's score and rank, fully explained.

    Attributes:
        user: The user, with reasons and attributions.
        population: Users ranked.
        in_population: Whether the user is one of them.
        as_of: The date of the snapshot.
        scorer: The scorer that ranked, with its version.
        features: The user's features.
        explainer: The learned scorer that explains users besides the scorecard; empty without one.
        link: The link from the id that was asked for to this user; None if it is the user's own.
    """

    user: RankedUser
    population: int
    in_population: bool
    as_of: date
    scorer: str
    features: Mapping[str, object]
    explainer: str = ""
    link: Link | None = None

    def summary(self) -> str:
        """Return the user's score, label, probability and rank, the date and the scorer."""
        user = self.user
        probability = "" if user.probability is None else f", probability {user.probability:.2%}"
        outside = "" if self.in_population else " (not in the ranked population)"
        return (
            f"{shown(user.user_id)}: {user.score:.2f}, {user.label}{probability}, "
            f"rank {user.rank:,} of {self.population:,}{outside} as of {self.as_of}, "
            f"by {self.scorer}"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per part of the score; see `reports.frames.account_frame`."""
        return account_frame(self.user)


@dataclass(frozen=True)
class RankingResult:
    """A ranked list before its files are written: users, disagreements and counts.

    Attributes:
        users: The listed users, best first.
        disagreeing: Users whom scorecard and model rank apart, most severe first.
        labels: Users by label.
        details: Columns that are passed through, by user_id, for `users` and `disagreeing`.
        all_scores: Where every user's score is written.
        disagreements: Where both scorers rank the users of `disagreeing`, in the same order; None
            without a learned scorer.
        side_changes: Users selected by one scorer alone; None without a learned scorer.
    """

    users: tuple[RankedUser, ...]
    disagreeing: tuple[RankedUser, ...]
    labels: Mapping[str, int]
    details: Mapping[str, Mapping[str, str | None]]
    all_scores: Path
    disagreements: Disagreements | None = None
    side_changes: SideChanges | None = None
