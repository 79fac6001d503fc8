"""The lock of a writer on Postgres, and what becomes of dbt when its parent is gone."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.support.homes import Home, start
from whyrank.errors import WarehouseError
from whyrank.spec.model import Spec
from whyrank.warehouse.open import open_warehouse

from .conftest import BUILD, Server, dbt_says, tables

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("postgres-runs")]
PATIENCE_MS = 120_000
HOLDER = (
    "select pid from pg_locks where locktype = 'advisory' and granted "
    "and database = (select oid from pg_database where datname = current_database())"
)


def until(process: subprocess.Popen[bytes], says: Callable[[], bool]) -> None:
    while process.poll() is None and not says():
        pass
    assert process.poll() is None, "the build was too quick"


def end_holder(url: str) -> None:
    """Let the server end the one connection that holds the writer's lock."""
    with psycopg.connect(url, autocommit=True) as con:
        ended = con.execute(f"select pg_terminate_backend(pid) from ({HOLDER}) as h").fetchall()
    assert ended == [(True,)]


def published(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as con:
        return con.execute("select build_id from saas_published.builds").fetchall()


def test_a_build_whose_lock_is_lost_publishes_nothing(
    copy: tuple[str, Home], undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    """While dbt is stopped in the middle, the lock's connection alone is ended by the server."""
    url, home = copy
    before = published(url)
    process = start(home, *BUILD, "--warehouse", url)
    until(process, dbt_says(home, url, "sessions", "START"))
    end_holder(url)
    _, said = process.communicate()
    errors = [line for line in said.decode().splitlines() if line.startswith("error: ")]
    assert process.returncode == 1
    assert len(errors) == 1, said.decode()
    assert "the lock that keeps other writers out was lost" in errors[0]
    assert published(url) == before
    done = home.run(*BUILD, "--warehouse", url)
    assert done.returncode == 0, done.stderr
    assert tables(url) == undisturbed


def test_a_load_whose_lock_is_lost_keeps_nothing(postgres: Server, saas: Spec) -> None:
    url = postgres.new_database()
    with open_warehouse(url).loader() as loader:
        loader.con.execute(
            "create table arriving as select 'u' as user_id, timestamp '2026-03-01' as event_time, "
            "'page_view' as event_name"
        )
        assert loader.load(saas, "arriving").accepted == 1
        end_holder(url)
        loader.con.execute("update arriving set user_id = 'v'")
        with pytest.raises(WarehouseError, match="was lost"):
            loader.load(saas, "arriving")
    with psycopg.connect(url) as con:
        assert con.execute("select user_id from saas_landing.events").fetchall() == [("u",)]
        assert con.execute("select count(*) from saas_landing.loads").fetchone() == (1,)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone ends a child with its parent")
def test_dbt_ends_when_its_parent_alone_is_killed(
    copy: tuple[str, Home], undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    url, home = copy
    with psycopg.connect(url) as con:
        # dbt comes no further than to this table, and so does not end by being done.
        con.execute("lock table saas_marts.user_days in access exclusive mode")
        process = start(home, *BUILD, "--warehouse", url)
        until(process, dbt_says(home, url, "sessions", "START"))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        watched = [os.pidfd_open(int(child)) for child in children]
        assert len(watched) == 1
        os.kill(process.pid, signal.SIGKILL)
        poll = select.poll()
        poll.register(watched[0], select.POLLIN)  # readable once the process has ended
        ended = poll.poll(PATIENCE_MS)
    os.close(watched[0])
    process.communicate()
    assert ended, "dbt goes on without its parent"
    done = home.run(*BUILD, "--warehouse", url)
    assert done.returncode == 0, done.stderr
    assert tables(url) == undisturbed


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone ends a child with its parent")
def test_dbt_does_not_begin_without_its_parent(tmp_path: Path) -> None:
    """As when the parent ended before dbt's process could ask to end with it."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    process = [sys.executable, "-m", "whyrank.warehouse.dbt_project.child"]
    done = subprocess.run(
        [*process, str(gone.pid), str(tmp_path), "", "run"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "the process that started dbt is gone\n"
    assert not (tmp_path / "logs").exists()
