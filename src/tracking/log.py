"""Writing to MLflow: runs, their data, metrics and files, and versions of models."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from importlib import metadata
from io import StringIO
from pathlib import Path
from typing import Any

from ..serving import MODEL_CODE, Served
from .client import SHARED, VIEW, experiment_of, find_all, using
from .records import RunRecord, ScorerRecord
from .registry import is_whole, registered
from .signature import signature_of
from .stores import Store, TrackingError, local_store

_TOP_METRICS = 8


def log_run(
    store: Store,
    record: RunRecord,
    *,
    say: Callable[[str], None] = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
) -> tuple[str, Store]:
    """Log a training: a parent run with a child per scorer, and register every scorer.

    Returns the parent run's id and the store that it is in. A finished run of the same key is
    found and left as it is. A server or database that fails is replaced by the local store, and
    `note` says so.

    Raises TrackingError when a local store fails.
    """
    try:
        return _log_run(store, record, say), store
    except TrackingError as error:
        if store.local:
            raise
        here = local_store(store.home, note=note)
        note(
            f"{error}: the run is kept in {here.shown} instead; run the same command again to "
            "send it"
        )
        return _log_run(here, record, say), here


def _log_run(store: Store, record: RunRecord, say: Callable[[str], None]) -> str:
    with using(store) as ml:
        experiment = experiment_of(store, ml, record.spec)
        query = f"tags.key = '{record.key}' and status = 'FINISHED'"
        for found in find_all(ml, experiment, query):
            if is_whole(ml, found):
                return found
        with ml.start_run(experiment_id=experiment, run_name=record.title) as parent:
            ml.set_tags({**record.tags, **_source(record), "kind": "training", "spec": record.spec})
            ml.log_params(dict(record.params))
            _log_metrics(ml, record.title, record.metrics, record.by_test)
            _log_data(ml, record)
            for scorer in record.scorers:
                say(f"logging {scorer.name}")
                _log_scorer(ml, experiment, record, scorer, parent.info.run_id)
            ml.log_artifacts(str(record.artifacts))
            view = json.dumps(_view(record.columns, parent.info.run_id))
            ml.MlflowClient().set_experiment_tag(experiment, f"{SHARED}.{VIEW}", view)
            # Last, so that a run that was cut off is logged again, whole.
            ml.set_tag("key", record.key)
            run_id: str = parent.info.run_id
        return run_id


def log_result(
    store: Store,
    spec: str,
    title: str,
    *,
    kind: str,
    note: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    artifacts: Path,
) -> str:
    """Log what is no training in the spec's experiment, as one run; return its id.

    kind: what it is, a tag. note: the description that is shown. artifacts: a folder of files.
    """
    with (
        using(store) as ml,
        ml.start_run(
            experiment_id=experiment_of(store, ml, spec), run_name=title, description=note
        ) as run,
    ):
        ml.set_tags({"kind": kind, "spec": spec})
        ml.log_params(dict(params))
        ml.log_metrics(dict(metrics))
        ml.log_artifacts(str(artifacts))
        return str(run.info.run_id)


def _view(columns: Sequence[str], training: str) -> dict[str, Any]:
    """Return the state of MLflow's table of runs: which runs, which columns, which order."""
    return {
        "searchFilter": f"tags.training = '{training}'",
        "orderByKey": f"metrics.`{columns[0]}`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": [f"metrics.`{name}`" for name in columns],
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
    }


def _log_scorer(
    ml: Any, experiment: str, record: RunRecord, scorer: ScorerRecord, training: str
) -> None:
    with ml.start_run(experiment_id=experiment, run_name=scorer.name, nested=True):
        about = {"scorer": scorer.name, "training": training, "code": record.tags["code"]}
        ml.set_tags({**about, **_source(record), "kind": "scorer", "spec": record.spec})
        _log_data(ml, record)
        ml.log_params(dict(scorer.params))
        _log_metrics(ml, scorer.name, scorer.metrics, scorer.by_test)
        version = _log_model(ml, record, scorer)
        for key, value in about.items():
            ml.MlflowClient().set_model_version_tag(registered(record.spec), version, key, value)


def _log_metrics(
    ml: Any, of: str, metrics: Mapping[str, float], by_test: Mapping[str, Sequence[float]]
) -> None:
    """Log metrics, and those by test as steps; few have plain names, the rest stand in folders."""
    plain = [name for name in (*metrics, *by_test) if "/" not in name]
    if len(plain) > _TOP_METRICS:
        raise ValueError(f"{of}: {len(plain)} plain metrics, above {_TOP_METRICS}")
    ml.log_metrics(dict(metrics))
    for name, values in by_test.items():
        for step, measured in enumerate(values):
            ml.log_metric(name, measured, step=step)


def _log_model(ml: Any, record: RunRecord, scorer: ScorerRecord) -> str:
    """Register a scorer as a pyfunc made from code: nothing of it is pickled.

    Its signature and its example hold what this scorer reads, and nothing else.
    """
    with tempfile.TemporaryDirectory() as place:
        code = Path(place) / "ranking_model.py"
        code.write_text(MODEL_CODE, encoding="utf-8")
        spec = Path(place) / "spec.json"
        spec.write_text(record.spec_json, encoding="utf-8")
        saved = Path(place) / "scorer"  # its name in the registry, by which it is found again
        shutil.copytree(scorer.folder, saved)
        served = Served.load(saved, spec)
        example = record.example[list(served.reads)]
        with redirect_stderr(StringIO()):  # mlflow tells each registration there
            info = ml.pyfunc.log_model(
                name=scorer.name,
                python_model=str(code),
                artifacts={"scorer": str(saved), "spec": str(spec)},
                signature=signature_of(served, example),
                input_example=example,
                pip_requirements=[f"whyrank=={metadata.version('whyrank')}"],
                registered_model_name=registered(record.spec),
            )
    return str(info.registered_model_version)


def _source(record: RunRecord) -> dict[str, str]:
    """Return MLflow's own tags of the code that ran, which its table of runs shows."""
    commit = {"mlflow.source.git.commit": record.commit} if record.commit else {}
    return {"mlflow.source.name": "whyrank", **commit}


def _log_data(ml: Any, record: RunRecord) -> None:
    """Name the data sets as the run's inputs: whole snapshots, which stay where they are."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.models import infer_signature

    columns = infer_signature(record.example).inputs.to_dict()
    inputs = [
        DatasetInput(
            Dataset(
                name=data.name,
                digest=data.digest,
                source_type="local",
                source=json.dumps({"uri": data.source}),
                schema=json.dumps({"mlflow_colspec": columns}),
                profile=json.dumps(dict(data.profile)),
            ),
            [InputTag("mlflow.data.context", data.context)],
        )
        for data in record.data
    ]
    ml.MlflowClient().log_inputs(ml.active_run().info.run_id, inputs)
