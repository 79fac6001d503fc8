"""whyrank, and its dbt, as processes of their own that need not import anything first.

An interpreter that starts, imports MLflow or dbt and runs a command of a tenth of a second takes
two seconds for it. Here one server imports them once for each worker of pytest, and forks for each
run: a process of its own, with its own memory, folder, environment and standard streams. How a
process starts, and how it ends by a signal, is not seen this way; tests of that start a real one
(`start` and `Home.run(under=...)` in tests/support/homes.py, tests/test_cli.py).
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import io
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb

from tests.support import one_thread
from tests.support.parses import kept_parse

ROOT = Path(__file__).resolve().parents[2]
# What commands import late; a module that is missing here only makes a run slower.
PRELOADED = (
    "dbt.cli.main", "dbt.adapters.duckdb", "dbt.adapters.postgres", "dbt.task.run", "dbt.task.test",
    "mlflow", "mlflow.pyfunc", "mlflow.sklearn", "mlflow.tracking", "xgboost", "lightgbm",
    "sklearn.ensemble", "sklearn.linear_model", "scipy.optimize", "scipy.stats", "pandas",
    "pyarrow.parquet", "matplotlib.pyplot", "rich.progress", "whyrank.cli", "whyrank.tracking",
    "whyrank.pipeline.build", "whyrank.pipeline.calibrate", "whyrank.pipeline.compare",
    "whyrank.pipeline.demo", "whyrank.pipeline.doctor", "whyrank.pipeline.evaluate",
    "whyrank.pipeline.init", "whyrank.pipeline.score", "whyrank.pipeline.train",
    "whyrank.warehouse.dbt_project.child", "whyrank.warehouse.engines.postgres.warehouse",
)  # fmt: skip


def whyrank(
    words: Sequence[str], folder: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return _forked("whyrank", words, folder, env)


def python(
    code: str, folder: Path, env: Mapping[str, str], arguments: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end."""
    return _forked("python", [code, *arguments], folder, env)


def start_python(
    code: str, folder: Path, env: Mapping[str, str], arguments: Sequence[str] = ()
) -> Running:
    """Start a script, and leave it running."""
    return Running("python", [code, *arguments], folder, env)


def start(words: Sequence[str], folder: Path, env: Mapping[str, str]) -> Running:
    """Start the command line, and leave it running: to be killed, or waited for by `end`.

    A new store is made by MLflow itself, with all the moments at which that can be killed.
    """
    return Running("start", words, folder, env)


class Running:
    """A process that the server forked, the leader of a group of its own.

    What it has the server start for it, its dbt, ends with it, however it ends.
    """

    def __init__(
        self, work: str, words: Sequence[str], folder: Path, env: Mapping[str, str], path: str = ""
    ) -> None:
        self._called = [work, *words]
        self._place = tempfile.TemporaryDirectory(prefix="whyrank-process-")
        for name in ("out", "err"):  # there, however early it is killed
            Path(self._place.name, name).touch()
        asked = (work, list(words), str(folder), dict(env), self._place.name)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path or _server())
        self._socket.sendall(json.dumps(asked).encode() + b"\n")
        self._answer = self._socket.makefile("rb")
        self._pid = int(self._answer.readline())

    def ended(self, patience: float = 0.0) -> bool:
        """Whether it has ended, after waiting so many seconds for that."""
        return bool(select.select([self._socket], [], [], patience)[0])

    def kill(self) -> None:
        """Kill the whole group, if it has not ended."""
        for kill in (os.kill, os.killpg):  # it is alone until it leads a group
            with suppress(ProcessLookupError):
                kill(self._pid, signal.SIGKILL)

    def said(self) -> str:
        """Return what it has written to standard error so far."""
        return Path(self._place.name, "err").read_text("utf-8")

    def end(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end; return its exit code, its signal's number below 0, and its output."""
        with self._place as place, self._socket, self._answer:
            code = int(self._answer.readline())
            out, err = (Path(place, name).read_text("utf-8") for name in ("out", "err"))
        return subprocess.CompletedProcess(self._called, code, out, err)


def run_dbt(
    arguments: Sequence[str],
    env: Mapping[str, str],
    lock: object,
    look: Callable[[], None] = lambda: None,
    *,
    server: str = "",
) -> subprocess.CompletedProcess[str]:
    """Stand in for `dbt_project.run._run`; the lock is its caller's, which waits."""
    del lock
    running = Running("dbt", arguments[3:], Path.cwd(), env, server)
    while not running.ended(0.5):
        look()
    return running.end()


def _forked(
    work: str, words: Sequence[str], folder: Path, env: Mapping[str, str], path: str = ""
) -> subprocess.CompletedProcess[str]:
    return Running(work, words, folder, env, path).end()


@functools.cache
def _server() -> str:
    """Start the server, which ends with this process; return its socket's path."""
    folder = tempfile.mkdtemp(prefix="whyrank-server-")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.processes", f"{folder}/socket"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip

    def end() -> None:
        process.stdin.close()
        process.stdout.close()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    assert process.stdout.readline() == b"ready\n"
    return f"{folder}/socket"


def serve(path: str) -> None:
    """Import everything, then fork for each run that is asked for, until standard input ends."""
    for name in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(name)
    assert threading.active_count() == 1, threading.enumerate()  # or a fork could hang
    duckdb.connect = one_thread.connect
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            ready, _, _ = select.select([listening, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            caller, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _serve(path, caller)
            caller.close()


def _serve(path: str, caller: socket.socket) -> None:
    """Let a process do the work; answer with its exit code, or its signal's number below 0."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with caller.makefile("rb") as asked:
        work, words, folder, env, place = json.loads(asked.readline())
    worker = os.fork()
    if worker == 0:
        os.setsid()
        caller.close()
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(env)
        tempfile.tempdir = None  # by this environment, and not by the server's
        _streams(place)
        run = functools.partial(_WORK[work], path)
        os._exit(_code(run, words))
    with suppress(OSError):  # nobody listens when the caller was killed
        caller.sendall(f"{worker}\n".encode())
        if hasattr(os, "pidfd_open"):
            ended = os.pidfd_open(worker)
            if ended not in select.select([ended, caller], [], [])[0]:
                os.killpg(worker, signal.SIGKILL)
        _, status = os.waitpid(worker, 0)
        caller.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _code(work: Callable[[list[str]], int], words: list[str]) -> int:
    """Do the work; return the exit code, as an interpreter has it."""
    try:
        code: Any = work(words)
    except SystemExit as stop:
        code = stop.code
    except BaseException:  # noqa: BLE001 - as an interpreter ends
        sys.excepthook(*sys.exc_info())
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code or 0


def _streams(place: str) -> None:
    for number, name in ((0, os.devnull), (1, f"{place}/out"), (2, f"{place}/err")):
        file = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8"
    )
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)), encoding="utf-8",
        errors="backslashreplace", line_buffering=True,
    )  # fmt: skip


def _whyrank(path: str, words: list[str]) -> int:
    _copy_stores(path)
    return _start(path, words)


def _start(path: str, words: list[str]) -> int:
    from whyrank.cli import main

    _fork_dbt(path)
    sys.argv = ["whyrank", *words]
    main()
    return 0


def _python(path: str, words: list[str]) -> int:
    _fork_dbt(path)
    code, *arguments = words
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - tests' own
    return 0


def _fork_dbt(path: str) -> None:
    from whyrank.warehouse.dbt_project import run as dbt_run

    dbt_run._run = functools.partial(run_dbt, server=path)


def _copy_stores(path: str) -> None:
    from tests.support import store_template
    from whyrank.tracking import local

    local._create = store_template.creator(Path(path).parent)


def _dbt(path: str, words: list[str]) -> int:
    from whyrank.warehouse.dbt_project import child as dbt_process

    dbt_process._end_with_parent = lambda _: None  # the server is its parent
    with kept_parse(Path(words[1]), Path(path).parent):
        return dbt_process.main(words)


_WORK = {"whyrank": _whyrank, "start": _start, "python": _python, "dbt": _dbt}


if __name__ == "__main__":
    serve(sys.argv[1])
