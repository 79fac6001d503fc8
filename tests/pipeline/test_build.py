"""Builds: dbt and the in-memory runner agree, a spec alone changes a ranking, all or nothing."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from whyrank.errors import WarehouseError
from whyrank.events.synthetic.saas import Generated, generate_saas
from whyrank.pipeline.build import build
from whyrank.pipeline.evaluate import evaluate
from whyrank.pipeline.export import export_features
from whyrank.pipeline.frames import rank_events
from whyrank.pipeline.ingest import ingest
from whyrank.pipeline.score import explain, score
from whyrank.published.staleness import collapse_day
from whyrank.spec.load import parse_spec, spec_text
from whyrank.spec.model import Spec
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.contracts import Lock
from whyrank.warehouse.dbt_project.child import PROGRESS
from whyrank.warehouse.dbt_project.run import _run as RUN  # noqa: N812 - before it is stood in for
from whyrank.warehouse.dbt_project.run import _tell
from whyrank.warehouse.frames import features_of
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.publish import read_published

pytestmark = [
    pytest.mark.commands,
    pytest.mark.usefixtures("dbt"),
    pytest.mark.xdist_group("build"),
]
DATES = [date(2026, 2, 1), date(2026, 4, 1)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return generate_saas(tmp_path_factory.mktemp("world") / "raw_events.csv", users=120, seed=3)


@pytest.fixture(scope="module")
def warehouse(world: Generated, saas: Spec, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse built by dbt, data tests included."""
    folder = tmp_path_factory.mktemp("it's a warehouse")
    store = open_warehouse(f"duckdb:///{folder}/w.duckdb")
    ingest(saas, store, events=world.events, users=world.users)
    made = build(saas, store, as_of=DATES, check=True)
    assert len(made.tests) > 40
    return store


def frames(world: Generated) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.read_csv(world.events), pd.read_csv(world.users)


def test_dbt_and_the_in_memory_runner_build_the_same_snapshots(
    warehouse: Warehouse, world: Generated, saas: Spec
) -> None:
    events, users = frames(world)
    expected, refused = features_of(events, saas, users=users, as_of=DATES)
    assert not refused
    published = read_published(warehouse, "saas")
    by_date = {day: pq.read_table(published.snapshot(day)).to_pylist() for day in DATES}
    for day, rows in by_date.items():
        mine = [row for row in expected.to_pylist() if row["as_of"] == day]
        assert rows == [{**row, "as_of": day} for row in mine]
        assert len(rows) > 50


def test_data_frames_in_ranking_out_equals_the_command_lines(
    warehouse: Warehouse, world: Generated, saas: Spec, tmp_path: Path
) -> None:
    events, users = frames(world)
    ranked = rank_events(events, saas, users=users)
    made = score(saas, warehouse, top=1000, out=tmp_path / "top_users.csv")
    assert ranked["user_id"].tolist() == [user.user_id for user in made.users]
    assert ranked["score"].tolist() == [user.score for user in made.users]
    written = pd.read_csv(tmp_path / "top_users.csv", dtype=str)
    assert written["user_id"].tolist() == ranked["user_id"].tolist()
    contacts = users.drop_duplicates("user_id").set_index("user_id")["email"]
    assert written["email"].tolist() == contacts[written["user_id"]].tolist()
    everyone = pq.read_table(tmp_path / "all_scores.parquet")
    assert everyone.num_rows == made.population == len(ranked)


def test_the_population_is_those_not_converted_unless_everyone_is_asked_for(
    warehouse: Warehouse, world: Generated, saas: Spec, tmp_path: Path
) -> None:
    truth = pd.read_csv(world.truth)
    events, _ = frames(world)
    seen = events["user_id"].nunique()
    converted = truth["converted_time"].notna().sum()
    assert converted > 0
    some = score(saas, warehouse, out=tmp_path / "top_users.csv")
    everyone = score(saas, warehouse, out=tmp_path / "all.csv", everyone=True)
    assert (some.population, everyone.population) == (seen - converted, seen)
    done = truth.loc[truth["converted_time"].notna(), "user_id"].iloc[0]
    told = explain(saas, warehouse, done)
    assert not told.in_population
    assert told.features["converted"] is True


def test_reasons_add_up_in_the_exported_file(
    warehouse: Warehouse, saas: Spec, tmp_path: Path
) -> None:
    score(saas, warehouse, top=50, out=tmp_path / "top_users.csv")
    for _, row in pd.read_csv(tmp_path / "top_users.csv").iterrows():
        amounts = [float(part.rsplit(", ", 1)[1]) for part in row["scorecard_reasons"].split("; ")]
        assert sum(amounts) == pytest.approx(row["score"], abs=1e-9)


def test_the_features_file_has_every_user_and_the_converted_flag(
    warehouse: Warehouse, world: Generated, saas: Spec, tmp_path: Path
) -> None:
    count = export_features(saas, warehouse, tmp_path / "user_features.csv")
    rows = pd.read_csv(tmp_path / "user_features.csv").set_index("user_id")
    truth = pd.read_csv(world.truth).set_index("user_id")
    assert count == len(rows)
    assert rows["converted"].equals(truth["converted_time"].notna()[rows.index].rename("converted"))
    events, _ = frames(world)
    views = events[events["event_name"] == "page_view"].groupby("user_id").size()
    assert rows["page_views"].equals(
        views.reindex(rows.index, fill_value=0).rename("page_views").astype("int64")
    )


def test_outcomes_are_the_planted_conversions(
    warehouse: Warehouse, world: Generated, saas: Spec
) -> None:
    truth = pd.read_csv(world.truth, parse_dates=["converted_time"])
    known = truth.dropna(subset="converted_time").set_index("user_id")["converted_time"]
    outcomes = pq.read_table(read_published(warehouse, "saas").table("outcomes")).to_pandas()
    found = outcomes.set_index("user_id")["event_time"]
    assert found.sort_index().tolist() == known.dt.tz_localize(None).sort_index().tolist()
    evaluation = evaluate(saas, warehouse, as_of=DATES[0], n_boot=50)
    start = pd.Timestamp("2026-02-01", tz="UTC")
    inside = (known >= start) & (known < start + timedelta(days=30))
    # Someone first seen after the date is in no snapshot of it.
    events, _ = frames(world)
    first = pd.to_datetime(events["event_time"]).groupby(events["user_id"]).min()
    assert evaluation.positives == int((inside & (first[known.index] < start)).sum())


def test_an_evaluation_needs_the_log_to_reach_its_horizon(warehouse: Warehouse, saas: Spec) -> None:
    with pytest.raises(WarehouseError, match="choose --as-of 2026-03-02 or earlier"):
        evaluate(saas, warehouse, as_of=DATES[1])


def test_a_date_that_is_not_built_is_named_with_the_command(
    warehouse: Warehouse, saas: Spec, tmp_path: Path
) -> None:
    with pytest.raises(WarehouseError, match="whyrank build --as-of 2026-03-05"):
        score(saas, warehouse, as_of=date(2026, 3, 5), out=tmp_path / "top_users.csv")
    with pytest.raises(WarehouseError, match="did you mean 'u0000"):
        explain(saas, warehouse, "u000007")


def test_weights_bands_and_a_feature_changed_in_toml_alone_change_the_ranking(
    world: Generated, saas: Spec
) -> None:
    events, users = frames(world)
    text = spec_text("saas")

    def ranked(*changes: tuple[str, str]) -> pd.DataFrame:
        changed = text
        for old, new in changes:
            assert old in changed
            changed = changed.replace(old, new, 1)
        made = rank_events(events, parse_spec(changed), users=users)
        return made.set_index("user_id").sort_index()

    before = ranked()
    # Bands: the same scores, other labels.
    bands = ranked(("medium = 30", "medium = 10"))
    assert bands["score"].equals(before["score"])
    expected = before["label"].where(~before["score"].between(10, 30, inclusive="left"), "medium")
    assert bands["label"].equals(expected)
    # Weights: four points moved from one term to another, each user by their two shares.
    weights = ranked(
        (
            'points = 8\ntransform = "linear"\ncap = 12',
            'points = 4\ntransform = "linear"\ncap = 12',
        ),
        ('points = 4\ntransform = "log"\ncap = 60', 'points = 8\ntransform = "log"\ncap = 60'),
    )
    table, _ = features_of(events, saas, users=users)
    rows = {row["user_id"]: row for row in table.to_pylist()}
    for user, after in weights["score"].items():
        row = rows[user]
        moved = 4 * (
            pd.Series([min(row["page_views_30d"], 60)]).add(1).map(_log).iloc[0] / _log(61)
            - min(row["active_days_30d"], 12) / 12
        )
        was = before["score"][user]
        if 0 < was < 100 and 0 < after < 100:
            assert after - was == pytest.approx(moved, abs=0.021)
    # A feature: pricing views of seven days instead of thirty.
    feature = ranked(
        (
            'events = ["pricing_view"]\nwindow = "30d"',
            'events = ["pricing_view"]\nwindow = "7d"',
        )
    )
    assert (feature["score"] <= before["score"]).all()
    assert (feature["score"] < before["score"]).any()


def _log(x: float) -> float:
    from math import log

    return log(x)


def test_an_unchanged_warehouse_builds_new_dates_from_its_user_days(
    warehouse: Warehouse, saas: Spec
) -> None:
    before = pq.read_table(read_published(warehouse, "saas").snapshot(DATES[0])).to_pylist()
    made = build(saas, warehouse, as_of=[DATES[0], date(2026, 3, 1)])
    assert made.mode == "snapshots"
    assert [model.name for model in made.models] == ["user_features"]
    assert pq.read_table(made.published.snapshot(DATES[0])).to_pylist() == before
    again = build(saas, warehouse, as_of=DATES, full=True)
    assert again.mode == "full"
    assert pq.read_table(again.published.snapshot(DATES[0])).to_pylist() == before


def test_a_failing_model_is_one_readable_line_and_readers_keep_what_they_had(
    warehouse: Warehouse, tmp_path: Path, saas: Spec
) -> None:
    before = read_published(warehouse, "saas").info
    broken = parse_spec(
        spec_text("saas").replace(
            'sql = "signups > 0 and calendar_bookings > 0"',
            'sql = "signups + location > 0"',
            1,
        )
    )
    with pytest.raises(WarehouseError, match="model user_features failed: ") as caught:
        build(broken, warehouse, as_of=DATES)
    assert "\n" not in str(caught.value)
    assert read_published(warehouse, "saas").info == before
    assert score(saas, warehouse, out=tmp_path / "top_users.csv").run_id == before.build_id


@pytest.mark.parametrize(
    ("quiet_days", "expected"),
    [(0, None), (2, None), (3, date(2026, 3, 2)), (20, date(2026, 3, 2))],
)
def test_a_collapse_of_volume_is_dated(quiet_days: int, expected: date | None) -> None:
    start = date(2026, 1, 1)
    volumes = {start + timedelta(days=i): 900 + 60 * (i % 7) for i in range(60)}
    quiet = {start + timedelta(days=60 + i): 5 for i in range(quiet_days)}
    assert collapse_day({**volumes, **quiet}, start + timedelta(days=59 + quiet_days)) == expected


def test_what_the_caller_tells_their_own_dbt_is_not_told_to_ours(
    warehouse: Warehouse, saas: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DBT_EMPTY makes models of no rows, DBT_TARGET another profile: neither is asked for."""
    users = read_published(warehouse, "saas").info.users
    for name, value in (
        ("DBT_EMPTY", "1"), ("DBT_TARGET", "prod"), ("DBT_SELECT", "nothing"),
        ("DBT_PROJECT_DIR", "/nowhere"), ("DBT_FULL_REFRESH", "false"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    told: list[tuple[int, int, float | None]] = []
    last = build(saas, warehouse, as_of=DATES, full=True)
    made = build(
        saas, warehouse, as_of=DATES, full=True, progress=lambda *found: told.append(found)
    )
    assert made.published.info.users == users > 0
    # How far dbt is was told as well, at last of all models, and what is left by the last build.
    done, totals, left = map(list, zip(*told, strict=True))
    assert done == sorted(done)
    assert set(totals) == {len(made.models)}
    assert done[-1] == len(made.models) > 10
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0.0
    took = [model.seconds for model in last.models]
    # Before or after each model there was something left, and never more than all of them took.
    assert left[0] <= sum(took) + 1e-6 * len(took)
    assert not list(warehouse.files.rglob(PROGRESS))


def test_how_far_dbt_is_is_told_while_it_runs(tmp_path: Path) -> None:
    """A process that ends once its progress was seen; a line that is half written says nothing."""
    script = "printf '1 9 a\\n2 9 b2\\n3 ' > progress.txt; "
    script += "until [ -e seen ]; do sleep 0.01; done; echo ok"
    told: list[tuple[int, int, float | None]] = []

    def look() -> None:
        _tell(tmp_path / PROGRESS, lambda *found: told.append(found), {"a": 2.0, "b": 3.5})
        if told:
            (tmp_path / "seen").touch()

    ended = RUN(["sh", "-c", f"cd '{tmp_path}'; {script}"], dict(os.environ), Lock(), look)
    assert (ended.stdout, ended.returncode) == ("ok\n", 0)
    assert set(told) == {(2, 9, 3.5)}
