"""Labels: who reached the target within a horizon after a snapshot, and until when it is known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import WarehouseError
from ..spec.model import Spec
from .build import Published
from .snapshot import Snapshot


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


def default_as_of(spec: Spec, last_event: datetime) -> date:
    """Return the day after the last event, or the spec's trust_until when that is earlier."""
    following = last_event.date() + timedelta(days=1)
    return min(following, spec.trust_until) if spec.trust_until else following
