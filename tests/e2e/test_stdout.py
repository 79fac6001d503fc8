"""What commands print on standard output is theirs alone, whatever a library would draw there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import Home

# A process that looks interactive, and in which a bar that would be drawn after two seconds is
# drawn at once. (Lint holds that all connections are opened by this function.)
INTERACTIVE = """
import sys
from whyrank import database

sys.ps1 = ">>> "
opened = database.connect_duckdb


def connect(*given, **settings):
    con = opened(*given, **settings)
    (drawn,) = con.execute("select current_setting('enable_progress_bar')").fetchone()
    if drawn:
        con.execute("set progress_bar_time = 0")
    return con


database.connect_duckdb = connect
from whyrank.cli import main

main()
"""
BUILD = re.compile(r"build \S+\)")
COMMANDS = (
    ("generate", "--users", "40", "--out", "made.csv"),
    ("ingest", "events.csv"),
    ("build", "--full", "--out", "features.csv"),
    ("score", "--top", "5"),
    ("explain", "u1"),
    ("init", "events.csv", "--target", "page_view"),
)


def test_no_command_lets_a_progress_bar_onto_standard_output(home: Home, tmp_path: Path) -> None:
    """Each prints what it does where no bar can be: in a process that is not interactive."""
    plain = Home(shutil.copytree(home.folder, tmp_path / "plain"))
    env = {k: v for k, v in os.environ.items() if not k.startswith("WHYRANK_")}
    for words in COMMANDS:
        shown = subprocess.run(
            [sys.executable, "-c", INTERACTIVE, *words], cwd=home.folder, env=env,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        expected = plain.run(*words)
        assert expected.stdout, words
        assert shown.returncode == expected.returncode, shown.stderr
        assert BUILD.sub("", shown.stdout) == BUILD.sub("", expected.stdout)
