"""The same events give the same tables on DuckDB and on Spark."""

from __future__ import annotations

import functools
from datetime import date
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.support.examples import examples
from tests.support.marts_log import NOW, crowd, frames
from tests.support.marts_log import tiny_spec as spec_with_experiments
from tests.support.parity import check_parity
from tests.support.tiny_landing import arrivals, landing, take
from tests.support.tiny_log import Event, frame, tiny_spec
from whyrank.features.compiler import compile_features
from whyrank.warehouse.dbt_project.in_memory import run_models
from whyrank.warehouse.dbt_project.render import render_project
from whyrank.warehouse.dialects import DUCKDB
from whyrank.warehouse.engines.spark.dialect import SPARK
from whyrank.warehouse.engines.spark.session import SparkConnection
from whyrank.warehouse.landing.load import create_landing, load

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark-parity")]
SPEC = tiny_spec()
DATES = [date(2026, 3, 3), date(2026, 3, 9)]


def copy_landing(duck: duckdb.DuckDBPyConnection, con: SparkConnection, folder: Path) -> None:
    """Take every landing table to Spark as it stands."""
    con.execute("drop database if exists tiny_landing cascade")
    con.execute("create database tiny_landing")
    tables = duck.execute(
        "select table_name from information_schema.tables where table_schema = 'tiny_landing'"
    ).fetchall()
    for (name,) in tables:
        path = folder / f"{name}.parquet"
        duck.execute(f"copy tiny_landing.{name} to '{path}' (format parquet)")
        con.execute(f"create table tiny_landing.{name} using parquet location '{path}'")


# A build takes seconds however few rows there are: one example packs many logs as its users, and
# one that fails is reported as it is. The simplest example, which comes first, is passed over.
ONE = settings(
    max_examples=examples(1),
    deadline=None,
    suppress_health_check=[*HealthCheck],
    phases=[Phase.explicit, Phase.generate],
)
DIALECTS = (DUCKDB, SPARK)


@functools.cache
def files() -> dict[str, dict[str, str]]:
    """Render the models for both engines; translating them takes seconds."""
    return {d.name: render_project(SPEC, compile_features(SPEC), DATES, d) for d in DIALECTS}


EXPERIMENTS = spec_with_experiments()


@functools.cache
def marts() -> dict[str, dict[str, str]]:
    """Render the marts of experiments too."""
    features = compile_features(EXPERIMENTS)
    return {d.name: render_project(EXPERIMENTS, features, DATES[1:], d) for d in DIALECTS}


@ONE
@given(arriving=arrivals(least=20, most=20).filter(lambda drawn: sum(map(len, drawn[0])) > 400))
def test_the_models_agree(
    spark: SparkConnection,
    tmp_path_factory: pytest.TempPathFactory,
    arriving: tuple[list[list[Event]], list[object]],
) -> None:
    """Late events, ties, links, nulls and time zones."""
    parts, links = arriving
    with landing() as duck:
        for part, alias in zip(parts, links, strict=True):
            take(duck, alias, "aliases")
            take(duck, frame(part))
        copy_landing(duck, spark, tmp_path_factory.mktemp("landing"))
        run_models(duck, files()["duckdb"], schema="parity", landing="tiny_landing")
        run_models(spark, files()["spark"], schema="parity", landing="tiny_landing", dialect=SPARK)
        check_parity(duck, spark, files()["duckdb"])


def test_experiments_and_their_marts_agree(spark: SparkConnection, tmp_path: Path) -> None:
    """Exposures, mixed variants, links, covariates and strata, of many users."""
    with duckdb.connect() as duck:
        duck.execute("set timezone = 'UTC'")
        create_landing(duck, EXPERIMENTS)
        for kind, rows in frames(crowd(0, people=120)).items():
            duck.register("arriving", rows)
            load(duck, EXPERIMENTS, "arriving", kind=kind, now=NOW)
        copy_landing(duck, spark, tmp_path)
        run_models(duck, marts()["duckdb"], schema="parity", landing="tiny_landing")
        run_models(spark, marts()["spark"], schema="parity", landing="tiny_landing", dialect=SPARK)
        check_parity(duck, spark, marts()["duckdb"])
