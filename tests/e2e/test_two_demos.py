"""Two processes that would make a world in one warehouse: one does, the other is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from tests.support.homes import Home, start
from whyrank.errors import WarehouseError
from whyrank.pipeline.training_world import make_training_world
from whyrank.spec.load import load_spec
from whyrank.warehouse.open import open_warehouse

pytestmark = pytest.mark.engines


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


def test_of_two_demos_one_is_refused(tmp_path: Path) -> None:
    check_two_demos(Home(tmp_path), "duckdb:///w.duckdb")
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as con:
        found = con.execute("select distinct file from saas_landing.loads").fetchall()
    assert {Path(file).parent.name for (file,) in found} == {"two"}


@pytest.mark.slow
def test_of_two_trainings_one_makes_the_world(tmp_path: Path) -> None:
    spec, url = load_spec("saas"), f"duckdb:///{tmp_path}/w.duckdb"
    store = open_warehouse(url)
    code = (
        "import sys\n"
        "from whyrank.pipeline.training_world import make_training_world as make\n"
        "from whyrank.spec.load import load_spec\n"
        "from whyrank.warehouse.open import open_warehouse\n"
        "say = lambda text: print(text, file=sys.stderr, flush=True)\n"
        "make(load_spec('saas'), open_warehouse(sys.argv[1]), users=60, days=40, log=say)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, url], stderr=subprocess.PIPE, start_new_session=True
    ) as first:
        with (
            halted(first, b"generating"),
            pytest.raises(WarehouseError, match="another ingest or build is under way"),
        ):
            make_training_world(spec, store, users=60, days=40)
        _, said = first.communicate()
    assert first.returncode == 0, said.decode()
    assert not make_training_world(spec, store, users=60, days=40)
    with store.reading() as con:
        found = con.execute("select count(*), count(distinct file) from saas_landing.loads")
        assert found.fetchone() == (2, 2)
