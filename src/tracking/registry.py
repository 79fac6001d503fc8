"""Reading from MLflow: comparisons, registered scorers, the champion; and moving the champion."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import temporary_folder
from .client import ABSENT, find_all, find_experiment, using
from .promotion import record_promotion
from .stores import Store, TrackingError

if TYPE_CHECKING:
    import pandas as pd

CHAMPION = "champion"
COMPARISON = "comparison.json"
# The key is written last of all: a run without one was cut off.
_TRAININGS = "tags.kind = 'training' and tags.key != '' and status = 'FINISHED'"


def read_comparison(store: Store, spec: str, run: str | None = None) -> tuple[str, dict[str, Any]]:
    """Return a training's run id and its comparison; the latest one's when `run` is None.

    A run counts when it is whole: its key is written last, and its comparison can be read. One that
    a full disk or a kill cut off is passed over.

    Raises TrackingError when there is none, and, in other words, when the store does not answer.
    """
    if not store.exists:
        raise TrackingError(f"nothing is trained for spec {spec!r} yet: run `whyrank train`")
    with using(store) as ml:
        if run is not None:
            return run, _comparison(ml, run)
        experiment = find_experiment(ml, spec)
        for found in find_all(ml, experiment, _TRAININGS) if experiment else ():
            with suppress(IncompleteRunError):
                return found, _comparison(ml, found)
    raise TrackingError(f"nothing is trained for spec {spec!r} yet: run `whyrank train`")


class IncompleteRunError(TrackingError):
    """A run without the comparison that a training writes."""


def is_whole(ml: Any, run: str) -> bool:
    """Return whether a training's comparison can be read: a full disk may have cut it off."""
    try:
        _comparison(ml, run)
    except IncompleteRunError:
        return False
    return True


def _comparison(ml: Any, run: str) -> dict[str, Any]:
    """Return a run's comparison; raises IncompleteRunError when it has none that can be read."""
    advice = "name the id of a training's parent run, or leave --run out for the latest"
    if COMPARISON not in _files(ml, run):
        raise IncompleteRunError(f"run {run!r} holds no comparison: {advice}")
    with temporary_folder("comparison") as place:
        path = ml.artifacts.download_artifacts(
            run_id=run, artifact_path=COMPARISON, dst_path=str(place)
        )
        try:
            raw: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            raise IncompleteRunError(
                f"run {run!r}: its comparison is damaged ({COMPARISON} is no JSON): {advice}"
            ) from None
    return raw


def _files(ml: Any, run: str) -> set[str]:
    """Return the names of a run's files; none when there is no such run."""
    from mlflow.exceptions import MlflowException

    try:
        return {found.path for found in ml.MlflowClient().list_artifacts(run)}
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return set()


def promote(store: Store, spec: str, run: str, scorer: str) -> int:
    """Make a scorer of a training the champion of its spec; return the version that it is.

    Who did it when, and which version was champion before, is noted on the version, and in the
    model's description; the champion's run bears a mark in its name.

    Raises TrackingError when that run registered no such scorer.
    """
    with using(store) as ml:
        client = ml.MlflowClient()
        for version in client.search_model_versions(f"name = '{registered(spec)}'"):
            tags = version.tags or {}
            if tags.get("scorer") == scorer and tags.get("training") == run:
                before = _version(ml, spec, CHAMPION)
                client.set_registered_model_alias(registered(spec), CHAMPION, version.version)
                record_promotion(client, registered(spec), version, before)
                return int(version.version)
    raise TrackingError(f"run {run!r} registered no scorer {scorer!r}: see `whyrank compare`")


def read_champion(store: Store, spec: str) -> tuple[str, int] | None:
    """Return the champion's scorer and version; None while there is none."""
    with using(store) as ml:
        version = _version(ml, spec, CHAMPION)
        if version is None:
            return None
        return str((version.tags or {}).get("scorer", "?")), int(version.version)


def fetch_scorer(
    store: Store, spec: str, name: str, into: Path | None = None
) -> tuple[str, int, Path] | None:
    """Return a registered scorer's name, version and folder; None when there is none.

    name: "champion", a scorer's own name (its latest version of a training that was logged to its
    end), or models:/NAME/VERSION or @ALIAS. into: the folder that its files are copied to; a new
    one among the system's temporary files, which is the caller's to remove, when None.
    The spec that it was saved with stands beside the folder, as spec.json.
    """
    if not store.exists:
        return None
    with using(store) as ml:
        version = _version(ml, spec, name)
        if version is None:
            return None
        source = f"models:/{version.name}/{version.version}"
        folder = ml.artifacts.download_artifacts(
            artifact_uri=f"{source}/artifacts", dst_path=None if into is None else str(into)
        )
        scorer = str((version.tags or {}).get("scorer", "?"))
        return scorer, int(version.version), Path(folder) / "scorer"


def ranking_model() -> Any:
    """Return the pyfunc that MLflow loads: frames of features in, scores with reasons out."""
    from mlflow.pyfunc.model import PythonModel

    from ..serving import Served

    class RankingModel(PythonModel):  # type: ignore[misc]  # of a library that is not followed
        """A saved scorer of whyrank."""

        def load_context(self, context: Any) -> None:
            """Read the scorer and its spec from the model's artifacts."""
            files = context.artifacts
            self.served = Served.load(Path(files["scorer"]), Path(files["spec"]))

        def predict(
            self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
        ) -> pd.DataFrame:
            """Return score, label, probability, points, reasons and flags; see `Served.predict`.

            params: "reasons" false leaves the reasons out; "user_id" true returns that column too.
            """
            del context
            return self.served.predict(model_input, **(params or {}))

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
        if error.error_code not in ABSENT:
            raise
        return None
    fitting = [v for v in versions if (v.tags or {}).get("scorer") == name]
    latest_first = sorted(fitting, key=lambda v: int(v.version), reverse=True)
    return next((v for v in latest_first if _is_logged(client, v.tags.get("training"))), None)


def _is_logged(client: Any, training: str | None) -> bool:
    """Return whether a training was logged to its end; one that was cut off is logged again."""
    from mlflow.exceptions import MlflowException

    if training is None:  # cut off while a version got its tags
        return False
    try:
        return str(client.get_run(training).info.status) == "FINISHED"
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return True  # deleted since by somebody who kept its models
