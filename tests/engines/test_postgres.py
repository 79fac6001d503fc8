"""Postgres as the warehouse, through the real command line and a real server."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest

from tests.support.homes import HEADER, Home, killed, start
from tests.support.parity import same
from whyrank.events.synthetic.saas import Generated, generate_saas
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.spec.model import Spec
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.dbt_project.former import drop_former_models
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.publish import read_published

from .conftest import BUILD, PASSWORD, Server, dbt_says, tables

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("postgres-files")]
DATES = [date(2026, 2, 1), date(2026, 4, 1)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return generate_saas(tmp_path_factory.mktemp("world") / "events.csv", users=150, seed=4)


@pytest.fixture
def both(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Warehouse, Warehouse]:
    monkeypatch.chdir(tmp_path)
    return open_warehouse("duckdb:///w.duckdb"), open_warehouse(postgres.new_database())


def lines(path: Path, keep: Callable[[int], bool]) -> str:
    header, *rows = path.read_text().splitlines(keepends=True)
    return header + "".join(row for i, row in enumerate(rows) if keep(i))


def test_the_same_files_give_the_same_published_tables(
    both: tuple[Warehouse, Warehouse], world: Generated, saas: Spec, tmp_path: Path
) -> None:
    """Loads with repeats and late rows, an incremental build, a restated day: file by file."""
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text(lines(world.events, lambda i: i % 5 != 0))
    second.write_text(lines(world.events, lambda i: i % 4 != 0) + ",2026-01-01,page_view\n")
    day = tmp_path / "day.csv"
    day.write_text(lines(world.events, lambda i: 300 <= i < 400))
    found = []
    for store in both:
        loads = ingest(saas, store, events=first, users=world.users)
        assert build(saas, store, as_of=DATES).mode == "full"
        loads += ingest(saas, store, events=second, users=world.users)
        loads += ingest(saas, store, events=day, restate=True)
        made = build(saas, store, as_of=DATES, check=True)
        assert made.mode == "touched"
        assert len(made.tests) > 40
        found.append([{**asdict(load), "file": Path(load.file).name} for load in loads])
    assert found[0] == found[1]
    assert found[0][-1]["withdrawn"] > 0
    assert found[0][-2]["duplicates"] > 0
    here, there = (read_published(store, "saas") for store in both)
    names = sorted(path.name for path in here.folder.glob("*.parquet"))
    assert names == sorted(path.name for path in there.folder.glob("*.parquet"))
    for name in names:
        one, other = (pq.read_table(p.folder / name) for p in (here, there))
        assert one.column_names == other.column_names
        assert one.num_rows == other.num_rows
        for column in one.column_names:
            assert one.schema.field(column).type == other.schema.field(column).type, (name, column)
            pairs = zip(one[column].to_pylist(), other[column].to_pylist(), strict=True)
            assert all(same(a, b) for a, b in pairs), (name, column)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("sessions", "START"),
        pytest.param("user_days", "OK created", marks=pytest.mark.slow),
    ],
)
def test_a_build_that_is_killed_is_taken_up(
    copy: tuple[str, Home],
    undisturbed: dict[str, list[tuple[object, ...]]],
    model: str,
    words: str,
) -> None:
    url, home = copy
    hit = killed(start(home, *BUILD, "--warehouse", url), dbt_says(home, url, model, words))
    assert hit, "the kill came too late"
    done = home.run(*BUILD, "--warehouse", url)
    assert done.returncode == 0, done.stderr
    assert tables(url) == undisturbed


@pytest.mark.slow
def test_a_kill_during_and_after_each_model(
    postgres: Server,
    template: tuple[str, Home],
    undisturbed: dict[str, list[tuple[object, ...]]],
) -> None:
    url, home = template
    hits = 0
    models = ("identities", "changed_users", "sessions", "user_days", "outcomes", "user_features")
    for model in models:
        for words in ("START", "OK created"):
            made = postgres.new_database(like=url.rpartition("/")[2])
            assert home.run("doctor", "--warehouse", made).returncode == 0
            process = start(home, *BUILD, "--warehouse", made)
            hits += killed(process, dbt_says(home, made, model, words))
            done = home.run(*BUILD, "--warehouse", made)
            assert done.returncode == 0, done.stderr
            assert tables(made) == undisturbed
    assert hits >= 2 * len(models) - 2, "the kills came too late to mean anything"


@pytest.mark.parametrize("how", ["restart", pytest.param("dropped", marks=pytest.mark.slow)])
def test_a_server_that_goes_away_during_a_build(
    postgres: Server,
    copy: tuple[str, Home],
    undisturbed: dict[str, list[tuple[object, ...]]],
    how: str,
) -> None:
    """The build fails in one line, or gets over it; either way the next one's tables are right."""
    url, home = copy
    says = dbt_says(home, url, "sessions", "START")
    process = start(home, *BUILD, "--warehouse", url)
    while process.poll() is None and not says():
        pass
    assert process.poll() is None, "the build was too quick"
    if how == "restart":
        postgres.control("-m", "immediate", "restart")
    else:
        with psycopg.connect(postgres.url(), autocommit=True) as con:
            con.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
                [url.rpartition("/")[2]],
            )
    _, said = process.communicate()
    errors = [line for line in said.decode().splitlines() if line.startswith("error: ")]
    assert process.returncode == len(errors) <= 1, said.decode()
    assert how == "dropped" or errors
    assert "Traceback" not in said.decode()
    assert PASSWORD not in said.decode()
    done = home.run(*BUILD, "--warehouse", url)
    assert done.returncode == 0, done.stderr
    assert tables(url) == undisturbed


def test_a_load_that_is_killed_leaves_all_or_nothing(
    postgres: Server, copy: tuple[str, Home]
) -> None:
    url, home = copy
    rows = "".join(
        f"b{i % 900},2026-03-20T10:{i % 60:02d}:00Z,page_view,{i}\n" for i in range(60_000)
    )
    home.write("big.csv", HEADER + rows)

    def landing() -> tuple[int, int]:
        with psycopg.connect(url) as con:
            events = con.execute("select count(*) from saas_landing.events").fetchone()
            loads = con.execute("select count(*) from saas_landing.loads").fetchone()
        assert events
        assert loads
        return int(events[0]), int(loads[0])

    def sending() -> bool:
        with psycopg.connect(url) as con:
            busy = con.execute(
                "select count(*) from pg_stat_activity where datname = current_database() "
                "and query ilike 'copy %' and state <> 'idle'"
            ).fetchone()
        return bool(busy and busy[0])

    before = landing()
    hit = killed(start(home, "ingest", "big.csv", "--warehouse", url), sending)
    after = landing()
    assert after in {before, (before[0] + 60_000, before[1] + 1)}
    assert hit or after != before
    copies = "data/*/.loading.whyrank-*/loading.duckdb"
    assert len(list(home.folder.glob(copies))) == hit  # of a whole load: the next one removes it
    done = home.run("ingest", "big.csv", "--warehouse", url)
    assert done.returncode == 0, done.stderr
    assert landing()[0] == before[0] + 60_000
    assert not list(home.folder.glob("data/*/.loading.*"))


def test_two_builds_at_once_and_a_reader_between(
    copy: tuple[str, Home], undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    url, home = copy
    first = start(home, *BUILD, "--warehouse", url)
    assert first.stderr
    first.stderr.readline()
    os.killpg(first.pid, signal.SIGSTOP)
    for words in (("build",), ("ingest", "late.csv")):
        second = home.run(*words, "--warehouse", url)
        assert second.returncode == 1
        assert "another ingest or build is under way" in second.stderr
    assert home.run("score", "--warehouse", url).returncode == 0
    os.killpg(first.pid, signal.SIGCONT)
    _, said = first.communicate()
    assert first.returncode == 0, said.decode()
    assert tables(url) == undisturbed


def test_a_reader_on_another_machine_fetches_the_published_build(
    copy: tuple[str, Home], tmp_path: Path
) -> None:
    url, home = copy
    elsewhere = Home(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    ranked = []
    for place in (home, elsewhere):
        done = place.run("score", "--top", "50", "--warehouse", url)
        assert done.returncode == 0, done.stderr
        rows = (place.folder / "data" / "top_users.csv").read_text().splitlines()
        ranked.append([row.split(",")[:4] for row in rows])
    assert ranked[0] == ranked[1]
    assert len(ranked[0]) > 10


def test_the_password_is_nowhere(copy: tuple[str, Home]) -> None:
    """Not in what is printed, not in any file that is left; wrong ones are refused in one line."""
    url, home = copy
    said = ""
    for words in (("ingest", "late.csv"), BUILD, ("score",), ("doctor",)):
        done = home.run(*words, "--warehouse", url, *(() if words[0] == "doctor" else ("--debug",)))
        assert done.returncode == 0, done.stderr
        said += done.stdout + done.stderr
    for secret in (PASSWORD, "s3cret%2Fof%40tests"):
        assert secret not in said
        for path in home.folder.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    wrong = url.replace("s3cret", "wr0ng")
    error = home.run("doctor", "--warehouse", wrong)
    assert error.returncode == 1
    assert "password authentication failed" in error.stdout
    assert "wr0ng" not in error.stdout + error.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda url: url.replace("127.0.0.1", "nowhere.invalid"), "is the host right?"),
        (lambda url: re.sub(r":\d+/", ":1/", url), "is the server running"),
        (lambda url: url + "_missing", "create it first, or name another"),
        (lambda url: url + "?sslmode=require", "SSL"),
        (lambda url: url.replace("%2F", "%zz"), "with %40 for @"),
        (lambda url: url.rpartition("/")[0], "names no database"),
    ],
)
def test_a_url_that_leads_nowhere(
    copy: tuple[str, Home], change: Callable[[str], str], said: str
) -> None:
    url, home = copy
    done = home.run("ingest", "late.csv", "--warehouse", change(url))
    assert done.returncode in {1, 2}
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert said in errors[0]
    assert "s3cret" not in done.stderr


def test_a_zero_byte_is_refused_with_its_reason(copy: tuple[str, Home]) -> None:
    url, home = copy
    home.write(
        "zero.csv",
        HEADER + "a\x00b,2026-03-20T10:00:00Z,page_view,1\nc,2026-03-20T10:00:00Z,page_view,1\n",
    )
    done = home.run("ingest", "zero.csv", "--warehouse", url)
    assert done.returncode == 0, done.stderr
    assert "1 accepted + 0 duplicate + 1 quarantined" in done.stdout
    assert "user_id holds a zero byte" in done.stdout


def test_what_stops_a_model_is_told_in_postgres_terms(copy: tuple[str, Home]) -> None:
    """A right that is missing while dbt runs: what to grant is said, as outside of dbt."""
    url, home = copy
    with psycopg.connect(url, autocommit=True) as con:
        con.execute(
            "create function refuse() returns trigger language plpgsql as $$ begin "
            "raise insufficient_privilege using message = 'permission denied for table sessions'; "
            "end $$"
        )
        con.execute(
            "create trigger refuse before delete on saas_marts.sessions execute function refuse()"
        )
    done = home.run(*BUILD, "--warehouse", url)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    said = "model sessions failed: permission denied for table sessions: grant the role what docs/"
    assert said in errors[0]


def test_the_next_statement_is_planned_on_counted_rows(copy: tuple[str, Home]) -> None:
    """A large load and every table of a build are analyzed: nobody waits for autovacuum."""
    url, home = copy
    rows = "".join(
        f"b{i % 900},2026-03-20T10:{i % 60:02d}:00Z,page_view,{i}\n" for i in range(12_000)
    )
    home.write("large.csv", HEADER + rows)
    for words in (("ingest", "large.csv"), BUILD):
        assert home.run(*words, "--warehouse", url).returncode == 0
    with psycopg.connect(url) as con:
        counts = con.execute(
            "select c.oid::regclass::text, c.reltuples from pg_class as c where c.relkind = 'r' "
            "and (c.relnamespace = 'saas_marts'::regnamespace "
            "or c.oid = 'saas_landing.events'::regclass)"
        ).fetchall()
        assert len(counts) > 10
        for table, counted in counts:
            assert con.execute(f"select count(*) from {table}").fetchone() == (counted,), table


def test_models_of_an_earlier_version_are_dropped(postgres: Server, saas: Spec) -> None:
    """With the views that read them, which a rebuild drops too; other tables stay."""
    with open_warehouse(postgres.new_database()).connect() as con:
        for statement in (
            "create schema saas_marts",
            "create table saas_marts.touched_users (user_id text)",
            "create view saas_marts.touched_events as select * from saas_marts.touched_users",
            "create view saas_marts.their_own as select * from saas_marts.touched_events",
            "create table saas_marts.touched_by_hand (n integer)",
        ):
            con.execute(statement)
        for _ in range(2):
            drop_former_models(con, saas)
            left = con.execute(
                "select table_name from information_schema.tables where table_schema = 'saas_marts'"
            ).fetchall()
            assert left == [("touched_by_hand",)]
