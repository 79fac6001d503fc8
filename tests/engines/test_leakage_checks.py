"""The check for future events, whose rebuild is DuckDB's, on a snapshot that Postgres made."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyrank.events.synthetic.saas import generate_saas
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.spec.model import Spec
from whyrank.training.leakage import future_invariance
from whyrank.warehouse.open import open_warehouse

from .conftest import Server

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("postgres-runs")]
DAY = date(2026, 4, 1)


def scaled(path: Path, kind: pa.DataType, factor: float) -> list[str]:
    """Change a snapshot's columns of a type that are not all zero; return their names."""
    table = pq.read_table(path)
    changed = []
    for place, field in enumerate(table.schema):
        values = table[field.name].to_pylist()
        if field.type == kind and field.name != "as_of" and any(values):
            others = [value if value is None else value * factor for value in values]
            array = pa.array(others).cast(kind)
            table = table.set_column(place, field, array)
            changed.append(field.name)
    pq.write_table(table, path)
    return changed


@pytest.mark.parametrize("engine", ["postgres", "duckdb"])
def test_last_digits_count_where_one_engine_made_both(
    postgres: Server, saas: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.chdir(tmp_path)
    url = postgres.new_database() if engine == "postgres" else "duckdb:///w.duckdb"
    store = open_warehouse(url)
    world = generate_saas(tmp_path / "events.csv", users=60, seed=4)
    ingest(saas, store, events=world.events, users=world.users)
    published = build(saas, store, as_of=[DAY]).published
    backtest: Any = SimpleNamespace(published=published)

    def passes() -> bool:
        return future_invariance(saas, store, backtest, DAY).passed

    whole = published.snapshot(DAY).read_bytes()
    assert passes()
    assert scaled(published.snapshot(DAY), pa.float64(), 1 + 1e-12)
    assert passes() == (engine == "postgres")
    for kind, factor in ((pa.float64(), 1 + 1e-7), (pa.int64(), 2)):
        published.snapshot(DAY).write_bytes(whole)
        assert scaled(published.snapshot(DAY), kind, factor)
        assert not passes()
