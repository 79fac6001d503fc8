"""evaluate: how well the ranking of a past date foresaw who converted after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import WarehouseError
from ..evaluation.ranking import RankingReport
from ..evaluation.ranking import evaluate as evaluate_scores
from ..features.matrix import Snapshot
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..warehouse.engine import Warehouse
from ..warehouse.published import Published
from .build import Say, read_built
from .checks import LEVEL, N_BOOT, check_intervals, horizon_days
from .results import Result

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
    note: Say = lambda _: None,
) -> Evaluation:
    """Measure the scorecard's ranking as of a date on the outcomes within a horizon after it.

    as_of: a date that was built; the latest one when None. horizon: such as "60d"; the spec's
    when None. n_boot: bootstrap replicates over users. level: of intervals. seed: of the bootstrap.
    note: told when the build does not know all that is loaded.

    Raises UsageError for what is no horizon, WarehouseError when the date is not built, when the
    spec's features changed since, or the log ends before the horizon does: then who has not
    converted yet is unknown, not negative.
    """
    days = horizon_days(spec, horizon)
    check_intervals(n_boot, level)
    published = read_built(spec, warehouse, note=note)
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


def converted_within(
    published: Published, snapshot: Snapshot, as_of: date, days: int
) -> NDArray[np.bool_]:
    """Return whether each user reached the target in [as_of, as_of + days), shape (n,)."""
    outcomes = outcomes_within(published, as_of, days)
    inside = pc.is_in(snapshot.user_ids, value_set=outcomes.column("user_id").combine_chunks())
    labels: NDArray[np.bool_] = inside.to_numpy().astype(bool)
    return labels


def outcomes_within(published: Published, as_of: date, days: int) -> pa.Table:
    """Return user_id and value of the outcomes in [as_of, as_of + days)."""
    start, end = label_window(as_of, days)
    return pq.read_table(
        published.table("outcomes"),
        columns=["user_id", "value"],
        filters=[("event_time", ">=", start), ("event_time", "<", end)],
    )


def label_window(as_of: date, days: int) -> tuple[datetime, datetime]:
    """Return when outcomes that label a date begin, and when they have ended; UTC without a zone.

    >>> label_window(date(2026, 3, 1), 2)
    (datetime.datetime(2026, 3, 1, 0, 0), datetime.datetime(2026, 3, 3, 0, 0))
    """
    start = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC).replace(tzinfo=None)
    return start, start + timedelta(days=days)


def known_until(spec: Spec, published: Published) -> date:
    """Return the day before which outcomes are known: the log's end, or the spec's trust in it."""
    last = datetime.fromisoformat(published.info.last_event).date() + timedelta(days=1)
    return min(last, spec.trust_until) if spec.trust_until else last


def check_horizon(spec: Spec, published: Published, as_of: date, days: int) -> None:
    """Raise WarehouseError when the outcomes within days after as_of are not all known."""
    end = as_of + timedelta(days=days)
    known = known_until(spec, published)
    if end > known:
        raise WarehouseError(
            f"the outcomes of {as_of} + {days} days need the log until {end}, and it can be "
            f"trusted until {known}: choose --as-of {known - timedelta(days=days)} or earlier"
        )
