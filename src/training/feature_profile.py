"""The distributions of features in training, saved with a scorer to measure drift later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..ranking.active_scorer import PROFILE
from ..ranking.drift import FeatureDistribution
from ..spec.model import Spec
from .datasets import Backtest, read_labelled


def write_profile(folders: Sequence[Path], spec: Spec, backtest: Backtest) -> None:
    """Write the features' distributions in the latest training snapshot to scorers' folders."""
    day = backtest.folds[-1].train[-1]
    table = read_labelled(spec, backtest, day).table
    plan = backtest.plan
    spreads = [FeatureDistribution.of(table, name, text=False) for name in plan.numeric]
    spreads += [FeatureDistribution.of(table, name, text=True) for name in plan.categorical]
    raw = {"as_of": day.isoformat(), "users": len(table), "spreads": [asdict(s) for s in spreads]}
    for folder in folders:
        (folder / PROFILE).write_text(json.dumps(raw), encoding="utf-8")
