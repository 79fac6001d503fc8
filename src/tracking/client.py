"""MLflow pointed at a store for a while; nothing outside of this package imports it."""

from __future__ import annotations

import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..extras import require
from .local import prepare
from .stores import Store, TrackingError, missing_driver, scrubbed

_URIS = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # A server that died is given up after seconds: mlflow's own patience is many minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
_NAME = "whyrank "  # of an experiment: what follows is the spec's name
SHARED, VIEW = "mlflow.sharedViewState", "whyrank"
ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # no such model, run or alias
_HOW = (
    "A run per training, its verdict in its description, with a run per scorer below it; a run per "
    "calibration of the scorecard; a run per list that was scored."
)


@contextmanager
def using(store: Store) -> Iterator[Any]:
    """Point mlflow at a store for a while, quietly; its errors become ours.

    Afterwards the process is as it was: URIs that were not set are not set, whatever else uses
    mlflow in it.

    Raises TrackingError when the store cannot be used, InstallError without MLflow or the
    store's driver.
    """
    require("models", "MLflow tracking")
    # mlflow writes the URI that it is given into the environment, where it would outlive us.
    kept = {name: os.environ.get(name) for name in (*_URIS, *_QUIET)}
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of mlflow and what it imports: nothing to act upon
        import mlflow as ml
        from mlflow.exceptions import MlflowException
        from mlflow.tracking._model_registry import utils as registry
        from mlflow.tracking._tracking_service import utils as tracking
        from sqlalchemy.exc import SQLAlchemyError

        levels = {name: logging.getLogger(name).level for name in ("mlflow", "alembic")}
        for name in levels:
            logging.getLogger(name).setLevel(logging.ERROR)
        # What was set, if anything: mlflow's own getters tell what would be used otherwise.
        before = tracking._tracking_uri, registry._registry_uri  # noqa: SLF001
        ml.set_tracking_uri(store.uri)
        ml.set_registry_uri(store.uri)
        try:
            prepare(store)
            yield ml
        except MlflowException as error:
            raise TrackingError(f"tracking store {store.shown}: {_said(error, store)}") from error
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise TrackingError(
                f"tracking store {store.shown} cannot be used: {_said(error, store)}; mend it, "
                "move it away, or name another by --tracking"
            ) from error
        except ModuleNotFoundError as error:
            raise missing_driver(store.uri, error) from error
        finally:
            ml.set_tracking_uri(before[0])
            ml.set_registry_uri(before[1])
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
            for name, kept_value in kept.items():
                os.environ.pop(name, None)
                if kept_value is not None:
                    os.environ[name] = kept_value


def _said(error: Exception, store: Store) -> str:
    """Return the first line of what went wrong, without the store's password."""
    lines = str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__]
    return scrubbed(lines[0], store.uri)


def experiment_of(store: Store, ml: Any, spec: str) -> str:
    """Return the id of a spec's experiment, which is made where there is none."""
    if found := find_experiment(ml, spec):
        return found
    # A server knows where artifacts go; of a database MLflow would put them where one stands.
    place = store.artifacts.as_uri() if store.is_database else None
    # The kind makes the UI open with models' metrics and not with tools for language models.
    tags = {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": _HOW}
    from mlflow.exceptions import MlflowException

    try:
        return str(ml.create_experiment(_NAME + spec, artifact_location=place, tags=tags))
    except MlflowException:
        if found := find_experiment(ml, spec):  # another training has created it meanwhile
            return found
        raise


def find_experiment(ml: Any, spec: str) -> str | None:
    """Return the id of a spec's experiment, None where there is none."""
    found = ml.get_experiment_by_name(_NAME + spec)
    return None if found is None else str(found.experiment_id)


def find_all(ml: Any, experiment: str, query: str) -> Iterator[str]:
    """Yield the ids of the runs that a query finds in an experiment, the latest first."""
    token = None
    while True:
        page = ml.MlflowClient().search_runs([experiment], query, max_results=50, page_token=token)
        yield from (str(run.info.run_id) for run in page)
        token = page.token
        if not token:
            return


def source_tags(commit: str | None) -> dict[str, str]:
    """Return MLflow's own tags of the code that ran, which its table of runs shows."""
    found = {"mlflow.source.git.commit": commit} if commit else {}
    return {"mlflow.source.name": "whyrank", **found}
