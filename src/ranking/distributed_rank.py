"""Ranks computed over the partitions of a Spark DataFrame, equal to those of a single sort."""

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

ROWS_PER_PARTITION: Final = 250_000  # a Python worker sorts a partition in memory
RANK_COLUMNS: Final = {"place": "long", "below": "double", "decile": "int"}


def with_ranks(scored: DataFrame, key: str) -> DataFrame:
    """Return users with their rank by a key (`place`), their percentile and their decile.

    Ties are ordered by user_id. `below`, the percentile, is the share of users with a lower key,
    ties in the middle. Users who share a key may lie in several partitions.
    """
    from pyspark import StorageLevel
    from pyspark.sql.functions import col

    # Persisted: partitioning by range samples the keys, and scores are to be computed once.
    kept = scored.persist(StorageLevel.DISK_ONLY)
    number = max(slots(scored.sparkSession), -(-kept.count() // ROWS_PER_PARTITION))
    cut = kept.repartitionByRange(number, col(key).desc(), col("user_id"))
    # Persisted, so that every pass sees the same partitions.
    parts = cut.persist(StorageLevel.DISK_ONLY)
    names = list(scored.columns)
    kinds = {field.name: field.dataType.simpleString() for field in scored.schema.fields}
    schema = schema_ddl({**kinds, **RANK_COLUMNS})
    return parts.mapInArrow(partial(_place_batches, key, names, _cuts(parts, key)), schema)


@dataclass(frozen=True)
class _Cuts:
    """How a ranking is split into partitions.

    Attributes:
        starts: Users before each partition.
        total: All users.
        shared: The ranks of the first and the last user of each key that spans partitions.
    """

    starts: Mapping[int, int]
    total: int
    shared: Mapping[float, tuple[int, int]]


def _cuts(parts: DataFrame, key: str) -> _Cuts:
    """Return how users, ordered by a key, the highest first, are split into partitions."""
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
            first = min(of_parts)  # whose last users have it
            begins = starts[first] + sizes[first] - of_parts[first] + 1
            shared[value] = (begins, begins + sum(of_parts.values()) - 1)
    return _Cuts(starts, total, shared)


def _place_batches(
    key: str, names: Sequence[str], cuts: _Cuts, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Rank the users of one partition."""
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


def schema_ddl(kinds: Mapping[str, str]) -> str:
    """Return a schema as a DDL string for Spark; kinds: column types by name.

    >>> schema_ddl({"user_id": "string", "place": "long"})
    '"user_id" string, "place" long'
    """
    return ", ".join(f"{quote_name(name)} {kind}" for name, kind in kinds.items())
