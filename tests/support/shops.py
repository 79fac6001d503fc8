"""A small shop whose buyers differ: few features, several tests and spend, quick to train on."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.pictures import no_pictures
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.pipeline.train import Training, train
from whyrank.spec.load import parse_spec
from whyrank.spec.model import Spec
from whyrank.tracking import Store
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.open import open_warehouse

START, DAYS, USERS = date(2026, 1, 1), 170, 500
CANDIDATES = ["recency", "bg_nbd", "scorecard_shaped", "logistic", "xgboost"]
SPEC = """
name = "shop"
version = "1"
description = "Who buys again."
[events]
order = { description = "An order; value is what it cost." }
visit = { description = "A visit." }
[target]
events = ["order"]
horizon = "30d"
description = "Buys."
[population]
where = "orders > 0"
description = "users with an order"
[[features]]
name = "orders"
op = "count"
events = ["order"]
unit = "orders"
description = "Orders."
[[features]]
name = "repeats"
op = "expression"
sql = "greatest(orders - 1, 0)"
unit = "orders"
description = "Orders after the first."
[[features]]
name = "days_since_first"
op = "days_since_first"
events = ["order"]
unit = "days"
description = "Days since the first order."
[[features]]
name = "days_since_last"
op = "days_since_last"
events = ["order"]
unit = "days"
description = "Days since the last order."
[[features]]
name = "mean_value"
op = "mean"
column = "value"
events = ["order"]
unit = "dollars"
description = "What an order cost."
[[features]]
name = "visits"
op = "count"
events = ["visit"]
window = "30d"
unit = "visits"
description = "Visits."
[[features]]
name = "platform"
op = "latest"
type = "text"
column = "platform"
unit = "platform"
description = "Platform."
[[scorecard.terms]]
name = "loyal"
feature = "orders"
points = 60
transform = "log"
cap = 10
reason = "bought [once|{value} times]"
[[scorecard.terms]]
name = "recent"
feature = "days_since_last"
points = 40
transform = "half_life"
half_life = 30
reason = "bought {value} days ago"
[bands]
medium = 30
high = 60
[training]
every = "15d"
snapshots = 2
folds = 2
cost_of_action = 5
value_of_conversion = 25
recency = "days_since_last"
suspect_auc = 0.99
[training.groups]
how_often = ["orders", "repeats"]
[training.purchases]
repeats = "repeats"
first = "days_since_first"
last = "days_since_last"
value = "mean_value"
"""


@dataclass(frozen=True)
class Shop:
    """A built warehouse of the shop with a training in it."""

    spec: Spec
    warehouse: Warehouse
    store: Store
    training: Training
    folder: Path


def write_orders(path: Path, seed: int = 11) -> None:
    """Write a log in which some buy often and much, some seldom, and visits come before orders."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.7, 0.03, USERS)  # orders a day
    worth = rng.lognormal(3, 0.5, USERS)
    columns: dict[str, list[object]] = {
        name: [] for name in ("user_id", "event_time", "event_name", "value", "platform")
    }
    for user in range(USERS):
        days = np.flatnonzero(rng.random(DAYS) < rate[user])
        first = int(rng.integers(0, 80))
        for day in sorted({first, *(int(d) for d in days if d > first)}):
            noon = f"{START + timedelta(days=day)}T12:00:00Z"
            visit = f"{START + timedelta(days=max(day - int(rng.integers(0, 3)), 0))}T09:00:00Z"
            for when, name, value in (
                (noon, "order", f"{worth[user] * rng.uniform(0.7, 1.3):.2f}"),
                (visit, "visit", "1"),
            ):
                columns["user_id"].append(f"u{user:04d}")
                columns["event_time"].append(when)
                columns["event_name"].append(name)
                columns["value"].append(value)
                columns["platform"].append(("web", "phone")[user % 2])
    columns["user_id"].append("last")
    columns["event_time"].append(f"{START + timedelta(days=DAYS - 1)}T23:00:00Z")
    for name, value in (("event_name", "visit"), ("value", "1"), ("platform", "web")):
        columns[name].append(value)
    pq.write_table(pa.table(columns), path)


def open_shop(folder: Path) -> tuple[Spec, Warehouse]:
    """Write the log, load and build it."""
    spec = parse_spec(SPEC)
    warehouse = open_warehouse(f"duckdb:///{folder}/w.duckdb")
    write_orders(folder / "orders.parquet")
    ingest(spec, warehouse, events=folder / "orders.parquet")
    build(spec, warehouse)
    return spec, warehouse


def train_shop(
    spec: Spec, warehouse: Warehouse, store: Store, *, drawn: bool = False, **more: object
) -> tuple[Training, list[str]]:
    """Train on the shop; return what was made and what was said.

    drawn: whether its pictures are real ones.
    """
    said: list[str] = []
    known = {"candidates": CANDIDATES, "n_boot": 60, **more}
    with nullcontext() if drawn else no_pictures():
        made = train(spec, warehouse, store, log=said.append, **known)  # type: ignore[arg-type]
    return made, said
