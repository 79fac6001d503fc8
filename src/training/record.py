"""From a training's results to what is logged of it: runs, metrics, tables, plots, models."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.comparison import Comparison
from ..evaluation.differences import PROFIT
from ..evaluation.leakage_checks import LeakageCheck
from ..evaluation.thresholds import AT_CAPACITY, AT_COST
from ..models.candidates import RankAverage
from ..models.catalogue import CANDIDATES, MEMBERS, RANK_AVERAGE
from ..models.learned import LearnedScorer, reference_of
from ..models.rank_average import SavedRankAverage
from ..ranking.active_scorer import MODEL_PLOTS, SCORECARD
from ..reports.comparison_text import comparison_table
from ..scorer import Scorer
from ..scoring.points_scorer import PointsScorer
from ..serving import Served
from ..spec.model import Spec
from ..tracking import RunRecord, ScorerRecord, Store, TrackingError, log_run, read_champion
from ..tracking.active_scorer import BESIDE, SPEND_FOLDER
from ..tracking.code_version import code_commit, code_version
from ..tracking.markdown import cell
from ..types import Log
from .datasets import Backtest, read_labelled
from .description import scorer_note, training_note
from .feature_profile import write_profile
from .fitting import Fits, fit_seconds
from .lineage import data_records
from .plots import draw_scorers, draw_training
from .record_shape import proposal
from .record_spend import spend_metrics, write_spend
from .record_tuning import search_records
from .settings import Settings
from .spend import SpendFits
from .tuning import TRIALS

_EXAMPLE = 5
# Short, as MLflow's table shows a dozen letters of a column's name.
_MINUS = ("vs_card/auc", "vs_card/lower", "vs_card/upper")
_DECIMALS = 5  # of what that table shows; comparison.json has them all
_STEPS = ("roc_auc", "average_precision", "lift", "brier", "log_loss", "calibration_error")


def log_training(
    store: Store,
    spec: Spec,
    backtest: Backtest,
    fits: Fits,
    comparison: Comparison,
    leakage_checks: Sequence[LeakageCheck],
    *,
    settings: Settings,
    key: str,
    folder: Path,
    spend: SpendFits | None,
    log: Log,
    warn: Log,
) -> tuple[str, Store]:
    """Log a training to the store; return the id of its parent run, and the store that took it.

    folder: holds comparison.json; what is logged is written there first. warn: called when a store
    failed and the local one took its place.
    """
    last = backtest.folds[-1].cutoff.isoformat()
    artifacts = folder / "logged"
    _write_artifacts(artifacts, folder, comparison)
    log("drawing")
    champion = _champion(store, spec)
    draw_training(spec, fits, comparison, artifacts / "plots", champion=champion)
    saved = _scorers(spec, backtest, fits)
    average = saved.get(RANK_AVERAGE)
    drawn = folder / "drawn"
    draw_scorers(spec, fits, average if isinstance(average, SavedRankAverage) else None, drawn, log)
    if spend is not None:
        write_spend(spend, artifacts)
    plots = artifacts / "plots" / MODEL_PLOTS
    place = folder / "registered"
    _save_scorers(place, saved, spend, plots, comparison.selected)
    write_profile([place / name for name in saved if (place / name).exists()], spec, backtest)
    took = {
        name: [fit_seconds(folder.parent, fold, name) for fold in backtest.folds] for name in saved
    }
    scorers = tuple(
        _scorer_record(
            name, scorer, comparison, place / name, drawn / name, took[name], proposal(spec, scorer)
        )
        for name, scorer in saved.items()
    )
    last_took = {name: found[-1] for name, found in took.items() if found[-1] is not None}
    record = RunRecord(
        spec=spec.name,
        key=key,
        title=settings.title(spec, backtest),
        params={
            "test": last,
            "tests": ", ".join(comparison.fold_names),
            "judged_on": ", ".join(comparison.evaluation_folds),
            "horizon_days": backtest.horizon_days,
            "snapshots": len(backtest.folds[-1].train),
            "features": len(backtest.plan.numeric) + len(backtest.plan.categorical),
            "seed": backtest.plan.about.seed,
            **settings.params(spec, backtest),
            **_costs(comparison),
        },
        metrics=_parent_metrics(comparison, leakage_checks),
        by_test=spend_metrics(spend),
        columns=(
            "roc_auc_all_tests",
            *_MINUS,
            _lift_name(comparison),
        ),
        tags={
            "spec_version": backtest.plan.about.spec_version,
            "build": backtest.published.info.build_id,
            "code": code_version(),
            "verdict": comparison.verdict(),
            "leakage_checks": "passed" if all(s.passed for s in leakage_checks) else "FAILED",
            "mlflow.note.content": training_note(comparison, leakage_checks, last_took, champion),
        },
        artifacts=artifacts,
        spec_json=spec.model_dump_json(),
        data=data_records(backtest, fits),
        commit=code_commit(),
        example=_example(spec, fits, saved),
        scorers=scorers,
        searches=search_records(folder.parents[1] / TRIALS, settings.searches),
    )
    return log_run(store, record, log=log, warn=warn)


def _champion(store: Store, spec: Spec) -> str | None:
    """Return the name of the champion's scorer; None without one, or where the store fails.

    It is only drawn and marked; a store that fails is told when the run is sent to it.
    """
    try:
        found = read_champion(store, spec.name) if store.exists else None
    except TrackingError:
        return None
    return None if found is None else found[0]


def _scorers(spec: Spec, backtest: Backtest, fits: Fits) -> dict[str, Scorer]:
    """Return every scorer that was compared, as it is registered, in their order."""
    found: dict[str, Scorer] = {SCORECARD: PointsScorer.of(spec, fits.calibrators[SCORECARD])}
    found |= fits.scorers
    if RANK_AVERAGE in fits.scores[-1].raw_scores:
        members = tuple(fits.scorers[name] for name in MEMBERS if name in fits.scorers)
        latest = read_labelled(spec, backtest, backtest.folds[-1].train[-1]).table
        found[RANK_AVERAGE] = SavedRankAverage(
            name=RANK_AVERAGE,
            members=members,
            reference=reference_of(RankAverage(members).raw_score(latest)),
            calibrator=fits.calibrators[RANK_AVERAGE],
            band_edges=members[0].band_edges,
        )
    return found


def _save_scorers(
    folder: Path,
    scorers: Mapping[str, Scorer],
    spend: SpendFits | None,
    plots: Path,
    chosen: str | None,
) -> None:
    """Write what is registered, a folder each, with its spend and figures.

    chosen: the learned scorer whose reasons stand beside the scorecard's, kept with it.
    """
    for name, scorer in scorers.items():
        if _unsaved(scorer):
            continue
        target = folder / name
        scorer.save(target)
        shutil.copyfile(plots, target / MODEL_PLOTS)
        if spend is not None:
            spend.selected.save(target / SPEND_FOLDER)
    if chosen is not None:
        scorers[chosen].save(folder / SCORECARD / BESIDE)


def _unsaved(scorer: Scorer) -> str:
    """Return why a scorer is not registered; empty where it is."""
    return scorer.unsaved if isinstance(scorer, LearnedScorer) else ""


def _scorer_record(
    name: str,
    scorer: Scorer,
    comparison: Comparison,
    folder: Path,
    drawn: Path,
    seconds: Sequence[float | None],
    texts: Mapping[str, str],
) -> ScorerRecord:
    tested, pooled = comparison.last_fold[name], comparison.pooled[name]
    points = comparison.fold_values[comparison.fold_names[-1]][name]
    metrics = {
        "roc_auc": tested["roc_auc"].value,
        _lift_name(comparison): tested["lift"].value,
        "average_precision": tested["average_precision"].value,
        "brier": points["brier"],
        "roc_auc_all_tests": pooled["roc_auc"].value,
        "lift_all_tests": pooled["lift"].value,
        "roc_auc_lower": tested["roc_auc"].low,
        "roc_auc_upper": tested["roc_auc"].high,
        **_minus_scorecard(name, comparison),
    }
    folds = [comparison.fold_values[fold][name] for fold in comparison.fold_names]
    by_test = {f"by_test/{metric}": [fold[metric] for fold in folds] for metric in _STEPS}
    for metric in comparison.custom:
        by_test[f"by_test/{metric}"] = [fold[metric] for fold in folds]
        metrics |= _custom_metric(name, metric, comparison)
    by_test |= _acting_steps(name, comparison)
    known = [took for took in seconds if took is not None]
    if len(known) == len(seconds):  # else an older version fitted it
        by_test["fit/seconds"] = known
    metrics = {metric: round(value, _DECIMALS) for metric, value in metrics.items()}
    params = scorer.about.params if scorer.about else {}
    what, unsaved = _what(name, params), _unsaved(scorer)
    said = scorer_note(name, comparison, what)
    return ScorerRecord(
        name, {"scorer": name, "what": what, **params}, metrics, by_test,
        None if unsaved else folder,
        artifacts=drawn,
        description=f"{said}  \nNot registered: {cell(unsaved)}." if unsaved else said,
        texts=texts,
    )  # fmt: skip


def _custom_metric(name: str, metric: str, comparison: Comparison) -> dict[str, float]:
    """Return a scorer's custom metric on the last test and over all, and against the scorecard."""
    tested = comparison.last_fold[name][metric]
    found = {
        "value": tested.value,
        "lower": tested.low,
        "upper": tested.high,
        "all_tests": comparison.pooled[name][metric].value,
    }
    if name != comparison.reference:
        change = comparison.difference("pooled", metric, name, comparison.reference)
        parts = (change.value, *change.family)
        found |= dict(zip(("vs_card", "vs_card_lower", "vs_card_upper"), parts, strict=True))
    return {f"custom/{metric}/{part}": value for part, value in found.items()}


def _acting_steps(name: str, comparison: Comparison) -> dict[str, list[float]]:
    """Return what targeting above a threshold caught on each test, with its interval.

    What has no value on some test is left out: the precision of targeting nobody.
    """
    tests = [comparison.by_fold[test][name] for test in comparison.fold_names]
    found = {}
    for metric in tests[-1]:
        if metric.startswith((AT_CAPACITY, AT_COST)) and all(metric in test for test in tests):
            found[metric] = [test[metric].value for test in tests]
            found[f"{metric}_lower"] = [test[metric].low for test in tests]
            found[f"{metric}_upper"] = [test[metric].high for test in tests]
    return found


def _costs(comparison: Comparison) -> dict[str, float]:
    """Return the costs of acting as parameters, where they are stated."""
    costs = comparison.costs
    if costs is None:
        return {}
    return {"cost_of_action": costs.action, "value_of_conversion": costs.conversion}


def _minus_scorecard(name: str, comparison: Comparison) -> dict[str, float]:
    """Return the paired difference to the scorecard over all tests, and its widened interval.

    The scorecard's own is nothing, exactly.
    """
    if name == comparison.reference:
        return dict.fromkeys(_MINUS, 0.0)
    found = comparison.difference("pooled", "roc_auc", name, comparison.reference)
    return dict(zip(_MINUS, (found.value, *found.family), strict=True))


def _lift_name(comparison: Comparison) -> str:
    """Return the lift's name; MLflow refuses a per cent sign."""
    return f"lift_at_{100 * comparison.capacity:g}pct"


def _what(name: str, params: Mapping[str, Any]) -> str:
    """Say what a scorer is, in a few words."""
    if name == RANK_AVERAGE:
        return f"mean percentile of {params['members']}"
    if name == SCORECARD:
        return "the spec's points"
    if name not in CANDIDATES:
        return f"custom candidate, {params['source']}"
    candidate = CANDIDATES[name]
    return candidate.description.replace("the same", CANDIDATES[candidate.kind].description)


def _parent_metrics(
    comparison: Comparison, leakage_checks: Sequence[LeakageCheck]
) -> dict[str, float]:
    found = {"leakage_checks_failed": float(sum(not check.passed for check in leakage_checks))}
    if comparison.selected is not None:
        told = [("roc_auc", "chosen_minus_scorecard_auc"), ("lift", "chosen_minus_scorecard_lift")]
        if comparison.costs is not None:
            told.append((PROFIT, f"{PROFIT}_chosen_minus_scorecard"))
        for metric, key in told:
            d = comparison.difference("pooled", metric, comparison.selected, comparison.reference)
            found[key] = d.value
            found[f"{key}_lower"] = d.family[0]
            found[f"{key}_upper"] = d.family[1]
    return found


def _write_artifacts(artifacts: Path, folder: Path, comparison: Comparison) -> None:
    artifacts.mkdir(exist_ok=True)
    text = (folder / "comparison.json").read_text(encoding="utf-8")
    (artifacts / "comparison.json").write_text(text, encoding="utf-8")
    table = "\n".join(comparison_table(comparison))
    (artifacts / "comparison.txt").write_text(table + "\n", encoding="utf-8")


def _example(spec: Spec, fits: Fits, scorers: Mapping[str, Scorer]) -> Any:
    """Return a few users of the test as a frame, with all that any scorer reads.

    Numbers are floats, so that nulls fit.
    """
    import pandas as pd

    table = fits.parts[-1].table.take(np.arange(min(_EXAMPLE, len(fits.parts[-1].table))))
    names = {name for scorer in scorers.values() for name in Served(spec, scorer).features}
    rows = table.rows()
    columns = {}
    for name in [feature.name for feature in spec.features if feature.name in names]:
        values = [row.get(name) for row in rows]
        if spec.feature(name).type == "text":
            columns[name] = pd.Series(values, dtype="object")
        else:
            columns[name] = pd.Series(values, dtype="float64")
    return pd.DataFrame(columns)
