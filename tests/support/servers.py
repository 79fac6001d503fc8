"""Real servers for tests, on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen


@contextmanager
def answering(command: list[str], folder: Path, ping: str) -> Iterator[tuple[str, int]]:
    """Run a server until the end of the block; give its address and process id once it answers.

    command: without the port, which is a free one. ping: a path that answers when it is ready.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = folder / f"server-{port}.log"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    with kept.open("w") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env=env, stdout=log, stderr=log, start_new_session=True, cwd=folder,
            # A shell's background jobs, of which tests may be one, ignore interrupts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 600
        while True:
            assert process.poll() is None, kept.read_text()[-3000:]
            assert time.monotonic() < deadline, kept.read_text()[-3000:]
            try:
                urlopen(f"{url}/{ping}", timeout=60).close()
                break
            except (URLError, OSError):
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
        yield url, process.pid
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=600)


def command_lines(pid: int) -> list[str]:
    """Return the command lines of all processes that a process started, and those in turn."""
    return [Path(f"/proc/{each}/cmdline").read_text() for each in descendants(pid)]


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes that a process started, and those in turn."""
    started: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            started.setdefault(parent, []).append(int(stat.parent.name))
    found = started.get(pid, [])
    for each in found:
        found = found + descendants(each)
    return found
