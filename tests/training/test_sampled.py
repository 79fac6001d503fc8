"""A published sample, as a driver of a cluster reads it: the check for future events on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from tests.support.tiny_log import Event, frame, tiny_spec
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.training.leakage import future_invariance, of_entities
from whyrank.warehouse.builds import is_built
from whyrank.warehouse.engines.duckdb.warehouse import DuckDBWarehouse
from whyrank.warehouse.publish import read_published

SPEC = tiny_spec()
AS_OF = date(2026, 3, 8)
USERS = 300


@dataclass(frozen=True)
class Sampled(DuckDBWarehouse):
    """A DuckDB that publishes a sample, so that no cluster is needed."""

    sample: int | None = 120


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Sampled:
    """Give a built log with many links between ids that are in the sample and ids that are not."""
    folder = tmp_path_factory.mktemp("sampled")
    rng = np.random.default_rng(8)
    start = datetime(2026, 3, 1)
    log = [
        Event(
            f"u{rng.integers(0, USERS)}", f"e{number}",
            start + timedelta(seconds=int(rng.integers(0, 10 * 86_400))),
            str(rng.choice(["view", "click", "buy"])), float(rng.integers(1, 30)),
            str(rng.choice(["phone", "desk"])), "red",
        )
        for number in range(3000)
    ]  # fmt: skip
    frame(log).to_parquet(folder / "log.parquet")
    linked = pd.DataFrame(
        {
            "anonymous_id": [f"u{n}" for n in range(150)],
            "user_id": [f"u{n}" for n in range(150, USERS)],
            "linked_at": [start + timedelta(days=4)] * 150,
        }
    )
    linked.to_parquet(folder / "links.parquet")
    found = Sampled(folder / "w.duckdb")
    ingest(SPEC, found, events=folder / "log.parquet", aliases=folder / "links.parquet")
    build(SPEC, found, as_of=[AS_OF])
    return found


def test_nothing_of_the_sample_knows_the_future(warehouse: Sampled) -> None:
    published = read_published(warehouse, "tiny")
    assert published.info.sampled_below
    backtest = cast("Any", SimpleNamespace(published=published))
    found = future_invariance(SPEC, warehouse, backtest, AS_OF)
    assert found.passed, found


def test_features_of_entities_are_told_apart() -> None:
    own = {"rate", "lag", "worth", "seen", "seen_big"}
    assert of_entities(SPEC) == own
    # An expression over one is made of all users' events too, and one over that expression.
    plain = next(feature for feature in SPEC.features if feature.sql)
    more = [
        plain.model_copy(update={"name": name, "sql": sql})
        for name, sql in (("deep", "twice + 1"), ("twice", "2 * rate"), ("rated", "2 * operate"))
    ]
    assert of_entities(SPEC.model_copy(update={"features": (*SPEC.features, *more)})) == {
        *own, "twice", "deep"
    }  # fmt: skip


def test_another_sample_is_published_by_a_build_of_snapshots(warehouse: Sampled) -> None:
    published = read_published(warehouse, SPEC.name)
    assert is_built(SPEC, warehouse, published)
    larger = replace(warehouse, sample=140)  # of 150 users
    assert not is_built(SPEC, larger, published)
    made = build(SPEC, larger, as_of=[AS_OF])
    assert made.mode == "snapshots"
    assert is_built(SPEC, larger, made.published)
    assert made.published.info.sampled_below > published.info.sampled_below > ""
