"""The user interface of MLflow ends with all that it started, however it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.support.servers import answering, command_lines, descendants
from whyrank.tracking import Store, local_store
from whyrank.tracking.client import experiment_of, using

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("outages")]


def await_end(pid: int) -> None:
    """Wait until a process has ended."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            found, _, _ = select.select([descriptor], [], [], 120)
            assert found, Path(f"/proc/{pid}/cmdline").read_text()
        finally:
            os.close(descriptor)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one experiment."""
    made = local_store(tmp_path / "mlflow")
    with using(made) as ml:
        experiment_of(made, ml, "shop")
    return made


def test_the_ui_serves_the_store_and_no_command_line_names_it(tmp_path: Path, store: Store) -> None:
    command = [sys.executable, "-m", "whyrank.cli", "ui"]
    # By the environment: what is given as --tracking, our own command line names.
    with answering(command, tmp_path, "health") as (url, pid):
        asked = Request(f"{url}/api/2.0/mlflow/experiments/search?max_results=10")
        with urlopen(asked, timeout=600) as answer:
            found = json.loads(answer.read())["experiments"]
        assert "whyrank shop" in {one["name"] for one in found}
        with urlopen(f"{url}/", timeout=600) as answer:
            assert b'"machine_learning"' in answer.read()  # it opens on model training
        said = command_lines(pid)
        assert said, "the server runs as a process of its own"
        assert not [words for words in said if store.uri in words]


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_no_process_stays_and_the_port_is_free(tmp_path: Path, store: Store, number: int) -> None:
    command = [sys.executable, "-m", "whyrank.cli", "ui", "--tracking", store.uri]
    with answering(command, tmp_path, "health") as (url, pid):
        started = descendants(pid)
        assert 2 <= len(started) <= 5  # without the ten that run jobs
        port = int(url.rpartition(":")[2])
        refused = subprocess.run(
            [*command, "--port", str(port)], capture_output=True, text=True, check=False
        )
        assert refused.returncode == 2
        assert refused.stderr == f"error: port {port}: is in use: give another one by --port\n"
        os.kill(pid, number)
        for each in started:
            await_end(each)
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))
