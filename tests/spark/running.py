"""The command line as its users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "whyrank.cli"]


def whyrank(folder: Path, *words: str, env: dict[str, str] | None = None) -> str:
    """Run it to its end, which must be a good one; return what it printed."""
    done = run(folder, *words, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def run(
    folder: Path, *words: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [*COMMAND, *words], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, **(env or {})},
    )  # fmt: skip
