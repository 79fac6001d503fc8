"""The process that dbt runs in.

    python -m whyrank.warehouse.dbt_project.child PARENT PROJECT HOOKS COMMAND …

PARENT is the id of the process that started it, with which it ends. HOOKS is the module of the
engine that prepares this process (`Warehouse.dbt_hooks`), empty where none does. It prints one line
of JSON: what became of each node, and the error that stopped everything if one did. Each line of
PROJECT/progress.txt says how many nodes are done, of how many, and which ended. All else
that dbt says goes to the project's log file.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import signal
import sys
from datetime import UTC
from importlib import import_module
from pathlib import Path
from typing import Any

from ...errors import WhyrankError

PROGRESS = "progress.txt"  # in a rendered project, while its dbt runs
_ENDED = ("LogModelResult", "LogTestResult", "SkippingDetails")  # dbt's events of a node's end


def _end_with_parent(parent: int) -> None:
    """Ask the system to end this process when the one that started it ends, however it ends.

    A build that was killed must not go on in its dbt, beside the next build. Linux alone offers it.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before we could ask
            raise SystemExit("the process that started dbt is gone")


def _span(result: Any) -> dict[str, Any]:
    """Return when a node's first step began, UTC without a zone, and its seconds to the last one's
    end; the start is None where it had no steps.

    dbt's own execution_time counts from before the first step, by as much as the machine is busy:
    added to the start it reaches into the next node.
    """
    steps = [step for step in result.timing if step.started_at and step.completed_at]
    if not steps:
        return {"started_at": None, "seconds": round(float(result.execution_time), 3)}
    start, end = steps[0].started_at, steps[-1].completed_at
    if start.tzinfo is not None:
        start, end = (t.astimezone(UTC).replace(tzinfo=None) for t in (start, end))
    return {"started_at": start.isoformat(), "seconds": (end - start).total_seconds()}


class _Counter:
    """Counts the nodes that dbt has done with, as its events tell, and writes them to a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._done = 0

    def __call__(self, event: Any) -> None:
        """Take an event: one of a node's start or end says how many nodes there are."""
        name = event.info.name
        if name != "LogStartLine" and name not in _ENDED:
            return
        self._done += name in _ENDED
        total = event.data.num_models if name == "LogTestResult" else event.data.total
        ended = f" {event.data.node_info.node_name}" if name in _ENDED else ""
        with self._file.open("a", encoding="ascii") as file:
            file.write(f"{self._done} {total}{ended}\n")


def main(arguments: list[str]) -> int:
    """Run one dbt command on a project; return the exit code."""
    parent, project, module, command, *rest = arguments
    _end_with_parent(int(parent))
    hooks = import_module(module) if module else None
    if hooks:
        try:
            hooks.begin(Path(project), command)
        except WhyrankError as unable:
            sys.stdout.write(json.dumps({"nodes": [], "error": str(unable), "told": True}) + "\n")
            return 1
    from dbt.cli.main import dbtRunner

    call = ["--quiet", "--no-use-colors", "--no-version-check", "--log-level-file=info"]
    call += [f"--log-path={project}/logs", *command.split()]
    call += [f"--project-dir={project}", f"--profiles-dir={project}"]
    if command in {"run", "test"}:  # nothing reads the artifacts, and writing them takes a second
        call.append("--no-write-json")
    fixed = len(call)
    for option in rest:
        flag, _, value = option.partition("=")
        call += [flag, value] if value else [flag]
    with contextlib.redirect_stdout(io.StringIO()):
        if hooks and (command == "test" or "--select" in call):
            hooks.make_views(dbtRunner().invoke, call[:fixed])
        outcome = dbtRunner(callbacks=[_Counter(Path(project) / PROGRESS)]).invoke(call)
        if hooks and command == "run" and outcome.success:
            hooks.end(Path(project))
    nodes = [
        {
            "name": result.node.name,
            "status": str(result.status),
            "message": result.message or "",
            **_span(result),
        }
        for result in getattr(outcome.result, "results", [])
    ]
    error = "" if outcome.exception is None else str(outcome.exception)
    sys.stdout.write(json.dumps({"nodes": nodes, "error": error}) + "\n")
    return 0 if outcome.success else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
