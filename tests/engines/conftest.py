"""A real Postgres of the tests' own: on loopback, in a folder of its own, gone afterwards."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from tests.support.homes import GOOD, HEADER, Home
from whyrank.warehouse.open import open_warehouse

PASSWORD = "s3cret/of@tests"  # noqa: S105 - of a server that lives as long as the tests
OWNER = "postgres"
BUILD = ("build", "--as-of", "2026-03-15", "--as-of", "2026-04-02")
LATE = HEADER + "".join(
    f"u{i},2026-03-{day:02d}T{hour:02d}:05:00Z,{name},{i}\n"
    for i in range(0, 60, 7)
    for day, hour, name in ((2, 10, "page_view"), (20, 23, "signup"), (30, 9, "pricing_view"))
)


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


@pytest.fixture(scope="session")
def template(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Home]:
    """A built database into which late events were loaded since, and its folder of files."""
    url = postgres.new_database()
    home = Home(tmp_path_factory.mktemp("template"))
    home.write("events.csv", GOOD)
    home.write("late.csv", LATE)
    for words in (("ingest", "events.csv"), BUILD, ("ingest", "late.csv")):
        done = home.run(*words, "--warehouse", url)
        assert done.returncode == 0, done.stderr
    return url, home


@pytest.fixture
def copy(postgres: Server, template: tuple[str, Home], tmp_path: Path) -> tuple[str, Home]:
    """A copy of that database and folder, for one test to spoil."""
    url, home = template
    made = postgres.new_database(like=url.rpartition("/")[2])
    folder = shutil.copytree(home.folder, tmp_path / "home")
    old, new = (u.rpartition("/")[2] for u in (url, made))
    for path in sorted((folder / "data").glob(f"postgres-*-{old}")):
        path.rename(path.with_name(path.name.removesuffix(old) + new))
    return made, Home(folder)


def tables(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every table that dbt built, its rows in some order of their text."""
    with psycopg.connect(url) as con:
        names = con.execute(
            "select table_name from information_schema.tables where table_schema = 'saas_marts' "
            "and table_type = 'BASE TABLE' and table_name <> 'changed_users'"
        ).fetchall()
        found = {n: con.execute(f'select * from saas_marts."{n}"').fetchall() for (n,) in names}
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


@pytest.fixture(scope="session")
def undisturbed(
    postgres: Server, template: tuple[str, Home]
) -> dict[str, list[tuple[object, ...]]]:
    url, home = template
    made = postgres.new_database(like=url.rpartition("/")[2])
    done = home.run(*BUILD, "--warehouse", made)
    assert done.returncode == 0, done.stderr
    after = tables(made)
    assert after != tables(url)
    return after


def dbt_says(home: Home, url: str, model: str, words: str) -> Callable[[], bool]:
    """Hold once dbt's log says of a model that it began, or that it is done."""
    logs = home.folder / open_warehouse(url).files / "saas" / "dbt" / "logs" / "dbt.log"
    logs.unlink(missing_ok=True)
    line = re.compile(rf"{words} sql .*saas_marts\.{model} ")
    return lambda: logs.exists() and line.search(logs.read_text(encoding="utf-8")) is not None
