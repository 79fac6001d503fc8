"""ui: MLflow's own user interface over a store, on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from ..errors import UsageError
from ..tracking import Store, views


def view_lines(store: Store, port: int) -> Iterator[str]:
    """Yield where the UI answers which scorer of a spec's last training ranks better."""
    for name, path in views(store):
        yield f"  {name}, who ranks better: http://127.0.0.1:{port}/{path}"


def check_servable(store: Store) -> None:
    """Raise UsageError when the store is a server already, or nothing is in it yet."""
    if store.uri.startswith(("http://", "https://")):
        raise UsageError(f"the store is a server with an interface of its own: open {store.shown}")
    if not store.exists:
        raise UsageError("nothing is tracked here yet: run `whyrank train` first")


def serve_ui(store: Store, port: int) -> int:
    """Run MLflow's server on 127.0.0.1 until it is stopped; return its exit code."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--default-artifact-root", (store.home / "artifacts").resolve().as_uri()]
    # A password in the store's URI is nobody's business who lists the processes.
    env = {**os.environ, "MLFLOW_BACKEND_STORE_URI": store.uri}
    try:
        return subprocess.run(command, env=env, check=False).returncode  # noqa: S603 - fixed words
    except KeyboardInterrupt:
        return 0
