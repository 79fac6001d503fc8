"""A folder in which whyrank runs as a process of its own, and is killed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tests.support import processes

COMMAND = (sys.executable, "-m", "whyrank.cli")
HEADER = "user_id,event_time,event_name,value\n"
GOOD = HEADER + "".join(
    f"u{i},2026-03-{1 + i % 28:02d}T10:00:00Z,{name},{i}\n"
    for i in range(60)
    for name in ("page_view", "pricing_view")
)


@dataclass(frozen=True)
class Home:
    """A folder with events.csv and data/whyrank.duckdb in it."""

    folder: Path

    def run(
        self, *arguments: object, under: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run whyrank here, perhaps under another command."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("WHYRANK_")}
        if not under:
            return processes.whyrank([str(word) for word in arguments], self.folder, env)
        words = [*under, *COMMAND, *(str(word) for word in arguments)]
        return subprocess.run(
            words, cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )

    def refused(
        self, *arguments: object, code: int = 1, under: Sequence[str] = (), lines: int = 1
    ) -> str:
        """Run whyrank; check that it ends with this code and a line of error; return that.

        lines: how many faults there are to say, one line each.
        """
        before = self.state()
        done = self.run(*arguments, under=under)
        assert done.returncode == code, done.stdout + done.stderr
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert "Traceback" not in done.stderr
        assert "bug in whyrank" not in done.stderr
        assert len(errors) == lines, done.stderr
        assert self.state() == before, "something was half-written"
        return "\n".join(line.removeprefix("error: ") for line in errors)

    def write(self, name: str, body: str | bytes) -> Path:
        """Write a file here."""
        path = self.folder / name
        path.write_bytes(body.encode() if isinstance(body, str) else body)
        return path

    def rows(self, table: str) -> int:
        """Count the rows of a landing table of the saas spec."""
        return self._counts(table)[table]

    def _counts(self, *tables: str) -> dict[str, int]:
        counts = ", ".join(f"(select count(*) from saas_landing.{table})" for table in tables)
        with duckdb.connect(str(self.folder / "data" / "whyrank.duckdb"), read_only=True) as con:
            found = con.execute(f"select {counts}").fetchone()
        return dict(zip(tables, found or (), strict=True))

    def state(self) -> dict[str, str]:
        """Digest every file but the database's own, for which its tables are counted."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            ours = path.is_file() and os.access(path, os.R_OK) and "whyrank.duckdb" not in name
            if ours and "/dbt/" not in name and "/spill" not in name:
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        if (self.folder / "data" / "whyrank.duckdb").exists():
            counts = self._counts("events", "quarantine", "loads", "builds")
            found |= {table: str(count) for table, count in counts.items()}
        return found


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(home: Home, *arguments: object) -> subprocess.Popen[bytes]:
    """Start whyrank as the leader of its own process group."""
    words = [*COMMAND, *(str(word) for word in arguments)]
    # A shell's background job ignores SIGINT, and so would all that the tests start from it.
    return subprocess.Popen(
        words, cwd=home.folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True, preexec_fn=_hear_interrupts,  # noqa: PLW1509 - no threads here
    )  # fmt: skip


def killed(process: subprocess.Popen[bytes], after: Callable[[], bool]) -> bool:
    """Kill the whole group once `after` holds; return whether it was still running then."""
    alive = True
    while alive and not after():
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.002)
            alive = False
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return alive
