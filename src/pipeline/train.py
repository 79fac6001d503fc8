"""train: fit every candidate on temporal folds, compare them, and log all of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..evaluation.comparison import Comparison, compare
from ..evaluation.custom_metrics import CustomMetric, custom_metrics
from ..evaluation.leakage_checks import LeakageCheck
from ..files import sole_user
from ..models.catalogue import CANDIDATES, available
from ..models.custom import Asked, custom_candidates, names_of
from ..ranking.active_scorer import SCORECARD
from ..reports.frames import Result, comparison_frame
from ..spec.model import Spec
from ..tracking import Store
from ..training.cache_key import run_key
from ..training.checks import LEVEL, N_BOOT, check_training
from ..training.datasets import Backtest
from ..training.fitting import LocalBackend, TrainingBackend, fit_folds
from ..training.leakage import run_leakage_checks
from ..training.record import log_training
from ..training.result import (
    costs_of,
    custom_metrics_key,
    matched_pairs_of,
    result_dict,
    write_result,
)
from ..training.settings import Settings
from ..training.spark import ON_CLUSTER, ON_SAMPLE, SparkBackend, check_on_cluster
from ..training.spend import fit_spend_folds
from ..training.tuning import search_names, tuned_params
from ..types import Log
from ..warehouse.base import Warehouse
from .backtest import plan_backtest
from .training_world import hinting_at_demo, make_training_world, refuse_empty

if TYPE_CHECKING:
    import pandas as pd

BASELINES = ("bg_nbd", "recency")


@dataclass(frozen=True, repr=False)
class Training(Result):
    """What a training found, and where it is kept.

    run: the id of its parent run in the tracking store. store: the one that took it, the local one
    where another failed. folder: its fits and results on disk.
    """

    run: str
    store: Store
    folder: Path
    backtest: Backtest
    comparison: Comparison
    leakage_checks: tuple[LeakageCheck, ...]

    def summary(self) -> str:
        """Return the verdict, and the leakage checks that failed."""
        failed = [check.name for check in self.leakage_checks if not check.passed]
        leaks = f"; FAILED leakage checks: {', '.join(failed)}" if failed else ""
        return f"run {self.run}: {self.comparison.verdict()}{leaks}"

    def to_frame(self) -> pd.DataFrame:
        """Return every estimate and difference; see `reports.frames.comparison_frame`."""
        return comparison_frame(self.comparison)


def train(
    spec: Spec,
    warehouse: Warehouse,
    store: Store,
    *,
    as_of: date | None = None,
    horizon: str | None = None,
    candidates: Asked | None = None,
    metrics: Sequence[CustomMetric] = (),
    tune: int = 0,
    folds: int | None = None,
    seed: int = 0,
    demo: bool = False,
    n_boot: int = N_BOOT,
    level: float = LEVEL,
    log: Log = lambda _: None,
    warn: Log = lambda _: None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Training:
    """Fit candidates on temporal folds, compare them on tests they have not seen, log everything.

    as_of: of the last test; the latest date whose outcomes are known when None. horizon: the
    spec's when None. candidates: names, and mappings of names to scikit-learn classifiers of your
    own; all that the spec can feed, the warehouse can fit and packages have installed (see
    `plugins`) when None. metrics: custom ones, beside those that packages have installed.
    tune: trials of a search for better parameters on the folds before the last test; the
    last test alone then judges.
    folds: tests; the spec's when None. seed: of all that is random. warn: called with what a person
    should know, such as a tracking server that failed, in whose stead the local store keeps the
    run.

    n_boot: bootstrap replicates over users. level: of all intervals.
    demo: first generate a dataset of 20,000 users, in place of nothing or of an earlier demo's.

    The same training twice at once is one: the second waits for the first, and finds it done.

    Raises WarehouseError when nothing is loaded, DataError when the log is too short or one class
    is missing, UsageError for a candidate that is not known, or when a demo would take the place of
    events that were not generated here, or a candidate or metric of your own cannot be used,
    SpecError for an attribute that may know the future.
    """
    check_training(
        spec,
        candidates=candidates, horizon=horizon, tune=tune, folds=folds, n_boot=n_boot, level=level,
    )  # fmt: skip
    custom = custom_candidates(candidates, warn=warn)
    own_metrics = custom_metrics(metrics, warn=warn)
    chosen = _chosen(spec, candidates, list(custom), warehouse)
    if demo:
        make_training_world(spec, warehouse, log=log)
    else:
        refuse_empty(spec, warehouse)
    with hinting_at_demo(spec, warehouse):
        backtest = plan_backtest(
            spec, warehouse, as_of=as_of, horizon=horizon, folds=folds, seed=seed, log=log
        )
    used = {name: custom[name] for name in chosen if name in custom}
    backtest = replace(backtest, plan=replace(backtest.plan, custom=used))
    home = warehouse.files / spec.name / "training"
    with _alone(home, "another search for parameters", warn) if tune else nullcontext():
        params = tuned_params(
            spec, backtest, chosen, trials=tune, folder=home, log=log, progress=progress
        )
    settings = Settings(
        chosen, candidates is not None, tune, search_names(backtest, chosen) if tune else {}
    )
    key = run_key(backtest, chosen, params)
    with _alone(home / key, "the same training", warn):
        return _train(
            spec, warehouse, store, backtest, settings, params, own_metrics,
            key=key, folder=home / key, seed=seed, n_boot=n_boot, level=level,
            log=log, warn=warn, progress=progress,
        )  # fmt: skip


def _train(
    spec: Spec,
    warehouse: Warehouse,
    store: Store,
    backtest: Backtest,
    settings: Settings,
    params: Mapping[str, Mapping[str, Any]],
    metrics: Sequence[CustomMetric],
    *,
    key: str,
    folder: Path,
    seed: int,
    n_boot: int,
    level: float,
    log: Log,
    warn: Log,
    progress: Callable[[int, int], None],
) -> Training:
    """Fit, compare and log what is planned, as the only process that does."""
    chosen = settings.candidates
    with hinting_at_demo(spec, warehouse), _backend(warehouse, backtest) as backend:
        fits = fit_folds(
            spec, backtest, chosen,
            params=params, folder=folder, log=log, backend=backend, progress=progress,
        )  # fmt: skip
    for name, scorer in fits.scorers.items():
        if scorer.unsaved:
            warn(f"candidate {name!r} is compared, and not registered: {scorer.unsaved}")
    explains = [n for n in CANDIDATES if n in fits.scorers and fits.scorers[n].explains]
    log("comparing")
    comparison = compare(
        fits.scores,
        reference=SCORECARD,
        selectable=explains,
        baselines=BASELINES,
        matched_pairs=matched_pairs_of(chosen),
        tuned_on=[str(fold.cutoff) for fold in backtest.all_folds()[:-1]] if params else (),
        capacity=spec.training.capacity,
        costs=costs_of(spec),
        n_boot=n_boot,
        level=level,
        rng=np.random.default_rng(seed),
        progress=progress,
        metrics=metrics,
    )
    spend = fit_spend_folds(spec, backtest, fits, n_boot=n_boot, level=level, log=log)
    log("watching for leaks")
    leakage_checks = run_leakage_checks(
        spec, warehouse, backtest, fits, seed=seed, progress=progress
    )
    raw = result_dict(backtest, comparison, leakage_checks) | {"explains": explains}
    if spend is not None:
        raw["spend"] = spend.to_dict()
    # Fits are kept whole or not at all; this is quickly written again after a kill.
    result = folder / "result"
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir()
    write_result(result / "comparison.json", raw)
    log("logging")
    run, kept = log_training(
        store, spec, backtest, fits, comparison, leakage_checks,
        settings=settings, folder=result,
        key=f"{key}-{n_boot}-{level:g}{custom_metrics_key(comparison)}",
        spend=spend, log=log, warn=warn,
    )  # fmt: skip
    return Training(run, kept, folder, backtest, comparison, leakage_checks)


def _alone(folder: Path, what: str, warn: Log) -> AbstractContextManager[None]:
    """Keep the folder of a training to this process; say so where it has to wait for another."""
    return sole_user(folder, lambda: warn(f"{what} is under way: waiting for it to end"))


def _chosen(
    spec: Spec, candidates: Asked | None, custom: Sequence[str], warehouse: Warehouse
) -> list[str]:
    """Return the candidates to fit: all that the spec can feed and the warehouse can fit."""
    known = [*available(spec.training), *custom]
    on_spark = warehouse.distributed
    every = [name for name in known if not on_spark or name in (*ON_SAMPLE, *ON_CLUSTER)]
    chosen = list(dict.fromkeys(names_of(candidates))) if candidates else every
    if on_spark:
        check_on_cluster(chosen)
    return chosen


def _backend(warehouse: Warehouse, backtest: Backtest) -> AbstractContextManager[TrainingBackend]:
    if warehouse.distributed:
        return SparkBackend(warehouse, backtest)
    return nullcontext(LocalBackend(backtest.plan))
