"""The name of a training's folder: everything its fits depend on, as twelve hex digits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from ..models.catalogue import kind_of
from ..models.classifier import DEFAULTS
from .datasets import Backtest

# Whatever fits, or makes numbers that are fitted; of names in one row the first that is there.
_LIBRARIES = (
    ("whyrank",),
    ("scikit-learn",),
    ("xgboost-cpu", "xgboost"),
    ("lightgbm",),
    ("imbalanced-learn",),
    ("numpy",),
    ("scipy",),
)
_PACKAGE = Path(__file__).resolve().parents[1]
_SOURCES = (
    "scorer.py", "published/snapshot.py", "models/*.py", "scoring/*.py", "training/fitting.py",
    "training/calibration.py", "training/spark.py", "training/datasets.py",
)  # fmt: skip


def run_key(backtest: Backtest, candidates: Sequence[str], params: Mapping[str, Any]) -> str:
    """Return twelve hex digits of everything that fits depend on.

    Data count by the bytes of their snapshots and outcomes, libraries by their versions, whyrank's
    own fitting by its source and the parameters of each candidate as they are used.
    """
    plan = backtest.plan
    told = {
        "plan": [plan.monotone(), plan.numbers, plan.texts, plan.recency, plan.purchases],
        "about": asdict(plan.about),
        "folds": [[str(day) for day in (fold.test, *fold.train)] for fold in backtest.all_folds()],
        "candidates": list(candidates),
        "params": {
            name: {**DEFAULTS.get(kind_of(name), {}), **params.get(name, {})} for name in candidates
        },
        "custom": [plan.custom[name].identity() for name in candidates if name in plan.custom],
        "libraries": versions(),
        # Where the files below are a sample, only the build says what was learned from.
        "build": backtest.published.info.build_id if backtest.published.info.sampled_below else "",
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    days = {day for fold in backtest.all_folds() for day in (*fold.train, fold.test)}
    snapshots = [backtest.published.snapshot(day) for day in sorted(days)]
    sources = sorted(path for pattern in _SOURCES for path in _PACKAGE.glob(pattern))
    for path in (backtest.published.table("outcomes"), *snapshots, *sources):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def versions() -> dict[str, str]:
    """Return the versions of what fits, by the name it is installed under."""
    found: dict[str, str] = {}
    for names in _LIBRARIES:
        for name in names:
            with suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(name)
                break
    return found
