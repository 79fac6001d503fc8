"""What was planted in the media world stands in its marts: exactly where it is counted, within
bands of its own probability (five standard errors, as the world's own tests) where it is a rate.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from whyrank.events.synthetic.media.world import generate_media
from whyrank.features.compiler import compile_features
from whyrank.spec.load import load_spec
from whyrank.warehouse.dbt_project.in_memory import run_models
from whyrank.warehouse.dbt_project.render import render_project
from whyrank.warehouse.landing.load import create_landing, load

Z = 5.0
DAYS = 90
START = date(2026, 1, 1)
SPEC = load_spec("media")

pytestmark = pytest.mark.xdist_group("media-marts")  # its world is made once


@dataclass(frozen=True)
class Built:
    """A world's log and truth, and a connection on which its marts stand."""

    log: pd.DataFrame
    truth: pd.DataFrame
    planted: dict[str, Any]
    con: duckdb.DuckDBPyConnection

    def mart(self, sql: str) -> pd.DataFrame:
        return self.con.execute(sql).df()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Users who signed up inside the log alone, so that a cohort's day 0 is the signup's."""
    folder: Path = tmp_path_factory.mktemp("media")
    made = generate_media(folder / "log.parquet", users=8_000, seed=23, days=DAYS)
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.execute(
            f"create table first_seen as select user_id from '{made.users}' group by user_id "
            f"having min(signup_time) >= timestamptz '{START} 00:00:00+00'"
        )
        con.execute(
            f"create table log as select e.* from '{made.events}' as e "
            "inner join first_seen using (user_id)"
        )
        con.execute(f"create table people as select * from '{made.users}'")
        create_landing(con, SPEC)
        load(con, SPEC, "log")
        load(con, SPEC, "people", kind="users")
        end = START + timedelta(days=DAYS)
        files = render_project(SPEC, compile_features(SPEC), [end])
        run_models(con, files, schema="media_marts", landing="media_landing")
        con.execute("set schema = 'media_marts'")
        log = con.execute("select * from memory.main.log order by event_time").df()
        log["event_time"] = log["event_time"].dt.tz_localize(None)
        assert made.world is not None
        planted = json.loads(made.world.read_text())
        truth = pd.read_parquet(made.truth)
        yield Built(log, truth[truth["user_id"].isin(log["user_id"])], planted, con)


def test_daily_metrics_are_those_of_the_log(built: Built) -> None:
    log = built.log.assign(day=built.log["event_time"].dt.normalize())
    daily = built.mart("select * from daily_user_metrics order by day").set_index("day")
    assert len(daily) == DAYS
    assert daily["dau"].tolist() == log.groupby("day")["user_id"].nunique().tolist()
    active = log.groupby("day")["user_id"].agg(set)
    for name, days in (("wau", 7), ("mau", 30)):
        for k in (0, 3, 40, DAYS - 1):
            seen = set().union(*active.iloc[max(0, k - days + 1) : k + 1])
            assert daily[name].iloc[k] == len(seen), (name, k)
    assert daily["new_users"].sum() == log["user_id"].nunique()
    bought = log[log["event_name"] == "purchase"].groupby("day")["value"].sum()
    assert np.allclose(daily["revenue"].astype(float)[bought.index], bought, atol=1e-6)


def test_sessions_are_the_planted_visits_and_their_intents(built: Built) -> None:
    sessions = built.mart("select * from sessions")
    assert len(sessions) == built.log["session_id"].nunique()
    depth = built.log["event_name"].map({"view": 1, "add_to_cart": 2, "purchase": 3})
    deepest = depth.groupby(built.log["session_id"]).max()
    steps = pd.Series({1.0: "view", 2.0: "add_to_cart", 3.0: "purchase"})
    expected = deepest.map(steps).value_counts(dropna=False)
    found = sessions["primary_intent"].value_counts(dropna=False)
    assert found.to_dict() == {k: v for k, v in expected.items() if pd.notna(k)} | (
        {None: int(deepest.isna().sum())} if deepest.isna().any() else {}
    )


def test_the_retention_curve_is_the_planted_one(built: Built) -> None:
    curve = built.planted["retention"]["curve"]
    found = built.mart(
        "select day_number, sum(users) as users, sum(retained_bounded) as kept "
        "from retention_cohorts where retained_bounded is not null "
        "group by day_number order by day_number"
    ).set_index("day_number")
    assert found["users"].iloc[0] == len(built.truth)
    for day in range(1, 61):
        users, share = found["users"][day], curve[day]
        band = Z * np.sqrt(share * (1 - share) / users)
        assert abs(found["kept"][day] / users - share) < band, day


def test_funnel_rates_are_those_of_walking_through_the_log(built: Built) -> None:
    """The ordered shop funnel, user by user: the latest start that can still reach each step."""
    steps = {"view": 0, "add_to_cart": 1, "purchase": 2}
    week = pd.Timedelta(days=7)
    reached = np.zeros(3, dtype=int)
    rows = built.log[built.log["event_name"].isin(list(steps))]
    for _, mine in rows.groupby("user_id", sort=False):
        starts: list[pd.Timestamp | None] = [None, None, None]
        best = -1
        for time, name in zip(mine["event_time"], mine["event_name"], strict=True):
            k = steps[name]
            start = time if k == 0 else starts[k - 1]
            if start is not None and time - start <= week:
                starts[k] = start if starts[k] is None else max(starts[k], start)
                best = max(best, k)
        reached[: best + 1] += 1
    found = built.mart(
        "select step, reached_users from funnel_metrics where funnel = 'shop' and mode = 'ordered' "
        "and segment = 'all' order by step"
    )
    assert found["reached_users"].tolist() == reached.tolist()


def test_the_experiment_s_units_are_the_planted_ones(built: Built) -> None:
    units = built.mart("select * from experiment_units").set_index("user_id").sort_index()
    exposed = built.truth.dropna(subset="exposure_time").set_index("user_id").sort_index()
    assert units.index.tolist() == exposed.index.tolist()
    assert units["variant"].tolist() == exposed["arm"].tolist()
    assert (units["first_exposure"] == exposed["exposure_time"].dt.tz_localize(None)).all()
    assert not units["is_mixed"].any()
    log = built.log[built.log["user_id"].isin(units.index)]
    since = log["event_time"] - units["first_exposure"][log["user_id"]].to_numpy()
    day = log["event_time"].dt.normalize()
    first = units["first_exposure"].dt.normalize()[log["user_id"]].to_numpy()
    age = (day - first).dt.days
    inside = (since >= pd.Timedelta(0)) & (age < 14)
    before = (age < 0) & (age >= -28)
    for name, event in (("engagement", "play"), ("conversion", "purchase")):
        chosen = log["event_name"] == event
        for column, rows in ((name, inside), (f"pre_{name}", before)):
            counts = log[chosen & rows].groupby("user_id").size()
            expected = counts.reindex(units.index, fill_value=0)
            if name == "conversion":
                expected = expected.clip(upper=1)
            assert units[column].tolist() == expected.tolist(), column


def test_the_experiment_s_daily_counts_are_the_planted_ones(built: Built) -> None:
    exposed = built.truth.dropna(subset="exposure_time")
    days = exposed["exposure_time"].dt.tz_localize(None).dt.normalize()
    daily = built.mart(
        "select variant, day, units, mean from experiment_daily_metrics "
        "where metric = 'engagement' order by variant, day"
    )
    for arm, rows in daily.groupby("variant"):
        came = days[exposed["arm"] == arm].value_counts().sort_index().cumsum()
        expected = came.reindex(rows["day"]).ffill()
        assert rows["units"].tolist() == expected.astype(int).tolist()


def test_the_planted_effect_on_engagement_is_found(built: Built) -> None:
    """Treated plays are 1.08 times those of control: a ratio of means, by the delta method."""
    last = built.mart(
        "select * from experiment_daily_metrics where metric = 'engagement' "
        "and day = (select max(day) from experiment_daily_metrics) order by variant"
    ).set_index("variant")
    mean, units = last["mean"], last["units"]
    relative = last["m2"] / (units - 1) / units / mean**2
    error = np.sqrt(relative.sum())
    found = np.log(mean["treatment"] / mean["control"])
    assert abs(found - np.log(built.planted["experiment"]["play_factor"])) < Z * error
