"""The backtest behind a training: its folds, and the snapshots that they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import DataError, SpecError
from ..evaluation.folds import Fold, rolling_folds
from ..models.kinds.base import FitSpec
from ..published.build import Published
from ..published.labels import check_horizon, converted_within, known_until
from ..published.snapshot import Snapshot
from ..scorer import ModelMetadata
from ..spec.durations import parse_days
from ..spec.expressions import quote_name, quote_text
from ..spec.model import Spec
from ..spec.versions import features_version, spec_version
from ..training.checks import MIN_POSITIVES, horizon_days
from ..training.datasets import Backtest
from ..types import Log
from ..warehouse.base import Warehouse
from ..warehouse.builds import is_built
from ..warehouse.dialects import translate
from ..warehouse.publish import read_published
from .build import build


def plan_backtest(
    spec: Spec,
    warehouse: Warehouse,
    *,
    as_of: date | None = None,
    horizon: str | None = None,
    folds: int | None = None,
    seed: int = 0,
    log: Log = lambda _: None,
) -> Backtest:
    """Choose folds and training snapshots, and build the snapshots that are not published yet.

    Published dates stay published. If anything was loaded since they were built, they are rebuilt.

    Args:
        spec: The spec.
        warehouse: The warehouse.
        as_of: The cutoff of the last fold; the latest date whose outcomes are known when None.
        horizon: The horizon of outcomes, such as "60d"; the spec's when None.
        folds: Backtest folds; the spec's number when None.
        seed: The random seed of fits.
        log: Called with each step.

    Raises:
        UsageError: The horizon is not valid.
        DataError: The log is too short.
        WarehouseError: Outcomes are not known yet.
    """
    published = read_published(warehouse, spec.name)
    days = horizon_days(spec, horizon)
    _refuse_undated(spec, warehouse)
    if not is_built(spec, warehouse, published):
        log("building: the published build is not of all that is loaded")
        published = build(spec, warehouse, as_of=published.as_of_dates).published
    last = as_of or known_until(spec, published) - timedelta(days=days)
    check_horizon(spec, published, last, days)
    wanted = folds or spec.training.folds
    found = rolling_folds(
        last,
        horizon_days=days,
        every_days=parse_days(spec.training.snapshot_every),
        snapshots=spec.training.snapshots,
        folds=wanted + 1,
        first_event=_first_event(published),
    )
    dates = {day for fold in found for day in (*fold.train, fold.cutoff)}
    if not dates <= set(published.as_of_dates) or published.info.spec_version != spec_version(spec):
        log(f"building {len(dates)} snapshots")
        kept = [day for day in published.as_of_dates if day not in dates]
        published = build(spec, warehouse, as_of=[*kept, *dates]).published
    found = _populated(found, published, log)
    found = _teaching(found, published, days, log)
    _check_positives(found[-1], published, days)  # before anything is fitted
    calibration_fold, backtest_folds = (
        (found[0], found[1:]) if len(found) > wanted else (None, found)
    )
    if len(backtest_folds) < wanted:
        log(f"the log reaches back far enough for {len(backtest_folds)} of {wanted} folds")
    plan = _plan(spec, last, days, backtest_folds[-1], seed)
    return Backtest(backtest_folds, calibration_fold, days, published, plan)


def _populated(folds: Sequence[Fold], published: Published, log: Log) -> tuple[Fold, ...]:
    """Leave out the training snapshots in which nobody was in the population, and log them.

    Such are those between two campaigns or imports. Earlier folds that are left without one go.

    Raises:
        DataError: The last fold has no training snapshot left.
    """
    days = sorted({day for fold in folds for day in fold.train})
    empty = {day for day in days if not len(Snapshot.read(published.snapshot(day), ()))}
    if not empty:
        return tuple(folds)
    left = [(fold, tuple(day for day in fold.train if day not in empty)) for fold in folds]
    last, taught = left[-1]
    if not taught:
        raise DataError(
            f"nobody was in the population as of {', '.join(map(str, last.train))}, the training "
            f"snapshots of the fold as of {last.cutoff}: choose a later --as-of, a shorter "
            "--horizon, or more training.snapshots"
        )
    log(
        "left out training snapshots in which nobody was in the population: "
        + ", ".join(str(day) for day in days if day in empty)
    )
    return tuple(replace(fold, train=train) for fold, train in left if train)


def _check_positives(fold: Fold, published: Published, days: int) -> None:
    """Raise DataError if a fold has too few users of a class to evaluate a ranking on."""
    reached, missed = _positives(published, [fold.cutoff], days)
    sample = published.info.sample
    if min(reached, missed) < MIN_POSITIVES:
        raise DataError(
            f"the fold as of {fold.cutoff} has {reached:,} positives among {reached + missed:,} "
            f"users: at least {MIN_POSITIVES} of each class are needed; choose a later --as-of, a "
            "longer --horizon or fewer --folds"
            + (f", or a larger ?sample= of the warehouse ({sample})" if sample else "")
        )


def _teaching(folds: Sequence[Fold], published: Published, days: int, log: Log) -> tuple[Fold, ...]:
    """Leave out early folds with too few users of a class to fit or to evaluate on, and log it.

    The last fold always stays. If it is unfit, its own error says why.
    """
    found = [folds[-1]]
    for fold in reversed(folds[:-1]):
        test = _positives(published, [fold.cutoff], days)
        train = _positives(published, fold.train, days)
        if min(*test, *train) < MIN_POSITIVES:
            log(
                f"left out the fold of {fold.cutoff} and what lies before it: {train[0]:,} of "
                f"{sum(train):,} reached the target in its training snapshots, {test[0]:,} of "
                f"{sum(test):,} after its cutoff; {MIN_POSITIVES} who did and who did not are "
                "needed"
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


def _first_event(published: Published) -> date:
    days = pq.read_table(published.table("daily_events"), columns=["day"]).column("day")
    first: date = pc.min(days).as_py()
    return first


def _plan(spec: Spec, last: date, days: int, fold: Fold, seed: int) -> FitSpec:
    training = spec.training
    read = [f for f in spec.features if f.name not in training.exclude]
    bought = training.purchases
    about = ModelMetadata(
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
    return FitSpec(
        numeric=tuple(f.name for f in read if f.type in {"number", "boolean"}),
        categorical=tuple(f.name for f in read if f.type == "text"),
        monotone_increasing=frozenset(training.monotone_increasing),
        monotone_decreasing=frozenset(training.monotone_decreasing),
        recency=training.recency,
        purchases=(bought.repeats, bought.first, bought.last) if bought else None,
        about=about,
        spec=spec,
    )


def _refuse_undated(spec: Spec, warehouse: Warehouse) -> None:
    """Refuse an attribute that is neither static nor dated: it may know the future."""
    left_out = set(spec.training.exclude)
    read = [f for f in spec.features if f.op == "attribute" and f.name not in left_out]
    dated = [f for f in read if not spec.users.attributes[f.column or ""].static]
    with warehouse.reading() as con:
        for feature in dated:
            path = quote_text(f'$."{feature.column}"')
            given = f"json_extract_string(attributes, {path})"
            sql = (
                f"select count(*) from {quote_name(spec.landing_schema)}.users "
                f"where valid_from is null and {given} is not null"
            )
            found = con.execute(translate(sql, warehouse.dialect)).fetchone()
            if found and found[0]:
                raise SpecError(
                    f"features.{feature.name}: {found[0]:,} rows of users give this attribute "
                    "without a valid_from, so nobody knows since when it was known: date them, "
                    f"declare users.attributes.{feature.column} static if it never changes, or "
                    "name the feature in training.exclude"
                )
