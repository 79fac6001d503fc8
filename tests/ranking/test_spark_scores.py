"""The folder of everybody's scores, which a link of the date leads to: whole, or as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from whyrank.ranking.spark import _atomic_replacement

KILLED = """
import sys
from pathlib import Path
from whyrank.ranking.spark import _atomic_replacement
with _atomic_replacement(Path(sys.argv[1]), print) as written:
    written.mkdir()
    (written / "part").write_text("half")
    print("written", flush=True)
    sys.stdin.read()
"""


def write(target: Path, text: str) -> None:
    with _atomic_replacement(target, print) as written:
        written.mkdir()
        (written / "part").write_text(text)


def held(target: Path) -> list[str]:
    """Return what is on the disk, of all dates."""
    return sorted(each.read_text() for each in (target.parent / "written").glob("*/*"))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Give the scores of a date, and those of another beside them."""
    found = tmp_path / "scores" / "2026-03-01.parquet"
    write(found, "first")
    write(found.with_name("2026-03-02.parquet"), "other")
    return found


def test_scores_take_the_place_of_earlier_ones(target: Path) -> None:
    write(target, "second")
    assert (target / "part").read_text() == "second"
    assert held(target) == ["other", "second"]
    moved = target.parent.rename(target.parent.with_name("moved"))
    assert (moved / target.name / "part").read_text() == "second"


def test_until_the_end_the_earlier_ones_are_read(target: Path) -> None:
    with _atomic_replacement(target, print) as written:
        written.mkdir()
        assert (target / "part").read_text() == "first"
    assert list(target.iterdir()) == []


def test_a_failure_leaves_the_earlier_ones(target: Path) -> None:
    with pytest.raises(KeyError), _atomic_replacement(target, print) as written:
        written.mkdir()
        (written / "part").write_text("half")
        raise KeyError
    assert held(target) == ["first", "other"]


def test_a_second_one_says_that_it_waits(target: Path) -> None:
    """The first one ends when the second has said so, and not before."""
    first, said = ExitStack(), []

    def log(message: str) -> None:
        said.append((message, (target / "part").read_text()))
        first.close()

    written = first.enter_context(_atomic_replacement(target, log))
    written.mkdir()
    (written / "part").write_text("second")
    with _atomic_replacement(target, log) as third:
        third.mkdir()
        (third / "part").write_text("third")
    waited = f"waiting for another scoring, which writes to {target.parent}"
    assert said == [(waited, "first"), ("scoring", "second")]
    assert held(target) == ["other", "third"]


def test_what_a_killed_one_left_is_removed_by_the_next(target: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(target)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert held(target) == ["first", "half", "other"]
    assert (target / "part").read_text() == "first"
    write(target.with_name("2026-03-02.parquet"), "newer")
    assert held(target) == ["first", "newer"]
