"""A build killed during and between its models: the next one's tables are an undisturbed run's."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import pytest

from tests.support.homes import HEADER, Home, killed, start
from whyrank.spec.load import spec_text

LATE = HEADER + "".join(
    f"u{i},2026-03-{day:02d}T{hour:02d}:05:00Z,{name},{i}\n"
    for i in range(0, 60, 7)
    for day, hour, name in ((2, 10, "page_view"), (20, 23, "signup"), (30, 9, "pricing_view"))
)
MODELS = (
    "identities",
    "changed_users",
    "sessions",
    "user_days",
    "outcomes",
    "daily_events",
    "user_details",
    "user_features",
)
pytestmark = pytest.mark.engines

Tables = dict[str, list[tuple[object, ...]]]
DATES = ("--as-of", "2026-03-15", "--as-of", "2026-04-02")


def tables(home: Home) -> Tables:
    """Every table that dbt built, its rows in order."""
    found: Tables = {}
    with duckdb.connect(str(home.folder / "data" / "whyrank.duckdb"), read_only=True) as con:
        names = con.execute(
            "select table_name from information_schema.tables where table_schema = 'saas_marts' "
            "and table_type = 'BASE TABLE' and table_name <> 'changed_users'"
        ).fetchall()
        for (name,) in sorted(names):
            found[name] = con.execute(f"select * from saas_marts.{name} order by all").fetchall()
    return found


@pytest.fixture(scope="module")
def loaded(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A built warehouse into which late events were loaded since."""
    home = Home(shutil.copytree(built, tmp_path_factory.mktemp("loaded") / "home"))
    assert home.run("build", *DATES).returncode == 0
    home.write("late.csv", LATE)
    assert home.run("ingest", "late.csv").returncode == 0
    return home


@pytest.fixture(scope="module")
def undisturbed(loaded: Home, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    copy = Home(shutil.copytree(loaded.folder, tmp_path_factory.mktemp("undisturbed") / "home"))
    before = tables(copy)
    assert copy.run("build", *DATES).returncode == 0
    after = tables(copy)
    assert before != after
    return after


def said(home: Home, model: str, words: str) -> Callable[[], bool]:
    """Hold once dbt's log says of a model that it began, or that it is done."""
    log = home.folder / "data" / "whyrank" / "saas" / "dbt" / "logs" / "dbt.log"
    log.unlink(missing_ok=True)
    line = re.compile(rf"{words} sql .*saas_marts\.{model} ")
    return lambda: log.exists() and line.search(log.read_text(encoding="utf-8")) is not None


def check_recovery(home: Home, undisturbed: Tables, model: str, words: str, *mode: str) -> bool:
    """Kill a build at a model; check what the next build makes; return whether the kill hit."""
    hit = killed(start(home, "build", *DATES, *mode), said(home, model, words))
    done = home.run("build", *DATES)
    assert done.returncode == 0, done.stderr
    assert tables(home) == undisturbed
    return hit


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("user_days", "OK created"),
        pytest.param("sessions", "START", marks=pytest.mark.slow),
        pytest.param("outcomes", "START", marks=pytest.mark.slow),
    ],
)
def test_a_kill_at_a_model(
    loaded: Home, undisturbed: Tables, tmp_path: Path, model: str, words: str
) -> None:
    copy = Home(shutil.copytree(loaded.folder, tmp_path / "home"))
    assert check_recovery(copy, undisturbed, model, words), "the kill came too late"


def test_a_kill_of_a_build_of_a_spec_that_is_then_taken_back(
    loaded: Home, undisturbed: Tables, tmp_path: Path
) -> None:
    """Some models are of the other spec by then: none of them may be built on."""
    copy = Home(shutil.copytree(loaded.folder, tmp_path / "home"))
    changed = spec_text("saas").replace("bounce_events = 1", "bounce_events = 2", 1)
    assert changed != spec_text("saas")
    other = copy.write("saas.toml", changed)
    process = start(copy, "build", *DATES, "--spec", other)
    assert killed(process, said(copy, "user_days", "OK created")), "the kill came too late"
    done = copy.run("build", *DATES)
    assert done.returncode == 0, done.stderr
    assert tables(copy) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("mode", [(), ("--full-refresh",)])
def test_a_kill_during_and_after_each_model(
    loaded: Home, undisturbed: Tables, tmp_path: Path, mode: tuple[str, ...]
) -> None:
    hits = 0
    for model in MODELS:
        for words in ("START", "OK created"):
            copy = Home(shutil.copytree(loaded.folder, tmp_path / f"{model}{words[:2]}"))
            hits += check_recovery(copy, undisturbed, model, words, *mode)
    assert hits >= 2 * len(MODELS) - 2, "the kills came too late to mean anything"


def test_two_builds_at_once(loaded: Home, undisturbed: Tables, tmp_path: Path) -> None:
    """While one build is under way another fails with a clear line; the first one is unharmed."""
    copy = Home(shutil.copytree(loaded.folder, tmp_path / "home"))
    first = start(copy, "build", *DATES)
    assert first.stderr
    first.stderr.readline()  # "building …": it has planned, and dbt runs
    os.killpg(first.pid, signal.SIGSTOP)
    for command in (("build",), ("ingest", "late.csv")):
        second = copy.run(*command)
        assert second.returncode == 1
        assert "another ingest or build is under way" in second.stderr
    os.killpg(first.pid, signal.SIGCONT)
    _, words = first.communicate()
    assert first.returncode == 0, words.decode()
    assert tables(copy) == undisturbed


@pytest.mark.parametrize("left", [pytest.param("0", marks=pytest.mark.slow), "600K"])
def test_a_disk_that_is_full_during_a_build(
    loaded: Home,
    undisturbed: Tables,
    tmp_path: Path,
    can: Callable[[Sequence[str]], None],
    left: str,
) -> None:
    """The build says so in one line; once there is room the next one makes the right tables."""
    can(("unshare", "-m"))
    copy = Home(shutil.copytree(loaded.folder, tmp_path / "home"))
    build = f"{sys.executable} -m whyrank.cli build {' '.join(DATES)}"
    script = (
        "mkdir small && mount -t tmpfs -o size=48m tmpfs small && cp -r data small/ && cd small && "
        f"head -c {left} /dev/zero > kept; cat /dev/zero > filler 2>/dev/null; rm kept; "
        f"{build} >&2; code=$?; rm filler; {build} >&2 && cp data/whyrank.duckdb ../data/ && "
        "exit $code"
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        cwd=copy.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "disk is full" in errors[0] or "No space left" in errors[0], errors
    assert tables(copy) == undisturbed
