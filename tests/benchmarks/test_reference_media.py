"""The hand-written script for the media spec makes the tables that whyrank makes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from benchmarks import reference_media
from whyrank.events.synthetic.media.world import generate_media
from whyrank.features.compiler import compile_features
from whyrank.spec.load import load_spec
from whyrank.warehouse.dbt_project.in_memory import run_models
from whyrank.warehouse.dbt_project.render import render_project
from whyrank.warehouse.landing.load import create_landing, load

AS_OF = date(2026, 3, 20)
pytestmark = pytest.mark.xdist_group("media-marts")
KEYS = {
    "sessions": ["user_id", "session_start"],
    "user_features": ["user_id"],
    "daily_user_metrics": ["day"],
    "retention_cohorts": ["cohort_day", "day_number"],
    "funnel_metrics": ["funnel", "mode", "segment", "segment_value", "step"],
    "experiment_units": ["experiment_id", "user_id"],
    "experiment_daily_metrics": ["experiment_id", "variant", "day", "metric", "min_age"],
    "daily_events": ["day"],
    "outcomes": ["user_id", "event_time"],
}
NOT_BY_HAND = {
    "version",
    "as_of",
    "in_population",
    "is_spam",
    "event_name",
    "is_mixed",
    "mixed_since",
}


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder: Path = tmp_path_factory.mktemp("media")
    made = generate_media(folder / "events.parquet", users=1500, seed=5)
    by_hand = folder / "by_hand.duckdb"
    reference_media.load(str(made.events), str(made.users), str(by_hand))
    reference_media.build(AS_OF.isoformat(), str(by_hand))
    spec = load_spec("media")
    with duckdb.connect() as opened:
        opened.execute("set timezone = 'UTC'")
        create_landing(opened, spec)
        load(opened, spec, made.events)
        load(opened, spec, made.users, kind="users")
        files = render_project(spec, compile_features(spec), [AS_OF])
        run_models(opened, files, schema="media_marts", landing="media_landing")
        opened.execute(f"attach '{by_hand}' as by_hand (read_only)")
        yield opened


@pytest.mark.parametrize("table", sorted(KEYS))
def test_the_script_s_tables_are_whyrank_s(con: duckdb.DuckDBPyConnection, table: str) -> None:
    keys = KEYS[table]
    expected = con.execute(f"select * from media_marts.{table}").df()
    found = con.execute(f"select * from by_hand.{table}").df()
    columns = [name for name in expected.columns if name not in NOT_BY_HAND]
    left, right = (frame[columns].sort_values(keys).set_index(keys) for frame in (expected, found))
    assert len(left) > 50
    pd.testing.assert_frame_equal(
        left.convert_dtypes(),
        right.convert_dtypes(),
        check_dtype=False,
        check_index_type=False,
        rtol=1e-9,
        atol=1e-6,
    )
