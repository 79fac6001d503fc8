"""The hand-written references compute what whyrank computes: else a ratio would mean nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from benchmarks import reference_duckdb
from benchmarks.reference_pandas import features as pandas_features
from whyrank.events.synthetic.saas import Generated, generate_saas
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.spec.model import Spec
from whyrank.warehouse.open import open_warehouse

AS_OF = date(2026, 3, 15)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    folder = tmp_path_factory.mktemp("reference")
    return generate_saas(folder / "events.parquet", users=300, seed=11)


@pytest.fixture(scope="module")
def built(world: Generated, saas: Spec, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("built")
    store = open_warehouse(f"duckdb:///{folder}/w.duckdb")
    ingest(saas, store, events=world.events, users=world.users)
    published = build(saas, store, as_of=[AS_OF]).published
    return pq.read_table(published.snapshot(AS_OF)).to_pandas().drop(columns="as_of")


def same(expected: pd.DataFrame, found: pd.DataFrame) -> None:
    left = expected.set_index("user_id").sort_index()
    right = found.set_index("user_id").sort_index()[list(left.columns)]
    assert len(left) > 200
    pd.testing.assert_frame_equal(left, right, check_dtype=False, rtol=1e-9, atol=1e-12)


def test_the_duckdb_script_gives_the_same_columns(
    world: Generated, built: pd.DataFrame, tmp_path: Path
) -> None:
    target = tmp_path / "reference.duckdb"
    reference_duckdb.main(str(world.events), str(world.users), AS_OF.isoformat(), str(target))
    with duckdb.connect(str(target)) as con:
        same(built, con.execute("select * from user_features").df())


def test_the_pandas_script_gives_the_same_columns(world: Generated, built: pd.DataFrame) -> None:
    found = pandas_features(str(world.events), str(world.users), AS_OF.isoformat())
    same(built, found.reset_index())
