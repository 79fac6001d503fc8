"""score and explain on Spark: executors score and rank all users.

Only listed users are collected to the driver and explained there. An uncalibrated scorecard is
computed in SQL. Trained scorers run on the executors, with the same code as on one machine.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from ..published.build import Published
from ..published.snapshot import KEYS, Snapshot
from ..scoring.ranking import LABELS, RankedUser
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..spec.scorecard import HUNDREDTHS
from ..types import Floats, Integers, Log
from ..warehouse.base import Warehouse
from ..warehouse.dialects import translate
from ..warehouse.duckdb_errors import translated
from ..warehouse.engines.spark.dialect import SPARK
from ..warehouse.engines.spark.session import in_backticks
from ..warehouse.engines.spark.warehouse import session_of
from .active_scorer import ActiveScorer
from .disagreements import HIGH, Disagreements, SideChanges, label_codes
from .distributed_rank import RANK_COLUMNS, schema_ddl, shares_below, with_ranks
from .rank import ScoredUsers, explain_users, read_snapshot, required_features, score_users
from .results import RankingResult

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

WRITTEN: Final = "written"  # the folder that holds the targets of the dates' links
_SCORED: Final = {
    "user_id": "string",
    "in_population": "boolean",
    "score": "double",
    "code": "int",
    "hundredths": "int",
    "raw_score": "double",
    "probability": "double",
    "expected_spend": "double",
    "model_code": "int",
    "card_code": "int",
}


@dataclass(frozen=True)
class ExplainedUser:
    """One user's explained rank, the number of users ranked, and all the user's features."""

    user: RankedUser
    population: int
    in_population: bool
    features: Mapping[str, object]


def rank_on_spark(
    spec: Spec,
    warehouse: Warehouse,
    published: Published,
    active: ActiveScorer,
    as_of: date | None,
    *,
    everyone: bool,
    top: int,
    stamps: Mapping[str, str],
    log: Log,
) -> RankingResult:
    """Rank all users as of a date, write their scores to the shared folder, list the top.

    Ranks, scores, ties and probabilities equal those of the same scorer on one machine.

    Args:
        spec: The spec.
        warehouse: The Spark warehouse.
        published: The build to read.
        active: The scorer that ranks.
        as_of: The date of the snapshot; the latest when None.
        everyone: Rank all users, not only the population.
        top: Users to list.
        stamps: Constant columns of every row, which say how it was made.
        log: Called when another scoring has to end first.

    Raises:
        WarehouseError: The date or a feature is not built, or Spark fails.
    """
    from pyspark.sql.functions import lit

    day = as_of or published.as_of_dates[-1]
    # From the sample: points are averaged over it. Reading it also reports what is not built.
    background = read_snapshot(spec, published, active, day, everyone=everyone)
    target = warehouse.files / spec.name / "scores" / f"{day.isoformat()}.parquet"
    # The lock comes first: a scoring that waits holds no cores.
    with _atomic_replacement(target, log) as written, session_of(warehouse) as session:
        people = _people(session, spec, published, active, day)
        if not everyone:
            people = people.where("in_population")
        ranked = _ranked(session, spec, active, people)
        for name, value in stamps.items():
            ranked = ranked.withColumn(name, lit(value))
        ranked.write.option("compression", "zstd").parquet(str(written))
        scores = session.read.parquet(str(written)).drop(*stamps)
        counts = {row["label"]: row["count"] for row in scores.groupBy("label").count().collect()}
        listed = _listed(people, scores.where(scores["rank"] <= top).orderBy("rank"))
        disagreeing = disagreements = side_changes = None
        if "disagreement" in scores.columns:
            disagreeing, disagreements = _disagreeing(spec, people, scores, top)
            side_changes = _side_changes(spec, scores)
        details = _details(session, published, spec.users.pass_through, listed, disagreeing)
    return RankingResult(
        users=tuple(_explained(spec, active, listed, background)),
        disagreeing=(
            tuple(_explained(spec, active, disagreeing, background)) if disagreeing else ()
        ),
        labels={label: int(counts.get(label, 0)) for label in LABELS},
        details=details,
        all_scores=target,
        disagreements=disagreements,
        side_changes=side_changes,
    )


def explain_on_spark(
    spec: Spec,
    warehouse: Warehouse,
    published: Published,
    active: ActiveScorer,
    as_of: date | None,
    user_id: str,
) -> ExplainedUser | None:
    """Explain one user's rank in the population as of a date; None if there is no such user."""
    from pyspark.sql.functions import col, lit

    day = as_of or published.as_of_dates[-1]
    background = read_snapshot(spec, published, active, day, everyone=True)
    with session_of(warehouse) as session:
        everyone = _everyone(session, published, day)
        features = everyone.where(col("user_id") == lit(user_id)).toArrow().to_pylist()
        if not features:
            return None
        people = _people(session, spec, published, active, day)
        scored = _scored(session, spec, active, people)
        own = scored.where(col("user_id") == lit(user_id))
        (found,) = own.collect()
        key = _key(active)
        inside = scored.where("in_population")
        better = (col(key) > lit(found[key])) | (
            (col(key) == lit(found[key])) & (col("user_id") < lit(user_id))
        )
        population, rank = inside.count(), 1 + inside.where(better).count()
        row = people.where(col("user_id") == lit(user_id)).toArrow()
    told = {name: [found[name]] for name in ("score", "hundredths", "code", "probability")}
    (user,) = _explained(spec, active, _Listed(row, pa.table({**told, "rank": [rank]})), background)
    known = {feature.name: features[0][feature.name] for feature in spec.features}
    return ExplainedUser(user, population, bool(found["in_population"]), known)


def _everyone(session: SparkSession, published: Published, day: date) -> DataFrame:
    from pyspark.sql.functions import col, lit

    snapshots = session.read.parquet(str(published.everyone("user_features")))
    return snapshots.where(col("as_of") == lit(day))


def _people(
    session: SparkSession, spec: Spec, published: Published, active: ActiveScorer, day: date
) -> DataFrame:
    """Return all users as of a date, with the features that scorers read."""
    names = dict.fromkeys((*KEYS, *required_features(spec, active)))
    return _everyone(session, published, day).select(*map(in_backticks, names))


def _scored(
    session: SparkSession, spec: Spec, active: ActiveScorer, people: DataFrame
) -> DataFrame:
    """Return every user's score, with the columns of _SCORED."""
    if active.trained:
        return people.mapInArrow(partial(_score_batches, spec, active), schema_ddl(_SCORED))
    people.createOrReplaceTempView("people")
    points = Scorecard(spec.scorecard).sql_hundredths()
    medium, high = (round(edge * HUNDREDTHS) for edge in (spec.bands.medium, spec.bands.high))
    sql = (
        "select user_id, in_population, cast(hundredths as double) / 100 as score, "
        f"case when hundredths >= {high} then 2 when hundredths >= {medium} then 1 else 0 end "
        "as code, hundredths, cast(null as double) as raw_score, "
        "cast(null as double) as probability, cast(null as double) as expected_spend, "
        "cast(null as int) as model_code, cast(null as int) as card_code from "
        f"(select user_id, in_population, cast({points} as int) as hundredths from people) as p"
    )
    return session.sql(translate(sql, SPARK))


def _score_batches(
    spec: Spec, active: ActiveScorer, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Score batches of users on an executor."""
    for batch in batches:
        if not len(batch):
            continue
        table = pa.Table.from_batches([batch])
        found = score_users(spec, Snapshot(table), active)
        model_codes, card_codes = label_codes(spec, found)
        yield pa.RecordBatch.from_pydict(
            {
                "user_id": table.column("user_id").combine_chunks(),
                "in_population": table.column("in_population").combine_chunks(),
                "score": found.score,
                "code": found.codes.astype(np.int32),
                "hundredths": found.hundredths.astype(np.int32),
                "raw_score": _or_nulls(found.model_raw_score, len(table)),
                "probability": _or_nulls(found.probability, len(table)),
                "expected_spend": _or_nulls(found.expected_spend, len(table)),
                "model_code": model_codes.astype(np.int32),
                "card_code": card_codes.astype(np.int32),
            }
        )


def _ranked(
    session: SparkSession, spec: Spec, active: ActiveScorer, people: DataFrame
) -> DataFrame:
    """Return every user's rank and score, and how far apart two scorers rank the user."""
    from pyspark.sql.functions import abs as apart_from
    from pyspark.sql.functions import col, element_at, expr, lit

    scored = _scored(session, spec, active, people)
    two = active.model is not None
    if two:
        scored = with_ranks(scored, "raw_score")
        shares = shares_below(scored)
        points = element_at(expr(_doubles(shares)), col("hundredths") + 1)
        scored = scored.withColumn("disagreement", apart_from(col("below") - points))
        scored = scored.withColumns({"model_share_below": col("below"), "card_share_below": points})
    if _key(active) == "hundredths":
        scored = with_ranks(scored.drop(*RANK_COLUMNS), "hundredths")
    label = element_at(lit(list(LABELS)), col("code") + 1)
    columns: list[Column] = [
        col("place").cast("int").alias("rank"), col("user_id"), col("score"), label.alias("label"),
    ]  # fmt: skip
    if two or active.point_calibrator is not None:
        columns += [
            col("probability"), (col("hundredths") / HUNDREDTHS).alias("scorecard_score"),
            col("expected_spend"), col("decile"),
        ]  # fmt: skip
    beyond = [
        col("disagreement"), col("model_share_below"), col("card_share_below"),
        element_at(lit(list(LABELS)), col("model_code") + 1).alias("model_label"),
        element_at(lit(list(LABELS)), col("card_code") + 1).alias("card_label"),
    ]  # fmt: skip
    return scored.select(*columns, *(beyond if two else []))


def _disagreeing(
    spec: Spec, people: DataFrame, scores: DataFrame, most: int
) -> tuple[_Listed, Disagreements]:
    """Return the users whom both scorers rank apart, in order, and where each ranks them.

    Only the first users of each kind and direction are collected to the driver, which orders them
    by `Disagreements.order`.
    """
    from pyspark.sql import Window
    from pyspark.sql.functions import col, lit, row_number

    edge, high = lit(1 - spec.training.capacity), lit(LABELS[HIGH])
    targeted = (col("model_share_below") > edge) != (col("card_share_below") > edge)
    to_high = (col("model_label") == high) != (col("card_label") == high)
    label = col("model_label") != col("card_label")
    higher = col("model_share_below") > col("card_share_below")
    alike = Window.partitionBy(targeted, to_high, label, higher)
    place = row_number().over(alike.orderBy(col("disagreement").desc(), col("user_id")))
    first = scores.where("disagreement > 0").withColumn("turn", place).where(col("turn") <= most)
    found = _listed(people, first.drop("turn").orderBy("user_id"))
    codes = {
        name: np.array([LABELS.index(each) for each in found.scores.column(name).to_pylist()], int)
        for name in ("model_label", "card_label")
    }
    by_model, by_card = (
        found.scores.column(f"{name}_share_below").to_numpy() for name in ("model", "card")
    )
    disagreements = Disagreements(
        by_model, by_card, codes["model_label"], codes["card_label"], spec.training.capacity
    )
    rows = disagreements.order(most)
    places = pa.array(rows)
    listed = _Listed(found.features.take(places), found.scores.take(places))
    return listed, disagreements.take(rows)


def _side_changes(spec: Spec, scores: DataFrame) -> SideChanges:
    """Count the users who are selected by one scorer alone."""
    from pyspark.sql.functions import col, count_if, lit

    edge, high = lit(1 - spec.training.capacity), lit(LABELS[HIGH])
    by_model, by_card = col("model_share_below") > edge, col("card_share_below") > edge
    high_by_model, high_by_card = col("model_label") == high, col("card_label") == high
    (found,) = scores.select(
        count_if(by_model & ~by_card), count_if(by_card & ~by_model),
        count_if(high_by_model & ~high_by_card), count_if(high_by_card & ~high_by_model),
    ).collect()  # fmt: skip
    one, two, three, four = (int(number) for number in found)
    return SideChanges((one, two), (three, four))


def _doubles(values: Sequence[float]) -> str:
    """Return an array in Spark SQL; ten thousand calls of `lit` would take seconds.

    >>> _doubles([0.5, 1e-05])
    'array(0.5D, 1e-05D)'
    """
    return f"array({', '.join(f'{float(value)!r}D' for value in values)})"


def _key(active: ActiveScorer) -> str:
    """Return the column that users are ordered by, highest first."""
    return "hundredths" if active.by_points else "raw_score"


@contextmanager
def _atomic_replacement(target: Path, log: Log) -> Iterator[Path]:
    """Yield a folder to write to, and replace the link `target` by one to it at the end.

    One scoring at a time may write next to `target`; another one logs that it waits. Folders that
    no link leads to were left by killed scorings, and are removed.
    """
    scores = target.parent
    with ExitStack() as held, translated(f"scores in {scores}"):
        (scores / WRITTEN).mkdir(parents=True, exist_ok=True)
        lock = os.open(scores, os.O_RDONLY)
        held.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log(f"waiting for another scoring, which writes to {scores}")
            fcntl.flock(lock, fcntl.LOCK_EX)
            log("scoring")
        _forget_unlinked(scores)
        held.callback(_forget_unlinked, scores)
        written = scores / WRITTEN / secrets.token_hex(8)
        yield written
        link = scores / WRITTEN / "link"
        link.symlink_to(written.relative_to(scores))
        link.replace(target)  # atomic: scores are there at all times


def _forget_unlinked(scores: Path) -> None:
    """Remove the written folders that no date's link leads to."""
    linked = {link.readlink().name for link in scores.glob("*.parquet") if link.is_symlink()}
    for each in (scores / WRITTEN).glob("*"):
        if each.is_symlink():
            each.unlink()
        elif each.name not in linked:
            shutil.rmtree(each, ignore_errors=True)


@dataclass(frozen=True)
class _Listed:
    """A few users' features and scores, in the same order; column names may occur in both."""

    features: pa.Table
    scores: pa.Table


def _listed(people: DataFrame, scores: DataFrame) -> _Listed:
    """Return a few users' scores and features, in the order of the scores."""
    few = scores.toArrow()
    ids = few.column("user_id").to_pylist()
    rows = people.where(people["user_id"].isin(ids)).toArrow()
    place = {user: at for at, user in enumerate(rows.column("user_id").to_pylist())}
    rows = rows.take(pa.array([place[user] for user in ids], pa.int64()))
    codes = pa.array([LABELS.index(label) for label in few.column("label").to_pylist()], pa.int64())
    by_scorecard = "scorecard_score" if "scorecard_score" in few.column_names else "score"
    hundredths = np.rint(few.column(by_scorecard).to_numpy() * HUNDREDTHS).astype(np.int64)
    few = few.append_column("code", codes).append_column("hundredths", pa.array(hundredths))
    return _Listed(rows, few)


def _explained(
    spec: Spec, active: ActiveScorer, listed: _Listed, background: Snapshot
) -> list[RankedUser]:
    """Explain the listed users; points are averaged over the background users."""
    scores = listed.scores
    if not scores.num_rows:
        return []
    hundredths = scores.column("hundredths").to_numpy().astype(np.int64)
    scored = ScoredUsers(
        active=active,
        snapshot=Snapshot(listed.features),
        raw=hundredths,  # nobody is ordered by it here
        score=scores.column("score").to_numpy(),
        codes=scores.column("code").to_numpy().astype(np.int64),
        hundredths=hundredths,
        model_raw_score=None,
        probability=_known(scores, "probability"),
    )
    ranks = [int(rank) for rank in scores.column("rank").to_pylist()]
    return explain_users(spec, scored, np.arange(scores.num_rows), ranks, background=background)


def _details(
    session: SparkSession, published: Published, names: Sequence[str], *listed: _Listed | None
) -> dict[str, dict[str, str | None]]:
    """Return the columns that are passed through for listed users, by user_id."""
    ids = [user for few in listed if few for user in few.scores.column("user_id").to_pylist()]
    if not names or not ids:
        return {}
    details = session.read.parquet(str(published.everyone("user_details")))
    few = details.where(details["user_id"].isin(ids))
    rows = few.toArrow().to_pylist()
    return {str(row["user_id"]): {name: row[name] for name in names} for row in rows}


def _known(table: pa.Table, name: str) -> Floats | None:
    if name not in table.column_names or table.column(name).null_count:
        return None
    found: Floats = table.column(name).to_numpy()
    return found


def _or_nulls(values: Floats | Integers | None, rows: int) -> Any:
    return pa.nulls(rows, pa.float64()) if values is None else values
