"""Runs of processes that were killed: MLflow shows them as running for ever, if nobody ends them.

A process that logs to a local store holds a folder beside it, locked by the system, and its run
bears the folder's name until it ends. The lock ends with the process, however that ends; so a run
whose folder nobody holds any more has no process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..files import scratch_folder
from .client import find_all
from .stores import Store

PROCESS = "process"  # the tag of a run that has not ended
_PLACE = "running"


@contextmanager
def logging_process(store: Store, ml: Any, experiment: str) -> Iterator[dict[str, str]]:
    """Yield the tags of a run to be created in a local store, and end those of killed processes.

    Runs below another one need no such tags, and end as it does. Of a server nothing is known: it
    has runs of other machines too, so no run there is ended.

    Raises OSError where nothing can be written beside the store.
    """
    if store.file is None:
        yield {}
        return
    # This removes the folders that nobody holds, before it makes one.
    with scratch_folder(store.file.with_name(_PLACE)) as held:
        _end_killed(ml, experiment, held.parent)
        yield {PROCESS: held.name}
        for run in list(find_all(ml, experiment, f"tags.{PROCESS} = '{held.name}'")):
            ml.MlflowClient().delete_tag(run, PROCESS)


def _end_killed(ml: Any, experiment: str, folder: Path) -> None:
    """Mark as killed the runs whose process's folder is gone, and what is below them."""
    for run in list(find_all(ml, experiment, f"tags.{PROCESS} != '' and status = 'RUNNING'")):
        if not (folder / ml.get_run(run).data.tags[PROCESS]).exists():
            _end(ml, experiment, run)


def _end(ml: Any, experiment: str, run: str) -> None:
    """Mark a run as killed, after those below it: a kill in between leaves none that is missed."""
    below = f"tags.mlflow.parentRunId = '{run}' and status = 'RUNNING'"
    for child in list(find_all(ml, experiment, below)):
        _end(ml, experiment, child)
    ml.MlflowClient().set_terminated(run, status="KILLED")
