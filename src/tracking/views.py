"""Tables of runs that the UI opens: which runs, which columns, which order, and links to them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from .client import SHARED, VIEW, using
from .stores import Store

LISTS, WEIGHTS = "lists", "weights"
# What stands in a view, by its key in the address.
VIEWS = {
    VIEW: "Who ranks better",
    LISTS: "Which list came from which model",
    WEIGHTS: "Which weights should change",
}
_COLUMNS = {
    LISTS: (
        "params.`as_of`", "params.`scorer`", "params.`model_version`", "metrics.`users`",
        "metrics.`listed`", "metrics.`drift_max_psi`",
    ),
    WEIGHTS: (
        "params.`test`", "metrics.`roc_auc`", "metrics.`vs_card/auc`", "metrics.`vs_card/lower`",
        "metrics.`vs_card/upper`",
    ),
}  # fmt: skip
_KINDS = {LISTS: "scoring", WEIGHTS: "calibration"}


def share_view(
    ml: Any, experiment: str, key: str, chosen: str, columns: Sequence[str], *, order: str
) -> None:
    """Set a named view of MLflow's table of runs under a key: which runs, columns, and order.

    The experiment's page lists it under Views, and an address with the key opens it.
    """
    state = {
        "searchFilter": chosen,
        "orderByKey": order,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": list(columns),
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
    }
    now = int(time.time() * 1000)
    view = {"name": VIEWS[key], "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    ml.MlflowClient().set_experiment_tag(experiment, f"{SHARED}.{key}", json.dumps(view))


def share_views(ml: Any, experiment: str) -> None:
    """Set the tables of scored lists and of calibrations, where there are none yet."""
    tags = ml.get_experiment(experiment).tags
    for key, kind in _KINDS.items():
        if f"{SHARED}.{key}" not in tags:
            chosen = f"tags.kind = '{kind}'"
            share_view(ml, experiment, key, chosen, _COLUMNS[key], order="attributes.start_time")


def views(store: Store) -> list[tuple[str, str, str]]:
    """Return every spec's experiment, what a table of it answers, and its path under the UI.

    The tables are shared views of MLflow's: the last training's scorers, best first, with the few
    columns that matter; the lists that were scored; the calibrations.
    """
    with using(store) as ml:
        return [
            (found.name, said, f"#/experiments/{found.experiment_id}/runs?viewStateShareKey={key}")
            for found in ml.search_experiments(order_by=["name"])
            for key, said in VIEWS.items()
            if f"{SHARED}.{key}" in found.tags
        ]
