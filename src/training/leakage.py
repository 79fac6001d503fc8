"""Run the leakage checks on a training: on its last fold, and on the log behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import count
from typing import ParamSpec, TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from ..database import connect_duckdb, quote_path
from ..evaluation.folds import Fold
from ..evaluation.leakage_checks import (
    SHUFFLES,
    LeakageCheck,
    RefitResult,
    SingleFeatureScores,
    future_events,
    overlapping_outcomes,
    pure_noise,
    shuffled_labels,
    steady_attributes,
    suspicious_performance,
)
from ..features.compiler import compile_features
from ..files import temporary_folder
from ..models.candidates import Trainer
from ..models.kinds.base import FitSpec, TrainingData
from ..published.labels import outcomes_within
from ..published.sample import in_sample
from ..published.snapshot import Snapshot
from ..spec.expressions import quote_name, quote_text
from ..spec.model import Spec
from ..types import Bools, Floats, Integers
from ..warehouse.base import Warehouse
from ..warehouse.dbt_project.in_memory import run_models
from ..warehouse.dbt_project.render import render_project
from ..warehouse.landing.load import create_landing
from ..warehouse.landing.static_attributes import changing_attributes
from .datasets import Backtest, Labelled, read_labelled, stack, user_codes
from .fitting import Fits

P = ParamSpec("P")
T = TypeVar("T")
_CANDIDATE = "xgboost"
_NEAR = 1e-9  # relative
_QUICK = {"n_estimators": 60, "learning_rate": 0.1}
_MEMORISING = {
    "n_estimators": 60,
    "max_depth": 8,
    "learning_rate": 0.3,
    "subsample": 1.0,
    "colsample_bytree": 1.0,
    "min_child_weight": 0.01,
    "reg_lambda": 0.1,
}


def run_leakage_checks(
    spec: Spec,
    warehouse: Warehouse,
    backtest: Backtest,
    fits: Fits,
    *,
    seed: int,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[LeakageCheck, ...]:
    """Run every leakage check.

    Checks that fit something do it as candidates do: a Trainer fits on training data, and the
    scorer reads the test's table.

    Args:
        spec: The spec.
        warehouse: The warehouse, whose log is read again.
        backtest: The folds and the data.
        fits: The fitted candidates.
        seed: The random seed.
        progress: Called with the number of steps done and their total.
    """
    fold = backtest.folds[-1]
    test = fits.parts[-1]
    parts = [read_labelled(spec, backtest, day) for day in fold.train]
    train, table = stack(parts), Snapshot.stack([part.table for part in parts])
    rng = np.random.default_rng([seed, 1])
    day = np.repeat(np.arange(len(parts)), [len(part.labels) for part in parts])
    rows, tested = _row_codes(parts, test)
    done = count()

    def counted(work: Callable[P, T]) -> Callable[P, T]:
        def run(*given: P.args, **named: P.kwargs) -> T:
            progress(next(done), SHUFFLES + 2)
            return work(*given, **named)

        return run

    return (
        shuffled_labels(
            counted(partial(_refit, backtest, train, table, test)),
            train.labels,
            day,
            test.labels,
            rng=rng,
        ),
        pure_noise(
            counted(partial(_refit_noise, backtest)),
            (train.labels, rows),
            (test.labels, tested),
            rng=rng,
        ),
        overlapping_outcomes(
            _shared_outcomes(backtest, fold),
            str(fold.cutoff),
            backtest.horizon_days,
            [str(day) for day in fold.train],
        ),
        suspicious_performance(
            _alone(backtest, fits),
            capacity=spec.training.capacity,
            suspect_auc=spec.training.suspect_auc,
            suspect_lift=spec.training.suspect_lift,
        ),
        counted(future_invariance)(spec, warehouse, backtest, fold.cutoff),
        steady_attributes(changing_attributes(spec, warehouse), _static_features(spec)),
    )


def _static_features(spec: Spec) -> dict[str, str]:
    """Return the features of static attributes that scorers or points read, by name."""
    left_out = set(spec.training.exclude) - {term.feature for term in spec.scorecard.terms}
    return {
        feature.name: feature.column or ""
        for feature in spec.features
        if feature.op == "attribute"
        and feature.name not in left_out
        and spec.users.attributes[feature.column or ""].static
    }


def future_invariance(
    spec: Spec, warehouse: Warehouse, backtest: Backtest, as_of: date
) -> LeakageCheck:
    """Rebuild the test snapshot from a log that ends before it, and compare the features with the
    snapshot that was built from the whole log.
    """
    marts, bound = spec.marts_schema, backtest.published.info.sampled_below
    files = render_project(spec, compile_features(spec), [as_of])
    with connect_duckdb(config=warehouse.settings_beside()) as con:
        con.execute("set timezone = 'UTC'")
        create_landing(con, spec)
        _copy_landing(con, spec, warehouse, as_of, bound)
        run_models(con, files, schema=marts, landing=spec.landing_schema)
        source = f"read_parquet({quote_path(backtest.published.snapshot(as_of))})"
        # Features of all users' events cannot be rebuilt from a sample's events.
        left_out = of_entities(spec) if bound else frozenset()
        names = [feature.name for feature in spec.features if feature.name not in left_out]
        kinds = dict(
            con.execute(
                "select column_name, data_type from information_schema.columns "
                "where table_schema = ? and table_name = 'user_features'",
                [marts],
            ).fetchall()
        )
        # The rebuild is DuckDB's; another engine's sums of doubles may end in other digits.
        near = {n for n in names if kinds[n] == "DOUBLE" and not warehouse.model_dialect.exact_sums}
        differ = ", ".join(f"count(*) filter (where {_unlike(n, near=n in near)})" for n in names)
        found = con.execute(
            f"select count(*), {differ} from {source} as a "
            f"full join (select * from {quote_name(marts)}.user_features "
            f"where {in_sample('user_id', bound)}) as b using (user_id)"
        ).fetchone()
    counts = found or (0,)
    changed = dict(zip(names, (int(count) for count in counts[1:]), strict=False))
    return future_events(changed, int(counts[0]), as_of.isoformat())


def of_entities(spec: Spec) -> frozenset[str]:
    """Return the features made of all users' events, and the expressions that read one.

    >>> from whyrank.spec.load import load_spec
    >>> "city_orders" in of_entities(load_spec("olist"))
    True
    """
    found: set[str] = set()
    more = {f.name for f in spec.features if f.op.startswith("entity_")}
    while more:
        found |= more
        words = {f.name: set(re.findall(r"\w+", f.sql or "")) for f in spec.features}
        more = {name for name, read in words.items() if read & found} - found
    return frozenset(found)


def _unlike(name: str, *, near: bool) -> str:
    """Return the condition that a feature of a and of b differ; `near`: by more than 1e-9."""
    a, b = (f"{table}.{quote_name(name)}" for table in "ab")
    apart = f"abs({a} - {b})"
    close = f"isfinite({apart}) and {apart} <= {_NEAR} * greatest(abs({a}), abs({b}))"
    return f"{a} is distinct from {b}" + (f" and ({close}) is not true" if near else "")


def _copy_landing(
    con: duckdb.DuckDBPyConnection, spec: Spec, warehouse: Warehouse, as_of: date, bound: str
) -> None:
    """Copy the loaded rows up to a date from the warehouse: all of them, or the sample's."""
    landing = quote_name(spec.landing_schema)
    tables = (("events", "event_time"), ("users", None), ("aliases", "linked_at"))
    with temporary_folder("rebuild") as folder:
        paths = {table: folder / f"{table}.parquet" for table, _ in tables}
        # Closed before anything is read here: each side may take its share of memory.
        with (
            warehouse.reading() as there,
            warehouse.extract(there, spec.landing_schema) as extract,
        ):
            for table, until in tables:
                extract.write(
                    table, paths[table], where=_part_of(table, until, as_of, bound, landing)
                )
        for table, path in paths.items():
            source = f"read_parquet({quote_path(path)})"
            con.execute(f"insert into {landing}.{table} by name select * from {source}")


def _part_of(table: str, until: str | None, as_of: date, bound: str, landing: str) -> str:
    """Return the condition that rows were known before a date, and are of the sample's users."""
    inside = in_sample("user_id", bound)
    linked = f"user_id in (select anonymous_id from {landing}.aliases where {inside})"
    where = f"({inside} or {linked})" if bound else ""
    if bound and table == "aliases":  # a link of a user in the sample, on either side
        where = f"({inside} or {in_sample('anonymous_id', bound)})"
    if until:
        before = f"{until} < timestamp {quote_text(str(as_of))}"
        where = f"{before} and {where}" if where else before
    return where


def _refit(
    backtest: Backtest,
    train: TrainingData,
    table: Snapshot,
    test: Labelled,
    rows: Integers,
    labels: Bools,
) -> RefitResult:
    """Fit a candidate on some rows with other labels, and rank the test by it.

    There are no monotone constraints, which would rank by themselves, without labels.
    """
    latest = train.latest[rows]
    data = TrainingData(
        table.take(rows),
        labels,
        train.users[rows],
        latest if latest.any() else np.ones_like(latest),
    )
    plan = replace(backtest.plan, monotone_increasing=frozenset(), monotone_decreasing=frozenset())
    trainer = Trainer(plan, data)
    raw_scores = trainer.fit(_CANDIDATE, _QUICK).raw_score(test.table)
    encoding, matrix = trainer.matrix()
    places = {name: encoding.names.index(name) for name in plan.categorical}
    return RefitResult(
        raw_scores, {name: matrix[:, place].astype(np.float64) for name, place in places.items()}
    )


def _refit_noise(backtest: Backtest, noise: Floats, labels: Bools, tested: Floats) -> Floats:
    """Fit on noise, with as many negatives as positives, until memorised; rank other noise."""
    positive, negative = np.flatnonzero(labels), np.flatnonzero(~labels)
    rows = np.concatenate([positive, negative[:: max(1, len(negative) // len(positive))]])
    names = tuple(f"noise_{place}" for place in range(noise.shape[1]))
    plan = FitSpec(names, (), frozenset(), frozenset(), None, None, backtest.plan.about)
    every = np.ones(len(rows), dtype=bool)
    data = TrainingData(_numbers(names, noise[rows]), labels[rows], np.arange(len(rows)), every)
    return Trainer(plan, data).fit(_CANDIDATE, _MEMORISING).raw_score(_numbers(names, tested))


def _numbers(names: Sequence[str], matrix: Floats) -> Snapshot:
    return Snapshot(pa.table(dict(zip(names, matrix.T, strict=True))))


def _alone(backtest: Backtest, fits: Fits) -> list[SingleFeatureScores]:
    """Return each fold's scores by single features; categories by their target encoding."""
    found = []
    tested = fits.by_fold[-len(fits.parts) :]
    for part, scores, scorers in zip(fits.parts, fits.scores, tested, strict=True):
        features = {name: part.table.numeric(name) for name in backtest.plan.numeric}
        texts = {text.name: text for s in scorers.values() for text in s.encoding.target_encoded}
        features |= {n: text.column(part.table).astype(np.float64) for n, text in texts.items()}
        found.append(SingleFeatureScores(scores.name, part.labels, features, scores.raw_scores))
    return found


def _row_codes(parts: Sequence[Labelled], test: Labelled) -> tuple[Integers, Integers]:
    """Return codes of the rows in train and test, one for each user and day."""
    every = [*parts, test]
    days = sorted({part.as_of for part in every})
    users = user_codes([part.table.user_ids for part in every])
    codes = [
        len(days) * who + days.index(part.as_of) for who, part in zip(users, every, strict=True)
    ]
    return np.concatenate(codes[:-1]), codes[-1]


def _shared_outcomes(backtest: Backtest, fold: Fold) -> dict[str, int]:
    """Return the training snapshots whose outcomes overlap the test's, and how many do."""
    found = {}
    for day in fold.train:
        apart = (fold.cutoff - day).days
        if abs(apart) < backtest.horizon_days:
            both = backtest.horizon_days - abs(apart)
            outcomes = outcomes_within(backtest.published, max(day, fold.cutoff), both)
            found[str(day)] = outcomes.num_rows
    return found
