"""The table of runs on Postgres, and what a role that only reads can be told."""

from __future__ import annotations

import signal
from pathlib import Path

import psycopg
import pytest

from tests.support.homes import GOOD, HEADER, Home, start
from tests.support.two_demos import check_two_demos
from whyrank.pipeline.build import build
from whyrank.pipeline.doctor import doctor
from whyrank.pipeline.ingest import ingest
from whyrank.spec.model import Spec
from whyrank.warehouse.builds import is_built
from whyrank.warehouse.open import open_warehouse

from .conftest import PASSWORD, Server

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("postgres-runs")]


def texts(url: str, *statuses: str) -> list[str]:
    return [f.text for f in doctor("saas", url) if f.status in statuses]


def runs(url: str, kind: str) -> list[tuple[str, str, int | None]]:
    with psycopg.connect(url) as con:
        return con.execute(
            "select name, status, rows_in from saas_landing.runs where kind = %s "
            "order by started_at",
            [kind],
        ).fetchall()


def test_a_load_that_fails_or_is_killed_keeps_its_row(postgres: Server, tmp_path: Path) -> None:
    url, home = postgres.new_database(), Home(tmp_path)
    home.write("bad.csv", "user_id,event_time\nana,2026-03-01T10:00:00Z\n")
    home.write("good.csv", GOOD)
    home.write("big.csv", HEADER + "b,2026-03-20T10:00:00Z,page_view,1\n" * 200_000)
    assert "no column 'event_name'" in home.run("ingest", "bad.csv", "--warehouse", url).stderr
    assert home.run("ingest", "good.csv", "--warehouse", url).returncode == 0
    assert runs(url, "load") == [("bad.csv", "failed", None), ("good.csv", "done", 120)]
    process = start(home, "ingest", "big.csv", "--warehouse", url)
    while process.poll() is None and ("big.csv", "running", None) not in runs(url, "load"):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the load was too quick"
    assert runs(url, "load")[2:] == [("big.csv", "running", None)]
    told = [line for line in home.run("doctor", "--warehouse", url).stdout.splitlines()
            if "the load of big.csv" in line]  # fmt: skip
    assert len(told) == 1
    assert "did not end" in told[0]
    assert "run `whyrank ingest FILE` again" in told[0]


def test_a_role_that_reads_is_told_everything_and_makes_nothing(
    postgres: Server, saas: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grants are those of the guide."""
    monkeypatch.chdir(tmp_path)
    url = postgres.new_database()
    reader = url.replace("whyrank:", "onlooker:")
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("drop role if exists onlooker")
        con.execute(f"create role onlooker login password '{PASSWORD}'")
        con.execute("alter default privileges grant usage on schemas to onlooker")
        con.execute("alter default privileges grant select on tables to onlooker")
    assert "nothing is loaded for spec 'saas': run `whyrank ingest`" in texts(reader, "warning")
    assert texts(reader, "broken") == []
    with psycopg.connect(url) as con:
        found = con.execute("select count(*) from pg_tables where schemaname = 'saas_landing'")
        assert found.fetchone() == (0,)
    events = tmp_path / "events.csv"
    events.write_text(GOOD)
    ingest(saas, open_warehouse(url), events=events)
    made = build(saas, open_warehouse(url))
    assert texts(reader, "broken") == []
    assert any("last load: " in text and "120 rows in" in text for text in texts(reader, "ok"))
    assert is_built(saas, open_warehouse(reader), made.published)
    assert ("daily_events", "done", 120) in runs(url, "model")
    assert all(rows_in is not None for _, _, rows_in in runs(url, "model"))
    users = tmp_path / "users.csv"
    users.write_text("user_id,country\nu1,DE\n")
    ingest(saas, open_warehouse(url), users=users)
    assert not is_built(saas, open_warehouse(reader), made.published)
    with psycopg.connect(url, autocommit=True) as con:
        places = "select day, ctid from saas_marts.daily_events order by day"
        before = con.execute(places).fetchall()
        assert build(saas, open_warehouse(url)).mode == "touched"
        assert con.execute(places).fetchall() == before
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("revoke usage on schema saas_landing from onlooker")
    (refused,) = texts(reader, "broken")
    assert "permission denied" in refused
    assert "docs/guides/postgres.md" in refused
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("drop owned by onlooker")
        con.execute("drop role onlooker")


@pytest.mark.slow  # tests/e2e/test_two_demos.py is the same on DuckDB
def test_of_two_demos_one_is_refused(postgres: Server, tmp_path: Path) -> None:
    check_two_demos(Home(tmp_path), postgres.new_database())
