"""Run a rendered dbt project in a process of its own, quietly, and say its failures in one line.

dbt keeps the DuckDB file open for as long as its process lives, so it never runs in ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ..errors import WarehouseError
from .engine import Warehouse, translated_message


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

    Returns the environment variables that dbt has to be given: a password, where there is one.
    """
    target, secrets = warehouse.profile(schema)
    profile = {"whyrank": {"target": "warehouse", "outputs": {"warehouse": target}}}
    project.mkdir(parents=True, exist_ok=True)
    # JSON is YAML, and writes any path safely.
    (project / "profiles.yml").write_text(json.dumps(profile, indent=1), encoding="utf-8")
    return secrets


def run_dbt(
    project: Path,
    command: str,
    *,
    select: Sequence[str] = (),
    built_load: int | None = None,
    since: date | None = None,
    hold: Sequence[int] = (),
    secrets: Mapping[str, str] | None = None,
) -> list[NodeResult]:
    """Run `dbt run`, `dbt test` or `dbt docs generate` in a project; return what each node did.

    built_load: the last load that the models know already, None to build them anew. since: the
    first day on which anything changed after it, None for any. hold: file descriptors that the
    process keeps open, such as that of a lock. secrets: as `write_profile` returned them.

    Raises WarehouseError naming the first model or test that failed and why, and the log file.
    """
    arguments = [sys.executable, "-m", "whyrank.warehouse.dbt_process", str(project), command]
    arguments += [f"--select={name}" for name in select]
    if command == "run" and built_load is None:
        arguments.append("--full-refresh")
    elif built_load is not None:
        days = ((since or date.min) - date.min).days
        arguments.append(f"--vars={json.dumps({'built_load': built_load, 'since_days': days})}")
    done = subprocess.run(  # noqa: S603 - our own module with our own arguments
        arguments,
        capture_output=True,
        text=True,
        check=False,
        env={**_environment(project), **(secrets or {})},
        pass_fds=tuple(hold),
    )
    log = project / "logs" / "dbt.log"
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise WarehouseError(f"dbt {command} stopped: {reason} (log: {log})") from None
    results = [_node(**node) for node in answer["nodes"]]
    for node in results:
        if node.status in {"error", "fail", "runtime error"}:
            raise WarehouseError(
                f"{'data test' if command == 'test' else 'model'} {node.name} failed: "
                f"{_reason(node.message)} (log: {log})"
            )
    if answer["error"]:
        raise WarehouseError(f"dbt {command} failed: {_reason(answer['error'])} (log: {log})")
    return results


def _node(*, started_at: str | None, **told: Any) -> NodeResult:
    began = datetime.fromisoformat(started_at) if started_at else None
    return NodeResult(**told, started_at=began)


def _reason(message: str) -> str:
    """Return what went wrong without dbt's own heading, which only repeats the model's name."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if len(lines) > 1 and " Error in " in lines[0]:
        lines = lines[1:]
    return translated_message("\n".join(lines))


def _environment(project: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DBT_PROFILES_DIR": str(project),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
