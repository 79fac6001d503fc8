"""Random logs with links, experiments and label-only events, and the marts built of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import PurePath
from random import Random
from typing import Any

import duckdb
import pandas as pd
from hypothesis import strategies as st
from jinja2 import Template

from whyrank.features.compiler import compile_features
from whyrank.spec.load import parse_spec
from whyrank.spec.model import Spec
from whyrank.warehouse.dbt_project.changes import changes_since
from whyrank.warehouse.dbt_project.in_memory import run_models
from whyrank.warehouse.dbt_project.render import (
    models_of,
    render_project,
)
from whyrank.warehouse.landing.load import create_landing, load

START = datetime(2026, 3, 1)
NOW = datetime(2026, 6, 1)
NAMES = ("view", "click", "ask", "buy", "secret")
BUILT = (
    "daily_user_metrics",
    "retention_cohorts",
    "funnel_metrics",
    "experiment_units",
    "experiment_daily_metrics",
)
FOLDERS = ("analytics", "funnels", "experiments")
Row = dict[str, Any]

HEAD = """
name = "tiny"
version = "1"
description = "A funnel and some experiments."
[events]
view = { description = "A view." }
click = { description = "A click." }
ask = { description = "A question." }
buy = { description = "A purchase." }
secret = { description = "Knows the future.", label_only = true }
[users.attributes]
plan = { static = true }
[target]
events = ["secret"]
horizon = "5d"
description = "Buys."
[[features]]
name = "views"
op = "count"
events = ["view"]
description = "d"
[[scorecard.terms]]
name = "v"
feature = "views"
points = 100
transform = "linear"
cap = 5
reason = "saw {value}"
[bands]
medium = 20
high = 60
"""
MARTS = """
[metrics]
revenue = ["buy", "ask"]
retention_days = 5
[[funnels]]
name = "main"
steps = ["view", "click", "ask", "buy"]
within = "1d"
segments = ["plan"]
[[funnels]]
name = "back"
steps = ["buy", "view"]
within = "30m"
[experiments]
pre_period = "3d"
strata = ["plan"]
metrics = [
    { name = "clicks", kind = "count", events = ["click"], within = "2d" },
    { name = "spent", kind = "sum", events = ["buy"], within = "3d" },
    { name = "select", kind = "any", events = ["buy", "ask"], within = "1d" },
    { name = "late", kind = "count", after = "2d", within = "4d" },
    { name = "kept", kind = "active", after = "1d", within = "3d" },
    { name = "kept_buy", kind = "active", events = ["buy"], after = "2d", within = "5d" },
]
"""


def tiny_spec(marts: str = MARTS) -> Spec:
    """A small spec with these marts."""
    return parse_spec(HEAD + marts, "tiny.toml")


@dataclass(frozen=True)
class Event:
    user_id: str
    event_time: datetime
    event_name: str
    value: float | None = None
    experiment_id: str | None = None
    variant: str | None = None

    @property
    def day(self) -> date:
        return self.event_time.date()


@dataclass(frozen=True)
class World:
    """A log, links (anonymous id, user, time) and the plan of some users.

    first: the number of the first event, which makes its event_id.
    """

    log: list[Event]
    links: Sequence[tuple[str, str, datetime]] = ()
    plans: Sequence[tuple[str, str]] = ()
    first: int = 0


GAPS = [
    0, 0, 1, 60_000_000, 1_800_000_000, 1_800_000_001, 14_400_000_000, 43_200_000_000,
    86_399_999_999, 86_400_000_000, 86_400_000_001, 172_800_000_000,
]  # fmt: skip


def crowd(seed: int, people: int = 60) -> World:
    """As `worlds`, of many users, a third of whom are linked to others."""
    rng = Random(seed)  # noqa: S311 - no secret
    log = []
    for number in range(people):
        when = START + timedelta(hours=rng.randint(0, 4 * 24))
        for _ in range(rng.randint(1, 14)):
            when += timedelta(microseconds=rng.choice(GAPS))
            value = rng.choice([None, rng.randint(-20, 160) / 4])
            experiment = rng.choice([None, None, "e1", "e2"])
            variant = rng.choice(["a", "a", "b", None])
            log.append(Event(f"u{number}", when, rng.choice(NAMES), value, experiment, variant))
    links = {
        (f"u{rng.randrange(people // 3)}", START + timedelta(hours=rng.randrange(8 * 24))): (
            f"u{rng.randrange(people // 3, people)}"
        )
        for _ in range(people // 3)
    }
    plans = [(f"u{n}", rng.choice(["free", "paid"])) for n in range(0, people, 2)]
    return World(log, [(anonymous, user, t) for (anonymous, t), user in links.items()], plans)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Logs of several users; gaps are drawn near the limits, ties included."""
    gaps = st.sampled_from(GAPS)
    names = st.sampled_from(draw(st.sampled_from([NAMES, NAMES[:4], ("view", "click")])))
    log = []
    for number in range(draw(st.integers(1, 7))):
        when = START + timedelta(microseconds=draw(st.integers(0, 4 * 24)) * 3_600_000_000)
        for _ in range(draw(st.integers(1, 14))):
            when += timedelta(microseconds=draw(gaps))
            value = draw(st.one_of(st.none(), st.integers(-5, 40).map(lambda n: n / 4)))
            experiment = draw(st.sampled_from([None, None, "e1", "e2"]))
            variant = draw(st.sampled_from(["a", "a", "b", None]))
            log.append(Event(f"u{number}", when, draw(names), value, experiment, variant))
    links = st.tuples(
        st.sampled_from(["u0", "u1", "u2"]),
        st.sampled_from(["u3", "u4", "new"]),
        st.integers(0, 8 * 24).map(lambda h: START + timedelta(hours=h)),
    )
    found = draw(st.lists(links, max_size=4, unique_by=lambda link: (link[0], link[2])))
    plans = st.tuples(st.sampled_from(["u2", "u3", "u4", "new"]), st.sampled_from(["free", "paid"]))
    return World(log, found, draw(st.lists(plans, max_size=4, unique_by=lambda row: row[0])))


def frames(world: World) -> dict[str, pd.DataFrame]:
    """The world as the data frames that whyrank reads."""
    log = world.log
    return {
        "events": pd.DataFrame(
            {
                "user_id": [e.user_id for e in log],
                "event_id": [f"{world.first + i:04d}" for i in range(len(log))],
                "event_time": pd.Series([e.event_time for e in log], dtype="datetime64[us]"),
                "event_name": [e.event_name for e in log],
                "value": pd.Series([e.value for e in log], dtype="float64"),
                "experiment_id": [e.experiment_id for e in log],
                "variant": [e.variant for e in log],
            }
        ),
        "users": pd.DataFrame(world.plans, columns=["user_id", "plan"], dtype="str"),
        "aliases": pd.DataFrame(
            {
                "anonymous_id": [a for a, _, _ in world.links],
                "user_id": [u for _, u, _ in world.links],
                "linked_at": pd.Series([t for _, _, t in world.links], dtype="datetime64[us]"),
            }
        ),
    }


@cache
def project_of(marts: str) -> tuple[Spec, Mapping[str, str], Mapping[str, str]]:
    """The small spec with these marts, its rendered project, and the marts' data tests as SQL."""
    spec = tiny_spec(marts)
    files = render_project(spec, compile_features(spec), [date(2026, 3, 9)])
    tests = {
        path: Template(text).render(ref=lambda name: f"{spec.marts_schema}.{name}")
        for path, text in files.items()
        if path.startswith("tests/") and PurePath(path).parent.name in FOLDERS
    }
    return spec, files, tests


def marts_of(
    world: World, marts: str = MARTS, *, only: Sequence[str] = BUILT, parts: Sequence[World] = ()
) -> dict[str, list[Row]]:
    """The small spec's models, built in memory, by name; when all are, the data tests hold.

    parts: worlds that arrived before, each followed by a build that the next one goes on from.
    """
    spec, files, tests = project_of(marts)
    schema, landing = spec.marts_schema, spec.landing_schema
    wanted = [name for name in only if name in models_of(files)]
    with duckdb.connect(config={"autoinstall_known_extensions": False, "threads": 1}) as con:
        con.execute("set timezone = 'UTC'")
        create_landing(con, spec)
        built: int | None = None
        for part in (*parts, world):
            for kind, frame in frames(part).items():
                con.register(f"frame_of_{kind}", frame)
                if len(frame):
                    assert load(con, spec, f"frame_of_{kind}", kind=kind, now=NOW).quarantined == 0
            changes = None if built is None else changes_since(con, spec, built)
            names = run_models(
                con, files, schema=schema, landing=landing, only=wanted, changes=changes
            )
            (built,) = con.execute(f"select max(load_id) from {landing}.loads").fetchone() or (
                None,
            )
        for path, sql in tests.items() if only == BUILT else ():
            assert con.execute(sql).fetchall() == [], path
        return {name: _rows(con.execute(f"select * from {schema}.{name}")) for name in names}


def _rows(cursor: duckdb.DuckDBPyConnection) -> list[Row]:
    columns = [column[0] for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
