"""Run a rendered dbt project in a process of its own, quietly, and say its failures in one line.

dbt keeps the DuckDB file open for as long as its process lives, so it never runs in ours.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ...errors import WarehouseError
from ...types import BuildProgress
from ..base import Warehouse
from ..contracts import Lock
from .changes import Changes, environment
from .child import PROGRESS
from .render import yaml_text

_LOOK_SECONDS = 0.5
_LOOKS = 4  # at how far it is, for one at the lock


@dataclass(frozen=True)
class NodeResult:
    """What became of one model or test: its name, status and seconds, and when it began.

    started_at: UTC, without a zone; None for one that was skipped.
    """

    name: str
    status: str
    seconds: float
    message: str = ""
    started_at: datetime | None = None


def write_profile(project: Path, warehouse: Warehouse, schema: str) -> dict[str, str]:
    """Write the dbt profile that points at the warehouse; no secret is written.

    Returns the environment variables that dbt has to be given, such as a password; one that is
    empty must not be set. Raises WarehouseError when the warehouse cannot be reached.
    """
    target, variables = warehouse.profile(schema)
    profile = {"whyrank": {"target": "warehouse", "outputs": {"warehouse": target}}}
    project.mkdir(parents=True, exist_ok=True)
    (project / "profiles.yml").write_text(yaml_text(profile), encoding="utf-8")
    return variables


def run_dbt(
    project: Path,
    command: str,
    *,
    select: Sequence[str] = (),
    changes: Changes | None = None,
    lock: Lock | None = None,
    variables: Mapping[str, str] | None = None,
    advise: Callable[[str], str] = str.strip,
    progress: BuildProgress = lambda *_: None,
    usual: Mapping[str, float] | None = None,
    hooks: str = "",
) -> list[NodeResult]:
    """Run `dbt run`, `dbt test` or `dbt docs generate` in a project; return what each node did.

    changes: what came after the last load that the models know, None to rebuild them. lock:
    what keeps other writers out; dbt is ended when it is lost. variables: as `write_profile`
    returned them. advise: says the warehouse's errors in one line (`Warehouse.advice`). progress:
    told how many models or tests are done, of how many, and the seconds left. usual: the seconds
    that each model took the last time, by which that is reckoned; without them it is None. hooks:
    the module that prepares dbt's process (`Warehouse.dbt_hooks`).

    Raises WarehouseError naming the first model or test that failed and why, and the log file, or
    saying that the lock was lost.
    """
    arguments = [sys.executable, "-m", "whyrank.warehouse.dbt_project.child"]
    arguments += [str(os.getpid()), str(project), hooks, command]
    arguments += [f"--select={name}" for name in select]
    if changes is None and command == "run":
        arguments.append("--full-refresh")
    told = _environment(project, {**(variables or {}), **environment(changes)})
    file = project / PROGRESS
    file.unlink(missing_ok=True)
    done = _run(arguments, told, lock or Lock(), lambda: _tell(file, progress, usual or {}))
    _tell(file, progress, usual or {})
    file.unlink(missing_ok=True)
    log = project / "logs" / "dbt.log"
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        if done.returncode < 0:
            raise WarehouseError(
                f"dbt {command} was ended by {_signal(-done.returncode)}: run this again (log: "
                f"{log})"
            ) from None
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise WarehouseError(f"dbt {command} stopped: {reason} (log: {log})") from None
    results = [_node(**node) for node in answer["nodes"]]
    for node in results:
        if node.status in {"error", "fail", "runtime error"}:
            raise WarehouseError(
                f"{'data test' if command == 'test' else 'model'} {node.name} failed: "
                f"{advise(_reason(node.message))} (log: {log})"
            )
    if answer["error"]:
        if answer.get("told"):  # before dbt began, and said as it should be
            raise WarehouseError(answer["error"])
        raise WarehouseError(
            f"dbt {command} failed: {advise(_reason(answer['error']))} (log: {log})"
        )
    return results


def _tell(file: Path, progress: BuildProgress, usual: Mapping[str, float]) -> None:
    """Tell how far dbt has come by the lines that it has written whole."""
    try:
        lines = file.read_text(encoding="ascii").split("\n")[:-1]
    except OSError:  # none is done yet
        return
    if lines:
        done, total, *_ = lines[-1].split()
        ended = {name for line in lines for name in line.split()[2:]}
        left = sum(seconds for name, seconds in usual.items() if name not in ended)
        progress(int(done), int(total), left if usual else None)


def _signal(number: int) -> str:
    """Return a signal's name, and what mostly sends it.

    >>> _signal(9)
    'SIGKILL, which a machine sends that runs out of memory'
    >>> _signal(15)
    'SIGTERM'
    """
    name = next((known.name for known in signal.Signals if known == number), f"signal {number}")
    known_cause = ", which a machine sends that runs out of memory"
    return name + (known_cause if number == signal.SIGKILL else "")


def _node(*, started_at: str | None, **told: Any) -> NodeResult:
    began = datetime.fromisoformat(started_at) if started_at else None
    return NodeResult(**told, started_at=began)


def _reason(message: str) -> str:
    """Return what went wrong without dbt's own heading, which only repeats the model's name."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if len(lines) > 1 and " Error in " in lines[0]:
        lines = lines[1:]
    return "\n".join(lines)


def _run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    lock: Lock,
    look: Callable[[], None] = lambda: None,
) -> subprocess.CompletedProcess[str]:
    """Run a process to its end, looking now and then whether the lock is still held.

    look: called twice a second, to see how far the process is.
    """
    with subprocess.Popen(  # noqa: S603 - our own module with our own arguments
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, pass_fds=lock.descriptors,
    ) as process:  # fmt: skip
        looks = itertools.count(1)
        while True:
            try:
                out, err = process.communicate(timeout=_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                try:
                    look()
                    if next(looks) % _LOOKS == 0:
                        lock.check()
                except BaseException:
                    process.kill()
                    raise
            except BaseException:
                process.kill()
                raise
            else:
                return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def _environment(project: Path, variables: Mapping[str, str]) -> dict[str, str]:
    # What the caller tells a dbt of their own (DBT_EMPTY, DBT_TARGET, …) is not for ours.
    theirs = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
    given = {
        **theirs,
        "DBT_PROFILES_DIR": str(project),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        **variables,
    }
    return {name: value for name, value in given.items() if value or name not in variables}
