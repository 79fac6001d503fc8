"""Small feature tables with a planted truth."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from whyrank.models.kinds.base import FitSpec, TrainingData
from whyrank.published.snapshot import Snapshot
from whyrank.scorer import ModelMetadata
from whyrank.spec.load import parse_spec

ABOUT = ModelMetadata("", "toy", "1+x", "f", "2026-01-01", ("2025-12-01",), 30, 0, 0, 0, {})
SPEC = parse_spec(
    """
name = "toy"
version = "1"
description = "Who buys."
[events]
view = { description = "A view." }
buy = { description = "Buys." }
[target]
events = ["buy"]
horizon = "30d"
description = "Buys."
[population]
where = "views >= 0"
description = "everybody"
[[features]]
name = "views"
op = "count"
events = ["view"]
unit = "views"
description = "Views."
[[features]]
name = "days"
op = "days_since_last"
events = ["view"]
unit = "days"
description = "Days since the last view."
[[features]]
name = "noise"
op = "mean"
column = "value"
events = ["view"]
unit = "dollars"
description = "Nothing."
[[features]]
name = "device"
op = "latest"
type = "text"
column = "device"
unit = "device"
description = "Device."
[[scorecard.terms]]
name = "keen"
feature = "views"
points = 80
transform = "linear"
cap = 20
reason = "{value} views"
[[scorecard.terms]]
name = "device"
feature = "device"
points = 20
transform = "map"
map = { ios = 1, web = 0.5 }
reason = "on {value}"
[bands]
medium = 30
high = 60
"""
)


def plan(**changes: object) -> FitSpec:
    known: dict[str, object] = {
        "numeric": ("views", "days", "noise"),
        "categorical": ("device",),
        "monotone_increasing": frozenset(),
        "monotone_decreasing": frozenset(),
        "recency": "days",
        "purchases": None,
        "about": ABOUT,
        "spec": SPEC,
    }
    return FitSpec(**{**known, **changes})  # type: ignore[arg-type]


def toy(n: int = 4000, seed: int = 0, *, nulls: float = 0.05) -> tuple[Snapshot, np.ndarray]:
    """Users whose probability rises with views, falls with days and depends on the device."""
    rng = np.random.default_rng(seed)
    views = rng.poisson(4, n).astype(float)
    days = rng.integers(0, 60, n).astype(float)
    device = rng.choice(["web", "ios", "android"], n, p=[0.6, 0.3, 0.1])
    lift = np.select([device == "ios", device == "android"], [0.8, -0.8], 0.0)
    probability = 1 / (1 + np.exp(-(-3.5 + 0.3 * views - 0.02 * days + lift)))
    labels = rng.random(n) < probability
    views[rng.random(n) < nulls] = np.nan
    table = pa.table(
        {
            "user_id": [f"u{i:06d}" for i in range(n)],
            "in_population": np.ones(n, dtype=bool),
            "views": pa.array(views, from_pandas=True),
            "days": days,
            "noise": rng.normal(size=n),
            "device": pa.array(device).take(pa.array(np.arange(n))),
        }
    )
    return Snapshot(table), labels


def data(n: int = 4000, seed: int = 0) -> TrainingData:
    table, labels = toy(n, seed)
    users = np.arange(len(table)) // 2  # everybody stands there twice
    latest = np.arange(len(table)) >= len(table) // 2
    return TrainingData(table, labels, users, latest)
