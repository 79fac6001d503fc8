"""evaluate: how well the ranking of a past date foresaw who converted after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.ranking_metrics import RankingReport
from ..evaluation.ranking_metrics import evaluate as evaluate_scores
from ..published.labels import check_horizon, converted_within
from ..published.snapshot import Snapshot
from ..reports.frames import Result
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..training.checks import LEVEL, N_BOOT, check_intervals, horizon_days
from ..types import Log
from ..warehouse.base import Warehouse
from ..warehouse.builds import read_built

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Evaluation(Result):
    """A ranking measured against what came after it.

    sample: what is said of the users that it was measured on; empty where they are all users.
    """

    as_of: date
    horizon_days: int
    target: str
    population: str
    report: RankingReport
    sample: str = ""

    def summary(self) -> str:
        """Return when, on how many users, and how many converted."""
        report = self.report
        return (
            f"as of {self.as_of}, {self.horizon_days} days: {report.n:,} users, "
            f"{report.positives:,} positive"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row a metric: metric, value, low, high."""
        import pandas as pd

        columns = ("name", "value", "low", "high")
        rows = [[getattr(metric, name) for name in columns] for metric in self.report.metrics]
        return pd.DataFrame(rows, columns=["metric", *columns[1:]])


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
    report = evaluate_scores(
        scorecard.score(snapshot), labels,
        n_boot=n_boot, level=level, rng=np.random.default_rng(seed),
    )  # fmt: skip
    return Evaluation(
        chosen, days, spec.target.description, spec.population.description, report,
        published.info.sample,
    )  # fmt: skip
