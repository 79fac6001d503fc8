"""evaluate: how well the ranking of a past date predicted who converted after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.comparison import Comparison, compare
from ..evaluation.differences import Estimate
from ..evaluation.fold_scores import FoldScores
from ..evaluation.ranking_metrics import metrics_at
from ..published.labels import check_horizon, converted_within
from ..published.snapshot import Snapshot
from ..ranking.active_scorer import SCORECARD
from ..reports.comparison_text import evaluation_table
from ..reports.frames import Result
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..training.checks import LEVEL, MIN_POSITIVES, N_BOOT, check_intervals, horizon_days
from ..types import Log
from ..warehouse.base import Warehouse
from ..warehouse.builds import read_built

if TYPE_CHECKING:
    import pandas as pd


KS = (0.05, 0.10, 0.20)  # shares of users at which lift and precision are told


@dataclass(frozen=True, repr=False)
class Evaluation(Result):
    """A ranking measured against what came after it: a comparison with one member.

    comparison: of the scorecard alone, on one backtest fold. sample: what is said of the users that
    it was measured on; empty where they are all users.
    """

    as_of: date
    horizon_days: int
    target: str
    population: str
    comparison: Comparison
    sample: str = ""

    @property
    def users(self) -> int:
        """How many users were ranked."""
        return self.comparison.sizes[str(self.as_of)][0]

    @property
    def positives(self) -> int:
        """How many of them converted."""
        return self.comparison.sizes[str(self.as_of)][1]

    @property
    def metrics(self) -> dict[str, Estimate]:
        """ROC AUC, average precision, and lift and precision at KS, each with its interval.

        With fewer than MIN_POSITIVES users of a class the ends of intervals are NaN: a bootstrap
        of so few says too little, and nothing at all of a share of which it drew nobody.
        """
        estimates = self.comparison.last_fold[self.comparison.reference]
        names = ("roc_auc", "average_precision", *metrics_at(KS))
        if min(self.positives, self.users - self.positives) < MIN_POSITIVES:
            return {name: Estimate(estimates[name].value, nan, nan) for name in names}
        return {name: estimates[name] for name in names}

    def report(self) -> str:
        """Return how many users there were, and a line for each metric."""
        return "\n".join(evaluation_table(self.comparison, self.metrics))

    def summary(self) -> str:
        """Return when, on how many users, and how many converted."""
        return (
            f"as of {self.as_of}, {self.horizon_days} days: {self.users:,} users, "
            f"{self.positives:,} positive"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row a metric: metric, value, low, high."""
        import pandas as pd

        rows = [[name, one.value, one.low, one.high] for name, one in self.metrics.items()]
        return pd.DataFrame(rows, columns=["metric", "value", "low", "high"])


def evaluate(
    spec: Spec,
    warehouse: Warehouse,
    *,
    as_of: date | None = None,
    horizon: str | None = None,
    n_boot: int = N_BOOT,
    level: float = LEVEL,
    seed: int = 0,
    warn: Log = lambda _: None,
) -> Evaluation:
    """Measure the scorecard's ranking as of a date on the outcomes within a horizon after it.

    as_of: a date that was built; the latest one when None. horizon: such as "60d"; the spec's
    when None. n_boot: bootstrap replicates over users. level: of intervals. seed: of the bootstrap.
    warn: called when the build does not know all that is loaded.

    Raises UsageError for what is no horizon, WarehouseError when the date is not built, when the
    spec's features changed since, or the log ends before the horizon does: then who has not
    converted yet is unknown, not negative.
    """
    days = horizon_days(spec, horizon)
    check_intervals(n_boot, level)
    published = read_built(spec, warehouse, warn=warn)
    chosen = as_of or published.as_of_dates[-1]
    path = published.snapshot(chosen)
    check_horizon(spec, published, chosen, days)
    scorecard = Scorecard(spec.scorecard)
    snapshot = Snapshot.read(path, scorecard.features)
    labels = converted_within(published, snapshot, chosen, days)
    fold = FoldScores(
        str(chosen), np.arange(len(labels)), labels, {SCORECARD: scorecard.score(snapshot)}
    )
    comparison = compare(
        [fold], reference=SCORECARD, capacity=spec.training.capacity, ks=KS,
        n_boot=n_boot, level=level, rng=np.random.default_rng(seed),
    )  # fmt: skip
    return Evaluation(
        chosen, days, spec.target.description, spec.population.in_words, comparison,
        published.info.sample,
    )  # fmt: skip
