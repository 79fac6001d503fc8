"""MLflow: what was trained is logged here, registered here and found again here.

This is the only module that imports mlflow. Runs are logged after they are done, from results
kept on disk; so a server that cannot be reached costs nothing but its own copy.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib import metadata
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import urlopen

from .errors import InstallError, UsageError, WhyrankError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

HOME = Path("mlflow")
CHAMPION = "champion"
COMPARISON = "comparison.json"
_PATIENCE = 5.0  # seconds until a server counts as unreachable
_DATABASE = "mlflow.db"
_TOP_METRICS = 8
_SHARED, _VIEW = "mlflow.sharedViewState", "whyrank"
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # no such model, no such alias
_HOW = (
    "A run per training, named after its last test; its description begins with the verdict. "
    "Below it a run per scorer: roc_auc and lift on the last test, …_all_tests over all of them."
)


class TrackingError(WhyrankError):
    """The tracking store cannot be used, or does not hold what was asked for."""


@dataclass(frozen=True)
class Store:
    """Where runs are kept: a tracking URI, and whether that is the local default."""

    uri: str
    home: Path

    @property
    def local(self) -> bool:
        """Whether it is a file on this machine."""
        return self.uri.startswith("sqlite:")

    @property
    def shown(self) -> str:
        """The store as it may be printed: the default one's file, else the URI, no password."""
        default = self.home / _DATABASE
        if self.uri == f"sqlite:///{default.resolve()}":
            return str(default)
        return _without_password(self.uri)

    @property
    def exists(self) -> bool:
        """Whether anything can be in it: a server, or a file that is there."""
        return not self.local or Path(self.uri.removeprefix("sqlite:///")).exists()


def open_store(
    uri: str | None = None, *, home: Path = HOME, note: Callable[[str], None] = lambda _: None
) -> Store:
    """Return the store of a tracking URI, else of MLFLOW_TRACKING_URI, else the one in `home`.

    A server that does not answer is replaced by the local store, and `note` says so: work goes on.
    """
    # Absolute: mlflow keeps stores open by their URI, and a process may change its folder.
    local = Store(f"sqlite:///{(home / _DATABASE).resolve()}", home)
    chosen = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not chosen:
        return local
    if not chosen.startswith(("http://", "https://")):
        if not chosen.startswith(("sqlite:", "postgresql")):
            raise UsageError(
                f"tracking URI {_without_password(chosen)!r}: give http(s)://, postgresql:// or "
                "sqlite:///; plain folders are no longer stores"
            )
        return Store(chosen, home)
    try:
        with urlopen(f"{chosen.rstrip('/')}/health", timeout=_PATIENCE):  # noqa: S310 - http(s) only
            return Store(chosen, home)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        note(
            f"the tracking server {_without_password(chosen)} cannot be reached ({reason}): runs "
            f"are kept in {home / 'mlflow.db'} instead; run the same command again to send them"
        )
        return local


@dataclass(frozen=True)
class ScorerRecord:
    """What is logged of one scorer: a child run, and a version of the registered model."""

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    by_test: Mapping[str, Sequence[float]]
    folder: Path


@dataclass(frozen=True)
class DataRecord:
    """A data set that a training read: context is "training" or "test".

    digest: of its bytes. source: the folder that it stands in. profile: how much it holds, of
    which dates.
    """

    context: str
    name: str
    digest: str
    source: str
    profile: Mapping[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """What is logged of one training: the parent run, its children, its tables and plots.

    key: what the run depends on; a run of the same key is not logged twice. by_test: metrics with
    a value for each test, oldest first. artifacts: a folder of
    files. spec_json: the spec, as its models serialise it. data: what was read. commit: of the
    code, None outside a checkout. example: a few users with all that any scorer reads. columns:
    the scorers' metrics that a person looks at first, ordered by the first.
    """

    spec: str
    key: str
    title: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    by_test: Mapping[str, Sequence[float]]
    tags: Mapping[str, str]
    artifacts: Path
    spec_json: str
    data: tuple[DataRecord, ...]
    commit: str | None
    example: pd.DataFrame
    scorers: tuple[ScorerRecord, ...]
    columns: tuple[str, ...]


def log_run(store: Store, record: RunRecord, *, say: Callable[[str], None] = lambda _: None) -> str:
    """Log a training: a parent run with a child per scorer, and register every scorer.

    Returns the parent run's id. A finished run of the same key is found and left as it is.
    """
    with _using(store) as ml:
        experiment = _experiment(store, ml, record.spec)
        if found := _find(ml, experiment, f"tags.key = '{record.key}' and status = 'FINISHED'"):
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
            ml.MlflowClient().set_experiment_tag(experiment, f"{_SHARED}.{_VIEW}", view)
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
        _using(store) as ml,
        ml.start_run(
            experiment_id=_experiment(store, ml, spec), run_name=title, description=note
        ) as run,
    ):
        ml.set_tags({"kind": kind, "spec": spec})
        ml.log_params(dict(params))
        ml.log_metrics(dict(metrics))
        ml.log_artifacts(str(artifacts))
        return str(run.info.run_id)


def read_comparison(store: Store, spec: str, run: str | None = None) -> tuple[str, dict[str, Any]]:
    """Return a training's run id and its comparison; the latest one's when `run` is None.

    Raises TrackingError when there is none.
    """
    if not store.exists:
        raise TrackingError(f"nothing is trained for spec {spec!r} yet: run `whyrank train`")
    with _using(store) as ml:
        chosen = run
        if chosen is None:
            experiment = _experiment(store, ml, spec)
            chosen = _find(ml, experiment, "tags.kind = 'training' and status = 'FINISHED'")
        if chosen is None:
            raise TrackingError(f"nothing is trained for spec {spec!r} yet: run `whyrank train`")
        try:
            path = ml.artifacts.download_artifacts(run_id=chosen, artifact_path=COMPARISON)
        except Exception as error:
            raise TrackingError(
                f"run {chosen!r} holds no comparison: name the id of a training's parent run, or "
                "leave --run out for the latest"
            ) from error
        raw: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        return chosen, raw


def promote(store: Store, spec: str, run: str, scorer: str) -> int:
    """Make a scorer of a training the champion of its spec; return the version that it is.

    Raises TrackingError when that run registered no such scorer.
    """
    with _using(store) as ml:
        client = ml.MlflowClient()
        for version in client.search_model_versions(f"name = '{registered(spec)}'"):
            tags = version.tags or {}
            if tags.get("scorer") == scorer and tags.get("training") == run:
                client.set_registered_model_alias(registered(spec), CHAMPION, version.version)
                return int(version.version)
    raise TrackingError(f"run {run!r} registered no scorer {scorer!r}: see `whyrank compare`")


def fetch_scorer(store: Store, spec: str, name: str) -> tuple[str, int, Path] | None:
    """Return a registered scorer's name, version and folder; None when there is none.

    name: "champion", a scorer's own name (its latest version), or models:/NAME/VERSION or @ALIAS.
    The spec that it was saved with stands beside the folder, as spec.json.
    """
    if not store.exists:
        return None
    with _using(store) as ml:
        version = _version(ml, spec, name)
        if version is None:
            return None
        source = f"models:/{version.name}/{version.version}"
        folder = ml.artifacts.download_artifacts(artifact_uri=f"{source}/artifacts")
        scorer = str((version.tags or {}).get("scorer", "?"))
        return scorer, int(version.version), Path(folder) / "scorer"


def ranking_model() -> Any:
    """Return the pyfunc that MLflow loads: frames of features in, scores with reasons out."""
    from mlflow.pyfunc.model import PythonModel

    from .serving import Served

    class RankingModel(PythonModel):
        """A saved scorer of whyrank."""

        def load_context(self, context: Any) -> None:
            """Read the scorer and its spec from the model's artifacts."""
            files = context.artifacts
            self.served = Served.load(Path(files["scorer"]), Path(files["spec"]))

        def predict(
            self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
        ) -> pd.DataFrame:
            """Return score, label, probability and reasons."""
            del context, params
            return self.served.predict(model_input)

    return RankingModel()


def registered(spec: str) -> str:
    """Return the name of a spec's registered model.

    >>> registered("olist")
    'whyrank-olist'
    """
    return f"whyrank-{spec}"


def _version(ml: Any, spec: str, name: str) -> Any:
    from mlflow.exceptions import MlflowException

    client = ml.MlflowClient()
    try:
        if name.startswith("models:/"):
            model, _, version = name.removeprefix("models:/").partition("/")
            if "@" in model:
                return client.get_model_version_by_alias(*model.split("@", 1))
            return client.get_model_version(model, version)
        if name == CHAMPION:
            return client.get_model_version_by_alias(registered(spec), CHAMPION)
        versions = client.search_model_versions(f"name = '{registered(spec)}'")
    except MlflowException as error:
        if name.startswith("models:/"):
            raise TrackingError(f"{name}: the registry has no such model version") from error
        if error.error_code not in _ABSENT:
            raise
        return None
    fitting = [v for v in versions if (v.tags or {}).get("scorer") == name]
    return max(fitting, key=lambda v: int(v.version), default=None)


def views(store: Store) -> list[tuple[str, str]]:
    """Return every spec's experiment and, under the UI's address, its table of the last training.

    The table is a shared view of MLflow's: the last training's scorers, best first, with the few
    columns that matter.
    """
    with _using(store) as ml:
        return [
            (found.name, f"#/experiments/{found.experiment_id}/runs?viewStateShareKey={_VIEW}")
            for found in ml.search_experiments(order_by=["name"])
            if f"{_SHARED}.{_VIEW}" in found.tags
        ]


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
    from mlflow.models import infer_signature

    from .serving import MODEL_CODE, Served

    with tempfile.TemporaryDirectory() as place:
        code = Path(place) / "ranking_model.py"
        code.write_text(MODEL_CODE, encoding="utf-8")
        spec = Path(place) / "spec.json"
        spec.write_text(record.spec_json, encoding="utf-8")
        saved = Path(place) / "scorer"  # its name in the registry, by which it is found again
        shutil.copytree(scorer.folder, saved)
        served = Served.load(saved, spec)
        example = record.example[list(served.features)]
        with redirect_stderr(StringIO()):  # mlflow tells each registration there
            info = ml.pyfunc.log_model(
                name=scorer.name,
                python_model=str(code),
                artifacts={"scorer": str(saved), "spec": str(spec)},
                signature=infer_signature(example, served.predict(example)),
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


def _experiment(store: Store, ml: Any, spec: str) -> str:
    name = f"whyrank {spec}"
    found = ml.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = (store.home / "artifacts").resolve().as_uri() if store.local else None
    # The kind makes the UI open with models' metrics and not with tools for language models.
    tags = {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": _HOW}
    return str(ml.create_experiment(name, artifact_location=place, tags=tags))


def _find(ml: Any, experiment: str, query: str) -> str | None:
    runs = ml.MlflowClient().search_runs([experiment], query, max_results=1)
    return str(runs[0].info.run_id) if runs else None


@contextmanager
def _using(store: Store) -> Iterator[Any]:
    """Point mlflow at a store for a while, quietly; its errors become ours."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # mlflow writes the URI that it is given into the environment, where it would outlive us.
    kept = {name: os.environ.get(name) for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of mlflow and what it imports: nothing to act upon
        import mlflow as ml
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        if store.local:
            store.home.mkdir(parents=True, exist_ok=True)
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        before = ml.get_tracking_uri(), ml.get_registry_uri()
        ml.set_tracking_uri(store.uri)
        ml.set_registry_uri(store.uri)
        try:
            yield ml
        except MlflowException as error:
            first = (str(error).splitlines() or [""])[0]
            where = _without_password(store.uri)
            raise TrackingError(f"tracking store {where}: {first}") from error
        except SQLAlchemyError as error:
            where = _without_password(store.uri)
            first = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise TrackingError(
                f"tracking store {where} cannot be read: {first}; mend it, move it away, or name "
                "another by --tracking"
            ) from error
        except ModuleNotFoundError as error:
            raise InstallError(
                f"tracking store {_without_password(store.uri)}: its driver {error.name!r} is not "
                "installed; for postgresql:// install psycopg2-binary, or name a tracking server"
            ) from error
        finally:
            ml.set_tracking_uri(before[0])
            ml.set_registry_uri(before[1])
            for name, value in kept.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def _without_password(uri: str) -> str:
    """Return a URI that can be shown.

    >>> _without_password("postgresql://ana:secret@db/runs")
    'postgresql://ana:***@db/runs'
    """
    parts = urlparse(uri)
    if not parts.password:
        return uri
    return uri.replace(f":{parts.password}@", ":***@", 1)
