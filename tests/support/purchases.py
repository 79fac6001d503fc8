"""A small shop whose customers buy, and leave, as BG/NBD says; with its spec."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.spec.load import parse_spec
from whyrank.spec.model import Spec
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.open import open_warehouse

START = datetime(2024, 1, 1)
DAYS = 420
LAST = date(2025, 1, 25)  # its outcomes are the last that are known
SNAPSHOTS = [LAST - timedelta(days=30 * step) for step in range(8)]

SPEC = """
name = "shop"
version = "1"
description = "Customers of a shop."
[events]
order = { description = "An order; value is what was paid." }
[target]
events = ["order"]
horizon = "30d"
description = "orders again"
[population]
where = "orders > 0"
description = "customers"
[[features]]
name = "orders"
op = "count"
events = ["order"]
description = "Orders."
[[features]]
name = "repeats"
op = "expression"
sql = "greatest(orders - 1, 0)"
description = "Orders after the first."
[[features]]
name = "since_first"
op = "days_since_first"
events = ["order"]
description = "Days since the first order."
[[features]]
name = "since_last"
op = "days_since_last"
events = ["order"]
description = "Days since the last order."
[[features]]
name = "paid"
op = "mean"
events = ["order"]
column = "value"
description = "Paid for an order, on average."
[[features]]
name = "device"
op = "latest"
type = "text"
events = ["order"]
column = "device"
description = "Device of the latest order."
[[features]]
name = "one"
op = "expression"
sql = "1 + 0 * orders"
description = "The same for everybody."
[[features]]
name = "nothing"
op = "latest"
type = "number"
events = ["order"]
column = "properties.nothing"
description = "Known of nobody."
[[scorecard.terms]]
name = "recent"
feature = "since_last"
points = 60
transform = "half_life"
half_life = 30
reason = "ordered {value} days ago"
[[scorecard.terms]]
name = "repeats"
feature = "repeats"
points = 40
transform = "log"
cap = 5
reason = "came back {value} times"
[bands]
medium = 25
high = 50
[training]
every = "30d"
snapshots = 3
folds = 3
recency = "since_last"
[training.purchases]
repeats = "repeats"
first = "since_first"
last = "since_last"
value = "paid"
"""


@dataclass(frozen=True)
class Buyers:
    """A built warehouse of the shop."""

    spec: Spec
    warehouse: Warehouse
    folder: Path


def orders(customers: int, seed: int) -> pd.DataFrame:
    """Everybody's orders, oldest first: rates, probabilities to leave and amounts differ."""
    rng = np.random.default_rng(seed)
    rows = []
    for place in range(customers):
        rate, leave = rng.gamma(0.9, 1 / 40.0), rng.beta(1.0, 3.0)
        worth = 40 * rng.gamma(4.0, 0.25)
        now = rng.uniform(0, DAYS)
        while now < DAYS:
            rows.append((f"c{place:05d}", now, worth * rng.gamma(5.0, 0.2), place % 3))
            if rng.random() < leave:
                break
            now += rng.exponential(1 / rate)
    rows.sort(key=lambda row: row[1])
    return pd.DataFrame(
        {
            "user_id": [row[0] for row in rows],
            "event_time": [(START + timedelta(days=row[1])).isoformat() for row in rows],
            "event_name": "order",
            "value": [round(row[2], 2) for row in rows],
            "device": [("web", "ios", None)[row[3]] for row in rows],
        }
    )


def open_buyers(folder: Path, customers: int = 1500, seed: int = 5) -> Buyers:
    """Write the orders, load and build them."""
    spec = parse_spec(SPEC, "shop.toml")
    orders(customers, seed).to_csv(folder / "orders.csv", index=False)
    warehouse = open_warehouse(f"duckdb:///{folder}/w.duckdb")
    ingest(spec, warehouse, events=folder / "orders.csv")
    build(spec, warehouse, as_of=SNAPSHOTS)
    return Buyers(spec, warehouse, folder)
