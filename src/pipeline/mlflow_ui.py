"""ui: MLflow's own user interface over a store, on loopback."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import UsageError
from ..extras import require
from ..files import temporary_folder
from ..tracking import Store, views
from ..tracking.ui_app import NAME, entry_point

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "PYTHONWARNINGS": "ignore",  # of MLflow's own imports: nothing to act upon
}


def view_lines(store: Store, port: int) -> Iterator[str]:
    """Yield where the UI answers which scorer ranks better, and what else is asked of a spec."""
    for name, said, path in views(store):
        yield f"  {name}, {said}: http://127.0.0.1:{port}/{path}"


def check_servable(store: Store) -> None:
    """Check that MLflow's interface can show a store.

    Raises InstallError without MLflow, UsageError for a store that is a server already or has
    nothing in it yet.
    """
    require("models", "`whyrank mlflow`")
    if store.uri.startswith(("http://", "https://")):
        raise UsageError(f"the store is a server with an interface of its own: open {store.shown}")
    if not store.exists:
        raise UsageError("nothing is tracked here yet: run `whyrank train` first")


def check_port(port: int) -> None:
    """Raise UsageError when something answers on the port already, or it may not be taken."""
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind(("127.0.0.1", port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"{error.strerror}"
            raise UsageError(f"port {port}: {reason}: give another one by --port") from None


def serve_ui(store: Store, port: int) -> int:
    """Run MLflow's server on 127.0.0.1 until it is stopped; return its exit code.

    It ends with all processes that it started when this one is asked to end, hangs up or is killed.
    """
    command = [sys.executable, "-m", "whyrank.tracking.ui_process", str(os.getpid())]
    command += [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--app-name", NAME]
    command += ["--uvicorn-opts", "--log-level warning --no-access-log"]
    command += ["--default-artifact-root", store.artifacts.as_uri()]
    env = {
        **os.environ,
        **_QUIET,
        # A password in the store's URI is nobody's business who lists the processes.
        "MLFLOW_BACKEND_STORE_URI": store.uri,
        "MLFLOW_REGISTRY_STORE_URI": store.uri,
        # Ten processes that run what nobody here starts.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    before = signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with (
            temporary_folder("ui") as plugin,
            subprocess.Popen(command, env=_with_app(env, plugin)) as server,  # noqa: S603
        ):
            try:
                return server.wait()
            except KeyboardInterrupt:
                server.terminate()
                server.wait()
                return 0
    finally:
        signal.signal(signal.SIGHUP, before)


def _with_app(env: dict[str, str], folder: Path) -> dict[str, str]:
    """Return an environment in which `mlflow server` finds our application in a folder."""
    entry_point(folder)
    paths = [str(folder), *filter(None, [env.get("PYTHONPATH")])]
    return {**env, "PYTHONPATH": os.pathsep.join(paths)}
