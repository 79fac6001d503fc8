"""Places in a ranking that is spread over the parts of a cluster: the same as in one sort."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ..spec.expressions import quote_name
from ..spec.scorecard import HUNDREDTHS
from ..warehouse.engines.spark.session import slots

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROWS_OF_A_PART: Final = 250_000  # a part is sorted in memory, by a Python of its own
PLACED: Final = {"place": "long", "below": "double", "decile": "int"}


def placed(scored: DataFrame, key: str) -> DataFrame:
    """Return users with their place by a key, ties in the order of user_id, and their decile.

    `below` is the share of users with a lower key, ties in the middle. However many users have one
    key, they are dealt to as many parts as they need.
    """
    from pyspark import StorageLevel
    from pyspark.sql.functions import col

    # Kept: where the parts are cut is found by a look at the keys, and scores are made once.
    kept = scored.persist(StorageLevel.DISK_ONLY)
    number = max(slots(scored.sparkSession), -(-kept.count() // ROWS_OF_A_PART))
    cut = kept.repartitionByRange(number, col(key).desc(), col("user_id"))
    # Kept, so that all looks at it see the same parts.
    parts = cut.persist(StorageLevel.DISK_ONLY)
    names = list(scored.columns)
    kinds = {field.name: field.dataType.simpleString() for field in scored.schema.fields}
    return parts.mapInArrow(
        partial(_place_batches, key, names, _cuts(parts, key)), columns_of({**kinds, **PLACED})
    )


@dataclass(frozen=True)
class _Cuts:
    """How a ranking is cut into parts.

    starts: users before each part. total: of all. shared: of a key that several parts share, the
    places of its first and its last user.
    """

    starts: Mapping[int, int]
    total: int
    shared: Mapping[float, tuple[int, int]]


def _cuts(parts: DataFrame, key: str) -> _Cuts:
    """Look how users, ordered by a key from the highest on, are dealt to parts."""
    from pyspark.sql.functions import col, count, lit, spark_partition_id
    from pyspark.sql.functions import max as highest
    from pyspark.sql.functions import min as lowest

    part = spark_partition_id().alias("part")
    sizes, edges = {}, set()
    for number, users, low, high in (
        parts.groupBy(part).agg(count(lit(1)), lowest(key), highest(key)).collect()
    ):
        sizes[int(number)] = int(users)
        edges |= {low, high}
    starts, total = {}, 0
    for number in sorted(sizes):
        starts[number] = total
        total += sizes[number]
    with_key: dict[float, dict[int, int]] = {}
    at_edges = parts.where(col(key).isin(list(edges))) if edges else parts
    for number, value, users in at_edges.groupBy(part, col(key)).count().collect():
        with_key.setdefault(value, {})[int(number)] = int(users)
    shared = {}
    for value, of_parts in with_key.items():
        if len(of_parts) > 1:
            first = min(of_parts)  # which it ends
            begins = starts[first] + sizes[first] - of_parts[first] + 1
            shared[value] = (begins, begins + sum(of_parts.values()) - 1)
    return _Cuts(starts, total, shared)


def _place_batches(
    key: str, names: Sequence[str], cuts: _Cuts, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Number one part's users, the parts before it being counted."""
    from pyspark import TaskContext

    found = [batch for batch in batches if len(batch)]
    if not found:
        return
    context = TaskContext.get()
    start = cuts.starts[context.partitionId() if context else 0]
    table = pa.Table.from_batches(found).sort_by([(key, "descending"), ("user_id", "ascending")])
    place = start + 1 + np.arange(len(table), dtype=np.int64)
    values = table.column(key).to_numpy()
    first = np.concatenate([[True], values[1:] != values[:-1]])
    run = np.cumsum(first) - 1
    begins = place[first]
    ends = np.concatenate([begins[1:] - 1, place[-1:]])
    for edge in (0, -1):
        shared = cuts.shared.get(values[first][edge].item())
        begins[edge], ends[edge] = shared or (begins[edge], ends[edge])
    below = (2 * cuts.total - ends[run] - begins[run] + 1) / (2 * cuts.total)
    table = table.select(list(names)).append_column("place", pa.array(place))
    table = table.append_column("below", pa.array(below))
    decile = ((place - 1) * 10 // cuts.total + 1).astype(np.int32)
    yield from table.append_column("decile", pa.array(decile)).to_batches()


def shares_below(scored: DataFrame) -> list[float]:
    """Return the share of users below each whole hundredth of a point, ties in the middle."""
    counts = np.zeros(100 * HUNDREDTHS + 1, dtype=np.int64)
    for row in scored.groupBy("hundredths").count().collect():
        counts[int(row["hundredths"])] = int(row["count"])
    through = np.cumsum(counts)
    shares: list[float] = ((2 * through - counts) / max(2 * int(through[-1]), 1)).tolist()
    return shares


def columns_of(kinds: Mapping[str, str]) -> str:
    """Return names and kinds of columns as Spark's schemas say them.

    >>> columns_of({"user_id": "string", "place": "long"})
    '"user_id" string, "place" long'
    """
    return ", ".join(f"{quote_name(name)} {kind}" for name, kind in kinds.items())
