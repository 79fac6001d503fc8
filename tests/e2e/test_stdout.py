"""What commands print on standard output is theirs alone, whatever a library would draw there."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.support.homes import Home

pytestmark = [
    pytest.mark.commands,
    pytest.mark.xdist_group("bad-input"),  # which has built the same warehouse
]
BAR = re.compile(r"\r|[▏▎▍▌▋▊▉█▕]|\d%")
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

for words in COMMANDS:
    sys.argv = ["whyrank", *words]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, words
"""
COMMANDS = (
    ("generate", "--users", "40", "--out", "made.csv"),
    ("ingest", "events.csv"),
    ("build", "--full", "--out", "features.csv"),
    ("score", "--top", "5"),
    ("explain", "u1"),
    ("doctor",),
    ("init", "events.csv", "--target", "page_view"),
)


def test_no_progress_bar_is_on_standard_output(home: Home) -> None:
    """Of the commands that need no training."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("WHYRANK_")}
    code = INTERACTIVE.replace("COMMANDS", repr(COMMANDS))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home.folder, env=env,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2,360 events of 40 users in made.csv" in done.stdout  # the first command's
    assert "my_spec.toml" in done.stdout  # the last one's
    assert not BAR.search(done.stdout), done.stdout
