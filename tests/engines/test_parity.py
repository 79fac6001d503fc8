"""The same events give the same tables on DuckDB and on Postgres."""

from __future__ import annotations

import functools
from datetime import date
from random import Random

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.support.examples import examples
from tests.support.marts_log import NOW, World, crowd, frames
from tests.support.marts_log import tiny_spec as spec_with_experiments
from tests.support.parity import check_parity
from tests.support.tiny_landing import arrivals, landing, last_load, take
from tests.support.tiny_log import Event, frame, tiny_spec
from whyrank.features.compiler import compile_features
from whyrank.warehouse.dbt_project.changes import changes_since
from whyrank.warehouse.dbt_project.in_memory import run_models
from whyrank.warehouse.dbt_project.render import models_of, render_project
from whyrank.warehouse.dialects import DUCKDB
from whyrank.warehouse.engines.postgres.dialect import POSTGRES
from whyrank.warehouse.landing.load import create_landing, load

from .conftest import Server

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("postgres-runs")]
SPEC = tiny_spec()
DATES = [date(2026, 3, 3), date(2026, 3, 9)]
DIALECTS = (DUCKDB, POSTGRES)


@functools.cache
def files() -> dict[str, dict[str, str]]:
    """Render the models for both engines; translating them takes seconds."""
    return {d.name: render_project(SPEC, compile_features(SPEC), DATES, d) for d in DIALECTS}


KINDS = {"varchar": 'text collate "C"', "double": "double precision", "blob": "bytea"}


@pytest.fixture(scope="module")
def con(postgres: Server) -> psycopg.Connection:
    with psycopg.connect(postgres.new_database(), autocommit=True) as opened:
        opened.execute("set timezone = 'Asia/Kathmandu'")  # nothing may depend on it
        yield opened


def copy_landing(duck: duckdb.DuckDBPyConnection, con: psycopg.Connection) -> None:
    """Take every landing table to Postgres as it stands."""
    con.execute("drop schema if exists tiny_landing cascade")
    con.execute("create schema tiny_landing")
    tables = duck.execute(
        "select table_name from information_schema.tables where table_schema = 'tiny_landing'"
    ).fetchall()
    for (name,) in tables:
        columns = duck.execute(f"describe tiny_landing.{name}").fetchall()
        body = ", ".join(f'"{c[0]}" {KINDS.get(c[1].lower(), c[1])}' for c in columns)
        con.execute(f"create table tiny_landing.{name} ({body})")
        rows = duck.execute(f"select * from tiny_landing.{name}").fetchall()
        marks = ", ".join(["%s"] * len(columns))
        with con.cursor() as cursor:
            cursor.executemany(f"insert into tiny_landing.{name} values ({marks})", rows)


# Shrinking an example takes minutes here: one that fails is reported as it is.
@settings(
    max_examples=examples(4),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
@given(arriving=arrivals(least=4, most=8))
def test_the_models_agree(
    con: psycopg.Connection, arriving: tuple[list[list[Event]], list[object]]
) -> None:
    """Late events, ties, links and an incremental build, on both."""
    parts, links = arriving
    with landing() as duck:
        built: int | None = None
        for part, alias in zip(parts, links, strict=True):
            take(duck, alias, "aliases")
            take(duck, frame(part))
            if last_load(duck) in {0, built}:
                continue
            copy_landing(duck, con)
            changes = None if built is None else changes_since(duck, SPEC, built, marts="parity")
            run_models(
                duck, files()["duckdb"], schema="parity", landing="tiny_landing", changes=changes
            )
            run_models(
                con, files()["postgres"], schema="parity", landing="tiny_landing",
                changes=changes, dialect=POSTGRES,
            )  # fmt: skip
            built = last_load(duck)
        check_parity(duck, con, files()["duckdb"])


EXPERIMENTS = spec_with_experiments()


@functools.cache
def marts() -> dict[str, dict[str, str]]:
    """Render the marts of experiments too."""
    features = compile_features(EXPERIMENTS)
    return {d.name: render_project(EXPERIMENTS, features, DATES[1:], d) for d in DIALECTS}


@pytest.mark.parametrize("seed", range(4))
def test_experiments_and_their_marts_agree(con: psycopg.Connection, seed: int) -> None:
    """Exposures, mixed variants, links, covariates and strata, built in two parts on both."""
    whole = crowd(seed)
    log = Random(seed).sample(whole.log, len(whole.log))  # noqa: S311 - no secret
    half = len(log) // 2
    first = World(log[:half], whole.links[:10], whole.plans)
    second = World(log[half:], whole.links[10:], first=half)
    assert "experiment_daily_metrics" in models_of(marts()["postgres"])
    with duckdb.connect() as duck:
        duck.execute("set timezone = 'UTC'")
        create_landing(duck, EXPERIMENTS)
        built: int | None = None
        for world in (first, second):
            for kind, rows in frames(world).items():
                if len(rows):
                    duck.register("arriving", rows)
                    load(duck, EXPERIMENTS, "arriving", kind=kind, now=NOW)
            copy_landing(duck, con)
            changes = (
                None if built is None else changes_since(duck, EXPERIMENTS, built, marts="parity")
            )
            run_models(
                duck, marts()["duckdb"], schema="parity", landing="tiny_landing", changes=changes
            )
            run_models(
                con, marts()["postgres"], schema="parity", landing="tiny_landing",
                changes=changes, dialect=POSTGRES,
            )  # fmt: skip
            built = last_load(duck)
        check_parity(duck, con, marts()["duckdb"])
