"""A search for parameters as nested runs: one a kind of model, and below it one a trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .client import source_tags
from .records import SearchRecord, TrialRecord

_METRIC = "roc_auc_tuning"  # the mean over the tests before the last, which nothing is judged by


def log_searches(ml: Any, experiment: str, searches: Sequence[SearchRecord], training: str) -> None:
    """Log searches below a training."""
    client = ml.MlflowClient()
    for search in searches:
        best = next(trial for trial in search.trials if trial.number == search.best)
        parent = client.create_run(
            experiment,
            start_time=_millis(min(trial.started for trial in search.trials)),
            run_name=f"tuning {search.kind}, {len(search.trials)} trials",
            tags={"mlflow.parentRunId": training, "kind": "tuning", **source_tags(None)},
        ).info.run_id
        for trial in search.trials:
            _log_trial(client, experiment, parent, search.kind, trial)
        _fill(client, parent, best)
        client.set_terminated(parent, end_time=_millis(max(t.ended for t in search.trials)))


def _log_trial(client: Any, experiment: str, parent: str, kind: str, trial: TrialRecord) -> None:
    run = client.create_run(
        experiment,
        start_time=_millis(trial.started),
        run_name=f"{kind} trial {trial.number:03d}{', pruned' if trial.state == 'pruned' else ''}",
        tags={
            "mlflow.parentRunId": parent, "kind": "trial", "state": trial.state,
            **source_tags(None),
        },
    ).info.run_id  # fmt: skip
    _fill(client, run, trial)
    client.set_terminated(run, end_time=_millis(trial.ended))


def _fill(client: Any, run: str, trial: TrialRecord) -> None:
    from mlflow.entities import Metric, Param

    now = _millis(trial.ended)
    metrics = [Metric(f"{_METRIC}/running", mean, now, step) for step, mean in trial.steps.items()]
    if trial.value is not None:
        metrics.append(Metric(_METRIC, trial.value, now, 0))
    params = [Param(name, str(value)) for name, value in trial.params.items()]
    client.log_batch(run, metrics=metrics, params=params)


def _millis(when: Any) -> int:
    return int(when.timestamp() * 1000)
