"""A small warehouse that is ingested and built."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.homes import GOOD, Home


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose warehouse holds good events, built and published."""
    home = Home(tmp_path_factory.mktemp("built"))
    home.write("events.csv", GOOD)
    for arguments in (["ingest", "events.csv"], ["build"], ["score"]):
        done = home.run(*arguments)
        assert done.returncode == 0, done.stderr
    return home.folder


@pytest.fixture
def home(built: Path, tmp_path: Path) -> Home:
    """A copy of that folder, for one test to spoil."""
    shutil.copytree(built, tmp_path / "home")
    return Home(tmp_path / "home")


@pytest.fixture
def can() -> Callable[[Sequence[str]], None]:
    """Skip a test when the system cannot do what it needs, such as mounting a small disk."""

    def check(command: Sequence[str]) -> None:
        works = (
            shutil.which(command[0])
            and not subprocess.run([*command, "true"], capture_output=True, check=False).returncode
        )
        if not works:
            pytest.skip(f"this system cannot run {' '.join(command)}")

    return check
