"""A real Postgres of the tests' own: on loopback, in a folder of its own, gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

PASSWORD = "s3cret/of@tests"  # noqa: S105 - of a server that lives as long as the tests
OWNER = "postgres"


@dataclass
class Server:
    """A Postgres server: where it listens, and how to stop and start it."""

    binaries: Path
    folder: Path
    port: int
    databases: list[str] = field(default_factory=list)

    def control(self, *words: str) -> None:
        """Run pg_ctl as the user who owns the data; initdb and postgres refuse root."""
        command = [str(self.binaries / "pg_ctl"), "-D", str(self.folder / "data"), "-w", *words]
        if "start" in words or "restart" in words:
            options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}"
            command += ["-l", str(self.folder / "log"), "-o", options]
        # Not through a pipe: the server would hold it open for as long as it lives.
        subprocess.run(as_owner(command), check=True, stdout=subprocess.DEVNULL)

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, password and all."""
        return f"postgresql://whyrank:s3cret%2Fof%40tests@127.0.0.1:{self.port}/{database}"

    def new_database(self, like: str = "template1") -> str:
        """Make a database, empty or a copy of another; return its URL."""
        name = f"w{len(self.databases)}"
        with psycopg.connect(self.url(), autocommit=True) as con:
            con.execute(f"create database {name} template {like}")
        self.databases.append(name)
        return self.url(name)


def as_owner(command: list[str]) -> list[str]:
    """Run a command as the owner of the server's files: ourselves, unless we are root."""
    return (
        ["setpriv", f"--reuid={OWNER}", "--regid=postgres", "--clear-groups", *command]
        if os.getuid() == 0
        else command
    )


def binaries() -> Path | None:
    """Where Debian (or the PATH) has Postgres's programs; the newest of them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    here = shutil.which("initdb")
    return found[-1] if found else Path(here).parent if here else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    programs = binaries()
    if programs is None:
        pytest.skip("Postgres is not installed (Debian: apt-get install postgresql)")
    # Not below pytest's own folder, which the server's user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="whyrank-postgres-"))
    if os.getuid() == 0:
        shutil.chown(folder, OWNER)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    subprocess.run(
        as_owner([
            str(programs / "initdb"), "-D", str(folder / "data"), "-U", "whyrank", "-E", "UTF8",
            "-A", "scram-sha-256", f"--pwfile={secret}", "--locale=C.UTF-8",
            # Names in a language's order, where upper and lower case mix: ours must be bytes'.
            "--locale-provider=icu", "--icu-locale=en-US",
        ]),
        check=True, capture_output=True,
    )  # fmt: skip
    server = Server(programs, folder, port)
    server.control("start")
    try:
        yield server
    finally:
        server.control("-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
