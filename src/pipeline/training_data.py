"""From published snapshots to what scorers learn from and are tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import DataError, SpecError
from ..evaluation.folds import Fold, rolling_folds
from ..features.matrix import Snapshot
from ..models.candidates import Plan, TrainingData
from ..models.learned import About
from ..scorer import Floats
from ..spec.durations import parse_days
from ..spec.expressions import quote_name, quote_text
from ..spec.model import Spec
from ..warehouse.dialects import translate
from ..warehouse.engine import Warehouse
from ..warehouse.project import landing_schema
from ..warehouse.published import Published, read_published
from .build import Say, build, is_built
from .checks import horizon_days
from .evaluate import check_horizon, converted_within, known_until, outcomes_within
from .specs import features_version, spec_version

MIN_POSITIVES = 10


@dataclass(frozen=True)
class Labelled:
    """One snapshot of the population with what came within the horizon after it.

    labels: who reached the target, bool (n,). spend: the value of the outcomes, summed, (n,).
    """

    as_of: date
    table: Snapshot
    labels: NDArray[np.bool_]
    spend: Floats

    def take(self, inside: NDArray[np.bool_]) -> Labelled:
        """Return the users marked, bool (n,)."""
        table = self.table.take(np.flatnonzero(inside))
        return Labelled(self.as_of, table, self.labels[inside], self.spend[inside])


@dataclass(frozen=True)
class Course:
    """A whole training: its folds (oldest first), their horizon, and the data behind them.

    warm_up: a fold before the first test, whose outcomes calibrate the first test's chances; None
    when the log does not reach back so far, or has too few of a class there.
    """

    folds: tuple[Fold, ...]
    warm_up: Fold | None
    horizon_days: int
    published: Published
    plan: Plan

    def all_folds(self) -> tuple[Fold, ...]:
        """Return the folds, the warm-up first."""
        return (*([self.warm_up] if self.warm_up else []), *self.folds)


def set_course(
    spec: Spec,
    warehouse: Warehouse,
    *,
    as_of: date | None = None,
    horizon: str | None = None,
    folds: int | None = None,
    seed: int = 0,
    say: Say = lambda _: None,
) -> Course:
    """Choose tests and training snapshots, and build those that are not published yet.

    as_of: of the last test; the latest date whose outcomes are known when None. horizon: such as
    "60d"; the spec's when None. Dates that were published stay published; when something was
    loaded since they were built, they are built again.

    Raises UsageError for what is no horizon, DataError when the log is too short, WarehouseError
    when outcomes are not known yet.
    """
    published = read_published(warehouse, spec.name)
    days = horizon_days(spec, horizon)
    _refuse_undated(spec, warehouse)
    if not is_built(spec, warehouse, published):
        say("building: the published build is not of all that is loaded")
        published = build(spec, warehouse, as_of=published.as_of_dates).published
    last = as_of or known_until(spec, published) - timedelta(days=days)
    check_horizon(spec, published, last, days)
    wanted = folds or spec.training.folds
    found = rolling_folds(
        last,
        horizon_days=days,
        every_days=parse_days(spec.training.every),
        snapshots=spec.training.snapshots,
        folds=wanted + 1,
        first_event=_first_event(published),
    )
    dates = {day for fold in found for day in (*fold.train, fold.test)}
    if not dates <= set(published.as_of_dates) or published.info.spec_version != spec_version(spec):
        say(f"building {len(dates)} snapshots")
        kept = [day for day in published.as_of_dates if day not in dates]
        published = build(spec, warehouse, as_of=[*kept, *dates]).published
    found = _teaching(found, published, days, say)
    _check_positives(found[-1], published, days)  # before anything is fitted
    warm_up, tests = (found[0], found[1:]) if len(found) > wanted else (None, found)
    if len(tests) < wanted:
        say(f"the log reaches back far enough for {len(tests)} of {wanted} tests")
    plan = _plan(spec, last, days, tests[-1], seed)
    return Course(tests, warm_up, days, published, plan)


def read_labelled(spec: Spec, course: Course, as_of: date) -> Labelled:
    """Read the population as of a date, with all that scorers read, and what came after."""
    training = spec.training
    names = (
        *course.plan.numbers,
        *course.plan.texts,
        *(term.feature for term in spec.scorecard.terms),
        *(training.purchases.names() if training.purchases else ()),
        *((training.recency,) if training.recency else ()),
    )
    table = Snapshot.read(course.published.snapshot(as_of), tuple(dict.fromkeys(names)))
    labels = converted_within(course.published, table, as_of, course.horizon_days)
    return Labelled(as_of, table, labels, _spend(course, table, as_of))


def stack(parts: Sequence[Labelled]) -> TrainingData:
    """Return snapshots one under the other, the latest last, as scorers learn from them."""
    table = Snapshot.stack([part.table for part in parts])
    latest = np.zeros(len(table), dtype=bool)
    latest[len(table) - len(parts[-1].table) :] = True
    late = np.repeat(np.arange(len(parts)) >= len(parts) / 2, [len(part.labels) for part in parts])
    users = user_codes([part.table.user_ids for part in parts])
    return TrainingData(
        table, np.concatenate([part.labels for part in parts]), np.concatenate(users), latest, late
    )


def split_users(
    parts: Sequence[Labelled], *, seed: int
) -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
    """Return the same snapshots of two halves of the users, converted ones dealt evenly.

    Raises DataError when there are not two users who reached the target, and two who did not.
    """
    codes = user_codes([part.table.user_ids for part in parts])
    users = 1 + max(int(found.max()) for found in codes if len(found))
    converted = np.zeros(users, dtype=bool)
    for found, part in zip(codes, parts, strict=True):
        converted[found[part.labels]] = True
    if min(converted.sum(), users - converted.sum()) < 2:  # noqa: PLR2004 - one for each half
        raise DataError(
            f"{int(converted.sum())} of {users:,} users reached the target in the training "
            "snapshots: two who did and two who did not are needed to calibrate chances; load more "
            "history, lengthen the horizon, or choose a later --as-of"
        )
    rng = np.random.default_rng(seed)
    second = np.zeros(users, dtype=bool)
    for kind in (converted, ~converted):
        second[rng.permutation(np.flatnonzero(kind))[::2]] = True
    first, other = (
        tuple(part.take(inside[found]) for found, part in zip(codes, parts, strict=True))
        for inside in (~second, second)
    )
    return first, other


def user_codes(columns: Sequence[pa.ChunkedArray]) -> list[NDArray[np.int64]]:
    """Return each column's user ids as integers that mean the same user in all of them."""
    together = pa.chunked_array([chunk for column in columns for chunk in column.chunks])
    codes = pc.dictionary_encode(together.combine_chunks()).indices.to_numpy().astype(np.int64)
    return np.split(codes, np.cumsum([len(column) for column in columns])[:-1])


def _check_positives(fold: Fold, published: Published, days: int) -> None:
    """Raise DataError when a test has too few of either class to measure a ranking on."""
    reached, missed = _positives(published, [fold.test], days)
    sample = published.info.sample
    if min(reached, missed) < MIN_POSITIVES:
        raise DataError(
            f"the test as of {fold.test} has {reached:,} positives among {reached + missed:,} "
            f"users: at least {MIN_POSITIVES} of each class are needed; choose a later --as-of, a "
            "longer --horizon or fewer --folds"
            + (f", or a larger ?sample= of the warehouse ({sample})" if sample else "")
        )


def _teaching(folds: Sequence[Fold], published: Published, days: int, say: Say) -> tuple[Fold, ...]:
    """Leave out early folds with too few of a class to learn from or to measure on, and say so.

    The last fold stays in any case: without it there is nothing to do, and its own errors say why.
    """
    found = [folds[-1]]
    for fold in reversed(folds[:-1]):
        test = _positives(published, [fold.test], days)
        train = _positives(published, fold.train, days)
        if min(*test, *train) < MIN_POSITIVES:
            say(
                f"left out the fold of {fold.test} and what lies before it: {train[0]:,} of "
                f"{sum(train):,} reached the target in its training snapshots, {test[0]:,} of "
                f"{sum(test):,} in its test; {MIN_POSITIVES} who did and who did not are needed"
            )
            break
        found.insert(0, fold)
    return tuple(found)


def _positives(published: Published, dates: Sequence[date], days: int) -> tuple[int, int]:
    """Return how many rows of the population reached the target after these dates, and not."""
    reached, rows = 0, 0
    for day in dates:
        labels = converted_within(published, Snapshot.read(published.snapshot(day), ()), day, days)
        reached, rows = reached + int(labels.sum()), rows + len(labels)
    return reached, rows - reached


def _spend(course: Course, table: Snapshot, as_of: date) -> Floats:
    outcomes = outcomes_within(course.published, as_of, course.horizon_days)
    summed = outcomes.group_by("user_id").aggregate([("value", "sum")])
    place = pc.index_in(table.user_ids, value_set=summed.column("user_id").combine_chunks())
    values = summed.column("value_sum").take(place)
    found: Floats = pc.fill_null(values, 0.0).to_numpy().astype(np.float64)
    return found


def _first_event(published: Published) -> date:
    days = pq.read_table(published.table("daily_events"), columns=["day"]).column("day")
    first: date = pc.min(days).as_py()
    return first


def _plan(spec: Spec, last: date, days: int, fold: Fold, seed: int) -> Plan:
    training = spec.training
    read = [f for f in spec.features if f.name not in training.leave_out]
    bought = training.purchases
    about = About(
        candidate="",
        spec=spec.name,
        spec_version=spec_version(spec),
        features_version=features_version(spec),
        known_until=last.isoformat(),
        snapshots=tuple(day.isoformat() for day in fold.train),
        horizon_days=days,
        users=0,
        positives=0,
        seed=seed,
        params={},
    )
    return Plan(
        numbers=tuple(f.name for f in read if f.type in {"number", "boolean"}),
        texts=tuple(f.name for f in read if f.type == "text"),
        rising=frozenset(training.rising),
        falling=frozenset(training.falling),
        recency=training.recency,
        purchases=(bought.repeats, bought.first, bought.last) if bought else None,
        about=about,
        spec=spec,
    )


def _refuse_undated(spec: Spec, warehouse: Warehouse) -> None:
    """Refuse an attribute that is neither static nor dated: it may know the future."""
    left_out = set(spec.training.leave_out)
    read = [f for f in spec.features if f.op == "attribute" and f.name not in left_out]
    dated = [f for f in read if not spec.users.attributes[f.column or ""].static]
    with warehouse.reading() as con:
        for feature in dated:
            path = quote_text(f'$."{feature.column}"')
            given = f"json_extract_string(attributes, {path})"
            sql = (
                f"select count(*) from {quote_name(landing_schema(spec))}.users "
                f"where valid_from is null and {given} is not null"
            )
            found = con.execute(translate(sql, warehouse.dialect)).fetchone()
            if found and found[0]:
                raise SpecError(
                    f"features.{feature.name}: {found[0]:,} rows of users give this attribute "
                    "without a valid_from, so nobody knows since when it was known: date them, "
                    f"declare users.attributes.{feature.column} static if it never changes, or "
                    "name the feature in training.leave_out"
                )
