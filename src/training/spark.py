"""Fit candidates on a Spark cluster, on all users, without collecting them to the driver.

The driver reads the sample that a build published (`published.sample`). It compares and calibrates
scorers on the sample, runs leakage checks on it and takes percentiles from it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import DataError, UsageError
from ..evaluation.folds import Fold
from ..models.candidates import Trainer
from ..models.catalogue import CANDIDATES
from ..models.encoding import PARTS, SMOOTHING, Encoding, Matrix, TargetEncoding
from ..models.kinds.base import HUGE
from ..models.kinds.xgboost import Xgboost, XgboostModel
from ..models.learned import LearnedScorer, reference_of
from ..published.labels import label_window
from ..published.snapshot import Snapshot
from ..spec.expressions import quote_text
from ..warehouse.base import Warehouse
from ..warehouse.engines.spark.session import in_backticks, slots
from ..warehouse.engines.spark.warehouse import session_of
from .datasets import Backtest, Labelled, stack
from .fitting import Fitter

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ON_CLUSTER: Final = ("xgboost", "xgboost_weights")
MOST_TEXTS: Final = 10_000  # categories of a feature that are encoded one by one
# The half of the users that a user belongs to, in Spark SQL; `half_of` is the same in Python.
HALF: Final = "cast(substr(md5(concat('half:', user_id)), 1, 1) >= '8' as int)"
ON_SAMPLE: Final = ("recency",)  # a baseline that learns nothing


@dataclass
class SparkBackend:
    """Fits candidates on a Spark cluster, in one session for all of them.

    The session is opened by the first fit. If all fits are saved already, none is opened.
    """

    warehouse: Warehouse
    backtest: Backtest
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self._open.close()

    def trainer(
        self, fold: Fold, half: int | None, read: Callable[[], Sequence[Labelled]]
    ) -> Fitter:
        """Return a fitter for a fold's training snapshots, of all users or of one half."""
        return _ClusterTrainer(self._session, self.backtest, fold, half, read)

    def halves(
        self, parts: Sequence[Labelled]
    ) -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
        """Split the sample into halves; a user is in the same half as on the cluster."""
        first, other = (
            tuple(part.take(half_of(part.table.user_ids) == half) for part in parts)
            for half in (0, 1)
        )
        return first, other

    @cached_property
    def _session(self) -> SparkSession:
        return self._open.enter_context(session_of(self.warehouse))


def half_of(user_ids: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return the half that each user belongs to, 0 or 1, by the id alone, shape (n,).

    >>> half_of(pa.chunked_array([["ana", "bo", "cem"]])).tolist()
    [0, 1, 1]
    """
    firsts = [hashlib.md5(f"half:{u}".encode(), usedforsecurity=False).hexdigest()[0]
              for u in user_ids.to_pylist()]  # fmt: skip
    return np.array([int(first >= "8") for first in firsts], dtype=np.int64)


def check_on_cluster(names: Sequence[str]) -> None:
    """Raise UsageError for a candidate that is fitted on one machine only."""
    for name in names:
        if name not in (*ON_CLUSTER, *ON_SAMPLE):
            raise UsageError(
                f"candidate {name!r} is fitted on one machine: on Spark choose of "
                f"{', '.join((*ON_SAMPLE, *ON_CLUSTER))}, or train on another warehouse"
            )


@dataclass
class _ClusterTrainer:
    """Fits candidates on one set of training snapshots on the cluster."""

    session: SparkSession
    backtest: Backtest
    fold: Fold
    half: int | None
    read: Callable[[], Sequence[Labelled]]

    def fit(self, name: str, params: Mapping[str, Any] | None = None) -> LearnedScorer:
        """Fit a candidate. Its calibrator is the identity until it is calibrated.

        Raises:
            DataError: There is only one class.
        """
        sample = self.read()
        if name in ON_SAMPLE:
            return Trainer(self.backtest.plan, stack(sample)).fit(name, params)
        rows, encoding, by_part, counts = self._prepared
        given = Xgboost().effective_params(params, rows=counts[0], positives=counts[1])
        weighted = CANDIDATES[name].imbalance == "weights"
        matrix = _matrix(rows, encoding, by_part, counts if weighted else None)
        model = XgboostModel(self._fit(matrix, given))
        raw_score = model.raw_score(encoding.matrix(sample[-1].table))
        about = self.backtest.plan.about
        told = {"candidate": name, "params": given, "users": counts[0], "positives": counts[1]}
        return LearnedScorer(
            encoding=encoding,
            model=model,
            reference=reference_of(raw_score),
            about=type(about)(**{**about.__dict__, **told}),
        )

    @cached_property
    def _prepared(self) -> tuple[DataFrame, Encoding, list[list[TargetEncoding]], tuple[int, int]]:
        """Return the training rows, the encoding, its cross-fitted parts, and counts.

        The cross-fitted encodings are by categorical feature and part, each from the users outside
        of the part. The counts are of rows and of positives.
        """
        plan = self.backtest.plan
        rows = self._rows()
        counts, tallies = _tallies(rows, plan.categorical)
        if counts[1] in {0, counts[0]}:
            raise DataError(
                f"{counts[1]:,} of {counts[0]:,} rows of the training snapshots reached the "
                "target: a scorer learns from both classes; load more history, lengthen the "
                "horizon, or choose a later --as-of"
            )
        texts = tuple(_target_encoding(name, tallies[name]) for name in plan.categorical)
        by_part = [
            [_target_encoding_without(name, tallies[name], part) for part in range(PARTS)]
            for name in plan.categorical
        ]
        return rows, Encoding(plan.numeric, texts), by_part, counts

    def _rows(self) -> DataFrame:
        """Return a row for each user of the population and training date: features and label.

        Columns whose names begin with an underscore are not features.
        """
        from pyspark.sql.functions import coalesce, col, expr, lit, pmod, xxhash64

        plan, published = self.backtest.plan, self.backtest.published
        snapshots = self.session.read.parquet(str(published.everyone("user_features")))
        outcomes = self.session.read.parquet(str(published.everyone("outcomes")))
        names = [in_backticks(name) for name in (*plan.numeric, *plan.categorical)]
        parts = []
        for day in self.fold.train:
            people = snapshots.where((col("as_of") == lit(day)) & col("in_population"))
            start, end = label_window(day, self.backtest.horizon_days)
            within = expr(
                f"event_time >= timestamp_ntz {quote_text(str(start))} "
                f"and event_time < timestamp_ntz {quote_text(str(end))}"
            )
            reached = outcomes.where(within).select("user_id").distinct()
            labelled = people.select("user_id", *names).join(
                reached.withColumn("_reached", lit(1)), "user_id", "left"
            )
            parts.append(labelled)
        rows = parts[0]
        for other in parts[1:]:
            rows = rows.unionByName(other)
        if self.half is not None:
            rows = rows.where(expr(HALF) == lit(self.half))
        return rows.select(
            *names,
            coalesce(col("_reached"), lit(0)).alias("label"),
            pmod(xxhash64("user_id"), lit(PARTS)).cast("int").alias("_part"),
        )

    def _fit(self, matrix: DataFrame, params: Mapping[str, Any]) -> Any:
        from xgboost.spark import SparkXGBClassifier

        logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)  # it is verbose by default
        plan = self.backtest.plan
        signs = f"({', '.join(map(str, plan.monotone()))})"
        more = {"weight_col": "weight"} if "weight" in matrix.columns else {}
        estimator = SparkXGBClassifier(
            features_col="features", label_col="label", num_workers=slots(self.session),
            random_state=plan.about.seed, tree_method="hist", missing=float("nan"),
            verbose=False, monotone_constraints=signs, **dict[str, Any]({**params, **more}),
        )  # fmt: skip
        return estimator.fit(matrix).get_booster()


def _tallies(rows: DataFrame, names: Sequence[str]) -> tuple[tuple[int, int], dict[str, Tally]]:
    """Count rows and positives in total, and by category and part for each categorical feature.

    A feature's most frequent categories are counted one by one, nulls as "". All others are counted
    as None, since the encoding of a category with few rows is nearly the mean. The rows are read
    once for all features.
    """
    from pyspark.sql import Window
    from pyspark.sql.functions import array, coalesce, col, count, explode, lit, row_number, struct
    from pyspark.sql.functions import sum as total

    # Place -1 is that of no feature: the rows themselves.
    said = [struct(lit(-1).alias("place"), lit("").alias("text"))]
    for place, name in enumerate(names):
        text = coalesce(rows[in_backticks(name)], lit(""))
        said.append(struct(lit(place).alias("place"), text.alias("text")))
    each = rows.select("_part", "label", explode(array(*said)).alias("said"))
    counts = each.groupBy("said.place", "said.text", "_part").agg(
        count(lit(1)).alias("rows"), total("label").alias("positives")
    )
    sizes = counts.groupBy("place", "text").agg(total("rows").alias("size"))
    by_size = Window.partitionBy("place").orderBy(col("size").desc(), "text")
    kept = sizes.withColumn("nth", row_number().over(by_size)).where(col("nth") <= MOST_TEXTS)
    known = kept.select("place", "text", col("text").alias("known"))
    found = (
        counts.join(known, ["place", "text"], "left")
        .groupBy("place", "known", "_part")
        .agg(total("rows").alias("rows"), total("positives").alias("positives"))
    ).collect()
    whole = [row for row in found if row["place"] < 0]
    tallies: dict[str, Tally] = {
        name: [
            (row["known"], int(row["_part"]), int(row["rows"]), int(row["positives"]))
            for row in found
            if row["place"] == place
        ]
        for place, name in enumerate(names)
    }
    return (sum(int(r["rows"]) for r in whole), sum(int(r["positives"]) for r in whole)), tallies


def _matrix(
    rows: DataFrame,
    encoding: Encoding,
    by_part: Sequence[Sequence[TargetEncoding]],
    weigh: tuple[int, int] | None,
) -> DataFrame:
    """Return the features as one array, the label and, with class weights, the weight."""
    schema = "features array<float>, label double" + (", weight double" if weigh else "")
    return rows.mapInArrow(partial(_encode_batches, encoding, by_part, weigh), schema)


def _encode_batches(
    encoding: Encoding,
    by_part: Sequence[Sequence[TargetEncoding]],
    weigh: tuple[int, int] | None,
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """Encode batches of training rows on an executor, cross-fitted: without a row's own label."""
    for batch in batches:
        if not len(batch):
            continue
        table = pa.Table.from_batches([batch])
        matrix = training_matrix(encoding, by_part, Snapshot(table), table.column("_part"))
        offsets = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
        labels = table.column("label").to_numpy().astype(np.float64)
        columns = {
            "features": pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.ravel())),
            "label": pa.array(labels),
        }
        if weigh:
            rows, positives = weigh
            worth = rows / (2.0 * np.array([rows - positives, positives]))
            columns["weight"] = pa.array(worth[labels.astype(np.int64)])
        yield pa.RecordBatch.from_pydict(columns)


def training_matrix(
    encoding: Encoding,
    by_part: Sequence[Sequence[TargetEncoding]],
    snapshot: Snapshot,
    parts: pa.ChunkedArray,
) -> Matrix:
    """Return the matrix to train on: `Encoding.matrix` with cross-fitted target encodings."""
    matrix = np.clip(encoding.matrix(snapshot), -HUGE, HUGE)
    where = parts.to_numpy()
    for place, codes in enumerate(by_part, start=len(encoding.numeric)):
        for part, others in enumerate(codes):
            inside = where == part
            if inside.any():
                matrix[inside, place] = others.column(snapshot)[inside]
    return matrix


Tally = Sequence[tuple[str | None, int, int, int]]  # text, part, rows, positives


def _target_encoding(name: str, tally: Tally) -> TargetEncoding:
    """Return the target encoding (s · mean + positives) / (s + rows), like TargetEncoder."""
    rows: dict[str | None, int] = {}
    positives: dict[str | None, int] = {}
    for text, _, n, k in tally:
        rows[text] = rows.get(text, 0) + n
        positives[text] = positives.get(text, 0) + k
    mean = sum(positives.values()) / sum(rows.values())
    known = sorted(text for text in rows if text is not None)
    worth = {t: (SMOOTHING * mean + positives[t]) / (SMOOTHING + rows[t]) for t in known}
    return TargetEncoding(name, worth, mean)


def _target_encoding_without(name: str, tally: Tally, part: int) -> TargetEncoding:
    """Return the target encoding from the rows outside of a part.

    If these rows have only one class, every category is encoded as the mean of all rows.
    """
    others = [line for line in tally if line[1] != part]
    rows, positives = sum(line[2] for line in others), sum(line[3] for line in others)
    if positives in {0, rows}:
        mean = sum(line[3] for line in tally) / sum(line[2] for line in tally)
        return TargetEncoding(name, {}, mean)
    return _target_encoding(name, others)
