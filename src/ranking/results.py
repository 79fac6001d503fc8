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
from .disagreements import Changed, Sides

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Ranking(Result):
    """What score made: the exported users, and where everything was written.

    beside: the learned scorer whose reasons stand beside the points, empty without one. A file is
    None where the scorer has nothing for it. changed: how many users change sides between the two,
    of the capacity (a share of users) and of the label high; None without a learned scorer.
    active: what ranked.
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
    beside: str = ""
    both_accounts: tuple[Path, Path] | None = None
    plots: Path | None = None
    capacity: float = 0.0
    changed: Changed | None = None
    active: ActiveScorer | None = None

    def summary(self) -> str:
        """Return how many are listed of how many, as of when and by which scorer."""
        return (
            f"{len(self.users):,} of {self.population:,} users as of {self.as_of}, by "
            f"{self.scorer}: {self.top_users}"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each listed user; reasons are lists of part, text, amount and unit."""
        return users_frame(self.users)


@dataclass(frozen=True, repr=False)
class Explanation(Result):
    """One user's score and rank, fully explained.

    beside: the learned scorer whose log-odds stand beside the points, empty without one. link: how
    the id that was asked for became this user's; None where it is theirs.
    """

    user: RankedUser
    population: int
    in_population: bool
    as_of: date
    scorer: str
    features: Mapping[str, object]
    beside: str = ""
    link: Link | None = None

    def summary(self) -> str:
        """Return who it is about, how they stand, as of when and by which scorer."""
        user = self.user
        probability = "" if user.probability is None else f", probability {user.probability:.2%}"
        outside = "" if self.in_population else " (not in the ranked population)"
        return (
            f"{shown(user.user_id)}: {user.score:.2f}, {user.label}{probability}, "
            f"rank {user.rank:,} of {self.population:,}{outside} as of {self.as_of}, "
            f"by {self.scorer}"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return what made the score, a row each; see `reports.frames.account_frame`."""
        return account_frame(self.user)


@dataclass(frozen=True)
class RankingResult:
    """What a ranking gave: the listed users, those on whom two scorers disagree, counts.

    sides: where both scorers put those of `apart`, in their order, and changed how many users
    change sides; None without a learned scorer. labels: users by label. details: what is passed
    through, by user_id, for both. all_scores: where everybody's scores are.
    """

    users: tuple[RankedUser, ...]
    apart: tuple[RankedUser, ...]
    labels: Mapping[str, int]
    details: Mapping[str, Mapping[str, str | None]]
    all_scores: Path
    sides: Sides | None = None
    changed: Changed | None = None
