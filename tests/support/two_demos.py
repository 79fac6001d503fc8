"""Two processes that would make a synthetic dataset in one warehouse, one halted on its way."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.homes import Home, start


@contextmanager
def halted(process: subprocess.Popen[bytes], words: bytes) -> Iterator[None]:
    """Read what a process says up to a line with these words, and halt it there for a while."""
    assert process.stderr
    while words not in (line := process.stderr.readline()):
        assert line, "it ended before"
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)


def check_two_demos(home: Home, url: str) -> None:
    """A second demo is refused while the first is between its claim and its load."""
    first = start(home, "demo", "--folder", "one", "--users", "40", "--warehouse", url)
    with halted(first, b"generating"):
        second = home.run("demo", "--folder", "two", "--users", "25", "--warehouse", url)
    _, said = first.communicate()
    assert first.returncode == 0, said.decode()
    assert second.returncode == 1, second.stderr
    assert "another ingest or build is under way" in second.stderr
    rows = (home.folder / "one" / "user_features.csv").read_text().splitlines()
    assert len(rows) == 1 + 40
    # And a later one takes its place, whole.
    done = home.run("demo", "--folder", "two", "--users", "25", "--warehouse", url)
    assert done.returncode == 0, done.stderr
    rows = (home.folder / "two" / "user_features.csv").read_text().splitlines()
    assert len(rows) == 1 + 25
