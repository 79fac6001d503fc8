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
    """The result of a training, and where it is saved.

    Attributes:
        run: The id of its parent run in the tracking store.
        store: The store that holds the run; the local one if another failed.
        folder: The folder of its fits and results.
        backtest: The folds and the data.
        comparison: The comparison of its scorers.
        leakage_checks: The results of the leakage checks.
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
    """Fit candidates on rolling-origin folds, compare them on later outcomes, and log everything.

    If the same training already runs, the second one waits for it and uses its result.

    Args:
        spec: The spec.
        warehouse: The warehouse.
        store: The tracking store.
        as_of: The cutoff of the last fold; the latest date whose outcomes are known when None.
        horizon: The horizon of outcomes; the spec's when None.
        candidates: Names, and mappings of names to your own scikit-learn classifiers. When None,
            all candidates that the spec has the features for and the warehouse can fit, and those
            that packages install (see `plugins`).
        metrics: Custom metrics, in addition to those that packages install.
        tune: Trials of a parameter search on the folds before the last one. With a search, only the
            last fold is an evaluation fold.
        folds: Backtest folds; the spec's number when None.
        seed: The random seed.
        demo: First generate a dataset of 20,000 users, if there are no events or an earlier demo's.
        n_boot: Bootstrap replicates over users.
        level: The confidence level of intervals.
        log: Called with each step.
        warn: Called with warnings, such as a tracking server that failed, so that the local store
            holds the run.
        progress: Called with the number of steps done and their total.

    Raises:
        WarehouseError: Nothing is loaded.
        DataError: The log is too short, or there is only one class.
        UsageError: A candidate is unknown, one of your own candidates or metrics cannot be used, or
            a demo would replace events that were not generated.
        SpecError: An attribute may contain information from the future.
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
        matched_pairs=matched_pairs_of([name for name in chosen if name in fits.scorers]),
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
