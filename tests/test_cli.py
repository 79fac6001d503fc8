"""The command line: quick plain help, examples, exit codes, JSON logs."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.main import get_command

from tests.support import processes
from whyrank.cli import app
from whyrank.cli.output import Terminal, reporting
from whyrank.errors import UsageError

WHYRANK = [sys.executable, "-m", "whyrank.cli"]
HEAVY = ("pandas", "dbt", "xgboost", "mlflow", "shap", "streamlit", "rich", "duckdb", "numpy")
COMMANDS = sorted(
    name
    for name, command in get_command(app).commands.items()  # type: ignore[attr-defined]
    if not command.hidden
)


def whyrank(
    *arguments: str, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    return processes.whyrank(arguments, cwd or Path.cwd(), {**os.environ, **env})


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_is_plain_has_an_example_and_loads_nothing_heavy(command: str | None) -> None:
    arguments = [command, "--help"] if command else ["--help"]
    code = (
        "import sys\nsys.argv[1:] = " + repr(arguments) + "\n"
        "from whyrank.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    if command:
        assert f"Example: whyrank {command}" in " ".join(done.stdout.split())


REFUSED = (
    "train --candidates nobody", "train --candidates logistic,scorecard", "train --horizon 5x",
    "train --level 2", "train --n-boot 10", "train --spec sass", "train --folds 0",
    "evaluate --horizon 12h", "evaluate --level 0", "calibrate --against x",
    "calibrate --apply there.toml", "score --population x", "train --warehouse x.csv",
)  # fmt: skip


def test_a_wrong_option_is_refused_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    slow = tuple(name for name in HEAVY if name != "duckdb")  # which opens the warehouse
    (tmp_path / "there.toml").touch()
    code = (
        "import sys\nfrom whyrank.cli import main\n"
        f"for words in {REFUSED!r}:\n"
        "    sys.argv[1:] = words.split()\n"
        "    try:\n        main()\n    except SystemExit as stop:\n"
        "        assert stop.code == 2 or 'sass' in words, words\n"
        f"    loaded = [name for name in {slow!r} if name in sys.modules]\n"
        "    assert not loaded, (words, loaded)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.lower().startswith("error: ")]
    assert len(errors) >= len(REFUSED) - 1  # typer's own begins otherwise


def test_scoring_by_points_loads_no_learning_library() -> None:
    code = (
        "import sys, whyrank.pipeline.score\n"
        "learning = ('sklearn', 'scipy', 'pandas', 'xgboost', 'mlflow', 'shap', 'matplotlib')\n"
        "print([name for name in learning if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_loading_into_a_file_loads_no_driver_of_a_server() -> None:
    code = (
        "import sys, whyrank.pipeline.ingest\n"
        "servers = ('pandas', 'psycopg', 'adbc_driver_manager', 'adbc_driver_postgresql')\n"
        "print([name for name in servers if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_quiet_json_logs_and_debug(command: str) -> None:
    text = whyrank(command, "--help").stdout
    for option in ("--quiet", "--json-logs", "--debug"):
        assert option in text


def test_a_wrong_call_exits_2_and_a_wrong_state_1(tmp_path: Path) -> None:
    wrong = whyrank("score", "--as-of", "yesterday", cwd=tmp_path)
    assert (wrong.returncode, "is not a date" in wrong.stderr) == (2, True)
    url = whyrank("score", "--warehouse", "mysql://x", cwd=tmp_path)
    assert (url.returncode, "is not a DuckDB URL" in url.stderr) == (2, True)
    nothing = whyrank("score", cwd=tmp_path)
    assert nothing.returncode == 1
    assert nothing.stderr.splitlines()[-1].startswith("error: nothing is built for spec 'saas'")
    assert "Traceback" not in nothing.stderr
    shown = whyrank("score", "--debug", cwd=tmp_path)
    assert "Traceback" in shown.stderr


def _wrapped(full: IO[bytes]) -> None:
    try:
        full.write(b"x" * 100_000)
    except OSError as error:
        raise RuntimeError("a library's own error") from error


@pytest.mark.parametrize(
    "write",
    [
        lambda full: full.write(b"x" * 100_000),
        lambda full: np.save(full, np.zeros(300_000)),
        lambda full: pq.write_table(pa.table({"a": np.arange(300_000)}), full),
        _wrapped,
    ],
    ids=["bytes", "numpy", "parquet", "wrapped"],
)
def test_a_full_disk_is_said_whatever_library_finds_it(
    write: Callable[[IO[bytes]], object], capsys: pytest.CaptureFixture[str]
) -> None:
    """Linux's device that is always full. Opened here: given its path, libraries replace it."""
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(typer.Exit) as caught,
        reporting(Terminal(), debug=False),
    ):
        write(full)
    assert caught.value.exit_code == 1
    said = capsys.readouterr().err
    assert said == "error: the disk is full: free some space, then run this again\n"


def test_what_the_machine_refuses_is_no_bug_and_what_we_do_wrong_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for wrong, said in (
        ((tmp_path / ("n" * 300)).touch, f"{tmp_path}/{'n' * 300}: File name too long"),
        ((tmp_path / "file" / "a").touch, f"{tmp_path}/file/a: Not a directory"),
        (tmp_path.read_text, f"{tmp_path}: Is a directory"),
        (lambda: bytearray(1 << 62), "more memory was needed than there is: free some"),
        (lambda: {}["key"], "unexpected KeyError: 'key' (this is a bug in whyrank"),
        (Path("/nowhere").read_text, "unexpected FileNotFoundError: "),
    ):
        with pytest.raises(typer.Exit), reporting(Terminal(), debug=False):
            wrong()  # type: ignore[no-untyped-call]
        assert capsys.readouterr().err.startswith(f"error: {said}")


@pytest.mark.parametrize("json_logs", [False, True])
def test_a_traceback_tells_no_secret_and_moves_no_cursor(
    json_logs: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, code in ((RuntimeError, 1), (UsageError, 2)):
        with (
            pytest.raises(typer.Exit) as caught,
            reporting(Terminal(json_logs=json_logs), debug=True),
        ):
            raise kind("postgresql://ana:s3cret@db: \x1b[2J refused")
        assert caught.value.exit_code == code
        said = capsys.readouterr().err
        assert "Traceback" in said
        assert said.count("ana:***@db") >= 2  # the traceback's last line, and the error's
        assert "s3cret" not in said
        assert "\x1b" not in said


def test_json_logs_are_json_lines(tmp_path: Path) -> None:
    done = whyrank("score", "--json-logs", cwd=tmp_path)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["level"] for line in lines} == {"info", "error"}
    assert all({"time", "level", "message"} <= set(line) for line in lines)


def test_options_come_from_the_environment_too(tmp_path: Path) -> None:
    done = whyrank("doctor", cwd=tmp_path, WHYRANK_SPEC="olist", WHYRANK_WAREHOUSE="duckdb:///x.db")
    assert "spec olist is sound" in done.stdout
    assert "x.db does not exist yet" in done.stdout
    broken = whyrank("doctor", cwd=tmp_path, WHYRANK_SPEC="olits")
    assert broken.returncode == 1
    assert "did you mean 'olist'" in broken.stdout


def test_logs_tell_how_far_long_work_is_and_when_it_may_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = 0.0
    terminal = Terminal(clock=lambda: now)
    with terminal:
        # Twelve fits of half a minute each, of which an earlier run kept three.
        for done in range(3, 12):
            terminal.log(f"fitting {done}")
            terminal.progress(done, 12)
            now += 9.0
            terminal.progress(done, 12)  # nothing yet: a log is not told every moment
            now += 21.0
        terminal.log("logging")
        now += 60.0
    lines = capsys.readouterr().err.splitlines()
    assert lines == [*(f"fitting {done} …" for done in range(3, 12)), "logging …"]

    terminal.log("comparing")
    for done in range(0, 1000, 50):
        terminal.progress(done, 1000)
        now += 3.0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "comparing …"
    # The first after ten seconds, four batches of three seconds: 16 more of them to come.
    assert said[1] == "comparing 200 of 1,000, 0:12, about 0:48 left …"
    assert len(said) == 5
    terminal.log("building models")  # which differ: five quick ones say nothing of the others
    for done in range(1, 7):
        terminal.steps(done, 31)
        now += 4.0
    said = capsys.readouterr().err.splitlines()
    assert said == ["building models …", "building models 4 of 31, 0:12 …"]
    terminal.log("building models")  # whose times of the last build are known
    for done, left in ((1, 90.0), (2, 40.0)):
        for _ in range(4):
            terminal.steps(done, 31, left)
            now += 6.0
    assert capsys.readouterr().err.splitlines() == [
        "building models …",
        "building models 1 of 31, 0:12, about 1:18 left …",
        "building models 2 of 31, 0:24, about 0:40 left …",
        "building models 2 of 31, 0:36, about 0:28 left …",
    ]
    now += 60.0
    terminal.steps(2, 31, 40.0)  # the last build's took less: nothing is left by them
    assert capsys.readouterr().err.splitlines() == ["building models 2 of 31, 1:48 …"]
    terminal.log("reading")
    now += 12.0
    terminal.progress(250_000, 1_000_000)
    assert capsys.readouterr().err.splitlines()[1] == "reading 25%, 0:12 …"


def test_quiet_is_quiet_but_for_errors_and_documents(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(quiet=True, json_logs=True)
    terminal.log("fitting")
    terminal.warn("the tracking server does not answer")
    terminal.print("a list")
    assert capsys.readouterr() == ("", "")
    terminal.document({"a": 1})
    assert json.loads(capsys.readouterr().out) == {"a": 1}
    terminal.error("the disk is full")
    assert json.loads(capsys.readouterr().err)["level"] == "error"


def test_long_work_shows_on_a_terminal_how_far_it_is(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*WHYRANK, "generate", "--users", "4000", "--out", "events.csv"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=theirs) as run:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal is gone when the process is
            while part := os.read(ours, 65536):
                shown += part
    os.close(ours)
    assert run.returncode == 0
    percents = [int(found) for found in re.findall(rb"generating 4,000 users (\d+)%", shown)]
    assert percents
    assert percents == sorted(percents)
    assert b"\x1b[?25h" in shown, "the cursor is back"
