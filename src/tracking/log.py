"""Writing to MLflow: runs, their data, metrics and files, and versions of models."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from importlib import metadata
from io import StringIO
from pathlib import Path
from typing import Any

from ..files import temporary_folder
from ..serving import MODEL_CODE, Served
from .client import VIEW, experiment_of, find_all, source_tags, using
from .killed_runs import logging_process
from .promotion import describe_model
from .records import DataRecord, RunRecord, ScorerRecord
from .registry import is_whole, registered
from .searches import log_searches
from .signature import signature_of
from .stores import Store, TrackingError, local_store
from .titles import distinct_title
from .views import share_view, share_views

_TOP_METRICS = 8
_MOST_AT_ONCE = 500


def log_run(
    store: Store,
    record: RunRecord,
    *,
    log: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[str, Store]:
    """Log a training: a parent run with a child per scorer, and register every one that is saved.

    Returns the parent run's id and the store that it is in. A finished run of the same key is
    found and left as it is. A server or database that fails is replaced by the local store, and
    `warn` says so.

    Raises TrackingError when a local store fails.
    """
    try:
        return _log_run(store, record, log), store
    except TrackingError as error:
        if store.local:
            raise
        here = local_store(store.home, warn=warn)
        warn(
            f"{error}: the run is kept in {here.shown} instead; run the same command again to "
            "send it"
        )
        return _log_run(here, record, log), here


def _log_run(store: Store, record: RunRecord, log: Callable[[str], None]) -> str:
    with using(store) as ml:
        experiment = experiment_of(store, ml, record.spec)
        query = f"tags.key = '{record.key}' and status = 'FINISHED'"
        for found in find_all(ml, experiment, query):
            if is_whole(ml, found):
                return found
        with logging_process(store, ml, experiment) as tags:
            return _log_whole(ml, experiment, record, tags, log)


def _log_whole(
    ml: Any,
    experiment: str,
    record: RunRecord,
    tags: Mapping[str, str],
    log: Callable[[str], None],
) -> str:
    """Log a training's runs, and register its scorers; return the parent run's id."""
    title = distinct_title(ml, experiment, record)
    with ml.start_run(experiment_id=experiment, run_name=title, tags=tags) as parent:
        run_id = str(parent.info.run_id)
        ml.set_tags({**record.tags, **source_tags(record.commit), **_kind("training", record)})
        ml.log_params(dict(record.params))
        _log_metrics(ml, record.title, record.metrics, record.by_test)
        _log_data(ml, record)
        for scorer in record.scorers:
            log(f"logging {scorer.name}")
            _log_scorer(ml, experiment, record, scorer, run_id)
        describe_model(ml.MlflowClient(), registered(record.spec))
        share_views(ml, experiment)
        log_searches(ml, experiment, record.searches, run_id)
        ml.log_artifacts(str(record.artifacts))
        chosen = f"tags.training = '{run_id}' and tags.kind != 'trial'"
        columns = [f"metrics.`{name}`" for name in record.columns]
        share_view(ml, experiment, VIEW, chosen, columns, order=columns[0])
        # Last, so that a run that was cut off is logged again, whole.
        ml.set_tag("key", record.key)
    return run_id


def log_result(
    store: Store,
    spec: str,
    title: str,
    *,
    kind: str,
    description: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    artifacts: Path,
    tags: Mapping[str, str] | None = None,
    commit: str | None = None,
    data: Sequence[DataRecord] = (),
    model: str | None = None,
) -> str:
    """Log what is no training in the spec's experiment, as one run; return its id.

    kind: what it is, a tag. description: what that is shown. artifacts: a folder of files.
    tags, commit: of the code that ran. data: what was read. model: a version of the spec's
    registered model that was used.

    Raises TrackingError when the store fails.
    """
    with using(store) as ml:
        experiment = experiment_of(store, ml, spec)
        share_views(ml, experiment)
        with (
            logging_process(store, ml, experiment) as process,
            ml.start_run(
                experiment_id=experiment, run_name=title, description=description, tags=process
            ) as run,
        ):
            about = {**(tags or {}), **source_tags(commit), "kind": kind, "spec": spec}
            ml.set_tags(about)
            if data:
                log_data(ml, data, [])
            if model is not None:
                _log_model_used(ml, spec, model)
            ml.log_params(dict(params))
            ml.log_metrics(dict(metrics))
            ml.log_artifacts(str(artifacts))
            return str(run.info.run_id)


def _log_model_used(ml: Any, spec: str, version: str) -> None:
    """Name the model of a version as the active run's input."""
    from mlflow.entities import LoggedModelInput

    client = ml.MlflowClient()
    place, _, model = client.get_model_version(registered(spec), version).source.rpartition("/")
    if place == "models:":  # of an older MLflow a version is a folder of its run, and no model
        run = ml.active_run().info.run_id
        client.log_inputs(run, models=[LoggedModelInput(model_id=model)])


def _log_scorer(
    ml: Any, experiment: str, record: RunRecord, scorer: ScorerRecord, training: str
) -> None:
    with ml.start_run(experiment_id=experiment, run_name=scorer.name, nested=True):
        about = {"scorer": scorer.name, "training": training, "code": record.tags["code"]}
        said = {"mlflow.note.content": scorer.description} if scorer.description else {}
        ml.set_tags({**about, **said, **source_tags(record.commit), **_kind("scorer", record)})
        _log_data(ml, record)
        ml.log_params(dict(scorer.params))
        if scorer.artifacts is not None:
            # Not in a folder: MLflow's page that compares runs shows no folders.
            ml.log_artifacts(str(scorer.artifacts))
        for name, text in scorer.texts.items():
            ml.log_text(text, name)
        if scorer.folder is None:
            _log_metrics(ml, scorer.name, scorer.metrics, scorer.by_test)
            return
        model, version = _log_model(ml, record, scorer, scorer.folder)
        _log_metrics(ml, scorer.name, scorer.metrics, scorer.by_test, model=model)
        client = ml.MlflowClient()
        numbers = {name: f"{value:.5g}" for name, value in scorer.metrics.items()}
        for key, value in {**about, **numbers}.items():
            client.set_model_version_tag(registered(record.spec), version, key, value)
        client.update_model_version(registered(record.spec), version, scorer.description)


def _kind(kind: str, record: RunRecord) -> dict[str, str]:
    return {"kind": kind, "spec": record.spec}


def _log_metrics(
    ml: Any,
    of: str,
    metrics: Mapping[str, float],
    by_test: Mapping[str, Sequence[float]],
    model: str | None = None,
) -> None:
    """Log metrics, and those by test as steps; few have plain names, the rest stand in folders.

    model: the id of the logged model that they are of, which shows them too.
    """
    plain = [name for name in (*metrics, *by_test) if "/" not in name]
    if len(plain) > _TOP_METRICS:
        raise ValueError(f"{of}: {len(plain)} plain metrics, above {_TOP_METRICS}")
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    found = [Metric(name, value, now, 0, model_id=model) for name, value in metrics.items()]
    for name, values in by_test.items():
        found += [Metric(name, measured, now, step) for step, measured in enumerate(values)]
    # One request takes a thousand at most, and one for each is slow.
    for start in range(0, len(found), _MOST_AT_ONCE):
        part = found[start : start + _MOST_AT_ONCE]
        ml.MlflowClient().log_batch(ml.active_run().info.run_id, metrics=part)


def _log_model(ml: Any, record: RunRecord, scorer: ScorerRecord, folder: Path) -> tuple[str, str]:
    """Register a scorer as a pyfunc made from code; return the model's id and its version.

    Nothing of it is pickled.

    Its signature and its example hold what this scorer reads, and nothing else.
    """
    with temporary_folder("model") as place:
        code = place / "ranking_model.py"
        code.write_text(MODEL_CODE, encoding="utf-8")
        spec = place / "spec.json"
        spec.write_text(record.spec_json, encoding="utf-8")
        saved = place / "scorer"  # its name in the registry, by which it is found again
        shutil.copytree(folder, saved)
        served = Served.load(saved, spec)
        example = record.example[list(served.reads)]
        with redirect_stderr(StringIO()):  # mlflow tells each registration there
            info = ml.pyfunc.log_model(
                name=scorer.name,
                python_model=str(code),
                artifacts={"scorer": str(saved), "spec": str(spec)},
                signature=signature_of(served, example),
                input_example=example,
                pip_requirements=[f"whyrank[models]=={metadata.version('whyrank')}"],
                registered_model_name=registered(record.spec),
            )
    return str(info.model_id), str(info.registered_model_version)


def _log_data(ml: Any, record: RunRecord) -> None:
    """Name the data sets as the run's inputs: whole snapshots, which stay where they are."""
    from mlflow.models import infer_signature

    log_data(ml, record.data, infer_signature(record.example).inputs.to_dict())


def log_data(ml: Any, data: Sequence[DataRecord], columns: Sequence[Mapping[str, Any]]) -> None:
    """Name data sets of some columns as the active run's inputs."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(
                name=one.name,
                digest=one.digest,
                source_type="local",
                source=json.dumps({"uri": one.source}),
                schema=json.dumps({"mlflow_colspec": list(columns)}),
                profile=json.dumps(dict(one.profile)),
            ),
            [InputTag("mlflow.data.context", one.context)],
        )
        for one in data
    ]
    ml.MlflowClient().log_inputs(ml.active_run().info.run_id, inputs)
