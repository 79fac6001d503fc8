"""A build that may use little memory: it spills to disk, or says how much it needs."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from whyrank.errors import WarehouseError
from whyrank.events.synthetic.saas import generate_saas
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.spec.model import Spec
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.publish import read_published

pytestmark = [pytest.mark.engines, pytest.mark.usefixtures("dbt")]


@pytest.mark.usefixtures("all_cores")
def test_a_build_with_little_memory_spills_to_disk_and_gives_the_same(
    saas: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = generate_saas(tmp_path / "e.parquet", users=6000, seed=2)
    snapshots = []
    for memory in ("64MiB", "3GiB"):
        monkeypatch.setenv("WHYRANK_MEMORY", memory)
        store = open_warehouse(f"duckdb:///{tmp_path}/{memory}.duckdb")
        ingest(saas, store, events=world.events, users=world.users)
        snapshots.append(pq.read_table(build(saas, store).published.snapshot()))
    assert snapshots[0].num_rows == 6000
    assert snapshots[0].equals(snapshots[1])
    monkeypatch.setenv("WHYRANK_MEMORY", "20MiB")
    with pytest.raises(WarehouseError, match="more memory than 20MiB was needed: set WHYRANK_MEM"):
        build(saas, store, full=True)
    assert read_published(store, "saas").snapshot().exists()
