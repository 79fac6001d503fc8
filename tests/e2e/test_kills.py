"""Real kills: whatever moment a process dies at, the state before or the next one stands."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from tests.support.homes import HEADER, Home, killed, start

pytestmark = pytest.mark.engines

BIG = 500_000


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that takes a good second to load."""
    path = tmp_path_factory.mktemp("big") / "big.csv"
    rows = (f"b{i % 5000},2026-03-20T10:{i % 60:02d}:00Z,page_view,1\n" for i in range(BIG))
    with path.open("w") as file:
        file.write(HEADER)
        for part in iter(lambda: "".join(itertools.islice(rows, 100_000)), ""):
            file.write(part)
    return path


def elapsed(seconds: float) -> Callable[[], bool]:
    """Hold from so many seconds on: a kill at some moment, wherever the work then is."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


class Killer:
    """Kills runs at moments spread over their time.

    A run that was quicker than the one before tells how long one takes now, so that whatever else
    the machine does, each moment is hit in the end.
    """

    SHARES = (0.35, 0.55, 0.7, 0.85, 0.97)

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def kill(self, process: subprocess.Popen[bytes], share: float) -> bool:
        """Kill a run at a share of its time; return whether it was still running then."""
        began = time.monotonic()
        hit = killed(process, elapsed(share * self._seconds))
        if not hit:
            self._seconds = min(self._seconds, time.monotonic() - began)
        return hit


def timed(home: Home, *arguments: object) -> float:
    """Run whyrank as the runs that are killed are; return its seconds."""
    began = time.monotonic()
    process = start(home, *arguments)
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()
    return time.monotonic() - began


def counts(home: Home) -> dict[str, int]:
    return {name: home.rows(name) for name in ("events", "quarantine", "loads")}


@pytest.mark.parametrize(
    "shares", [Killer.SHARES[1::2], pytest.param(Killer.SHARES[::2], marks=pytest.mark.slow)]
)
def test_a_kill_during_ingest_leaves_all_or_nothing(
    home: Home, big: Path, shares: tuple[float, ...]
) -> None:
    killer = Killer(timed(home, "ingest", big, "--warehouse", "duckdb:///other.duckdb"))
    waiting = list(shares)
    while waiting:
        before = counts(home)
        if killer.kill(start(home, "ingest", big), waiting[0]):
            waiting.pop(0)
        now = counts(home)
        assert now["loads"] - before["loads"] in {0, 1}
        assert now["events"] in {120, 120 + BIG}
        if now["loads"] == before["loads"]:
            assert now == before
        else:  # this one had committed before the kill
            assert now["events"] == 120 + BIG
    assert home.run("ingest", big).returncode == 0
    assert home.rows("events") == 120 + BIG


def test_a_kill_while_the_database_is_written(home: Home, big: Path) -> None:
    wal = home.folder / "data" / "whyrank.duckdb.wal"
    database = home.folder / "data" / "whyrank.duckdb"
    before, size = counts(home), database.stat().st_size

    def writing() -> bool:
        return wal.exists() or database.stat().st_size > size + (1 << 20)

    process = start(home, "ingest", big)
    hit = killed(process, writing)
    after = counts(home)
    assert hit or after["events"] == before["events"] + BIG, "it ended without a kill or a load"
    assert after["events"] in {before["events"], before["events"] + BIG}
    assert (after["events"] != before["events"]) == (after["loads"] != before["loads"])


def written_down(home: Home) -> bool:
    """Whether a run is marked as running, read from a copy: the database itself is held."""
    copy = home.folder / "copy.duckdb"
    for end in ("", ".wal"):
        with suppress(FileNotFoundError):
            shutil.copy(home.folder / "data" / f"whyrank.duckdb{end}", f"{copy}{end}")
    with suppress(duckdb.Error), duckdb.connect(str(copy)) as con:
        found = con.execute("select count(*) from saas_landing.runs where status = 'running'")
        return found.fetchone() == (1,)
    return False


def test_a_load_that_was_killed_is_told_by_doctor(home: Home, big: Path) -> None:
    process = start(home, "ingest", big)
    while process.poll() is None and not written_down(home):
        pass
    os.killpg(process.pid, signal.SIGSTOP)
    held = home.run("doctor")
    assert killed(process, lambda: True), "the load was too quick"
    in_use = [line for line in held.stdout.splitlines() if "under way" in line]
    assert len(in_use) == 1, held.stdout
    done = home.run("doctor")
    told = [line for line in done.stdout.splitlines() if f"the load of {big}, " in line]
    assert len(told) == 1, done.stdout
    assert "did not end" in told[0]
    assert "run `whyrank ingest FILE` again" in told[0]


@pytest.mark.parametrize(
    "shares", [Killer.SHARES[3:4], pytest.param(Killer.SHARES[1:2], marks=pytest.mark.slow)]
)
def test_a_kill_during_build_leaves_the_published_copy(
    home: Home, shares: tuple[float, ...]
) -> None:
    top = home.folder / "data" / "top_users.csv"
    old = _scored(home, top)
    home.write("more.csv", f"{HEADER}new,2026-04-01T10:00:00Z,page_view,1\n")
    assert home.run("ingest", "more.csv").returncode == 0
    total = timed(home, "build", "--warehouse", "duckdb:///data/whyrank.duckdb")
    new = _scored(home, top)
    assert "new," in new
    assert "new," not in old
    killer = Killer(total)
    waiting = list(shares)
    for i in itertools.count():
        if not waiting:
            break
        home.write("last.csv", f"{HEADER}k{i},2026-04-02T10:00:00Z,page_view,1\n")
        assert home.run("ingest", "last.csv").returncode == 0
        if killer.kill(start(home, "build"), waiting[0]):
            waiting.pop(0)
        now = _scored(home, top)
        if now != new:  # this build had published before the kill
            assert f"k{i}" in now
            new = now
    done = home.run("build", "--check")
    assert done.returncode == 0, done.stderr
    final = _scored(home, top)
    assert all(f"k{n}," in final for n in range(i))
    with duckdb.connect(str(home.folder / "data" / "whyrank.duckdb"), read_only=True) as con:
        found = con.execute("select count(*) from saas_landing.builds").fetchone()
    assert found == (1,)


def _scored(home: Home, top: Path) -> str:
    """Return the whole ranking, without what differs from run to run."""
    done = home.run("score", "--top", "1000")
    assert done.returncode == 0, done.stderr
    lines = top.read_text().splitlines()
    return "\n".join(",".join(line.split(",")[1:4]) for line in lines)


def test_readers_and_a_build_do_not_block_each_other(home: Home, big: Path) -> None:
    assert home.run("ingest", big).returncode == 0
    process = start(home, "build", "--full")
    assert process.stderr
    process.stderr.readline()
    reads = 0
    while process.poll() is None:
        # Held still, the build keeps every lock it has while the readers come, however slow.
        os.killpg(process.pid, signal.SIGSTOP)
        assert home.run("score").returncode == 0
        assert home.run("explain", "u1").returncode == 0
        os.killpg(process.pid, signal.SIGCONT)
        reads += 1
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.5)
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()
    assert reads >= 2


def test_a_reader_holds_no_build_up(home: Home) -> None:
    """A process that keeps reading the published files lets builds publish and sweep them."""
    code = (
        "import sys, pathlib, pyarrow.parquet as pq\n"
        "paths = sorted(pathlib.Path('data/whyrank/saas/published').rglob('*.parquet'))\n"
        "files = [pq.ParquetFile(path) for path in paths]\n"
        "print('open', flush=True)\nsys.stdin.readline()\n"
        "assert all(file.read().num_rows >= 0 for file in files)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=home.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout
        reader.stdout.readline()
        for _ in range(2):
            assert home.run("build", "--full").returncode == 0
        reader.communicate(b"go\n")
    assert reader.returncode == 0


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_with_one_line_and_code_130(
    home: Home, big: Path, stop: signal.Signals
) -> None:
    before = counts(home)
    process = start(home, "ingest", big)
    assert process.stderr
    first = process.stderr.readline()
    assert first.startswith(b"loading")
    process.send_signal(stop)
    _, rest = process.communicate()
    assert process.returncode == 130, rest
    assert rest.decode().splitlines() == ["error: interrupted; nothing half-written was left"]
    assert counts(home) == before


def test_generate_killed_leaves_no_file_under_its_name(home: Home) -> None:
    out = home.folder / "generated.csv"
    process = start(home, "generate", "--users", "20000", "--out", out)
    assert killed(process, lambda: any(home.folder.glob(".*generated*")))
    assert not out.exists()
    assert home.run("generate", "--users", "5", "--out", out).returncode == 0
    assert out.exists()
