"""The process above MLflow's server: `python -m whyrank.tracking.ui_process PARENT WORD …`.

It runs a command in a process group of its own and ends the whole of it: when it is told to end,
when the process with the id PARENT that started it ends, however that ends, and when the command
does. A server leaves nobody behind who holds its port.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from types import FrameType

_PATIENCE = 5.0  # seconds in which those who were asked to end may do it themselves


def main(arguments: list[str]) -> int:
    """Run the command until it, or the process that started this, ends; return its exit code."""
    parent, *command = arguments
    os.setsid()

    def asked(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, asked)
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
    if os.getppid() != int(parent):  # it ended before we could ask
        return 1
    with subprocess.Popen(command) as server:  # noqa: S603 - our own words
        try:
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            _end_group(server)


def _end_group(server: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end, wait for its head, and end what is left; this process too."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    try:
        server.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
