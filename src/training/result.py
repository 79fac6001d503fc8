"""The inputs of a training's comparison, and the result that is saved."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..evaluation.comparison import Comparison, to_dict
from ..evaluation.leakage_checks import LeakageCheck
from ..evaluation.thresholds import Costs
from ..files import atomic_write
from ..models.catalogue import CANDIDATES
from ..reports.comparison_text import resampling_lines
from ..spec.model import Spec
from .datasets import Backtest


def custom_metrics_key(comparison: Comparison) -> str:
    """Return a digest, twelve hex digits, of the custom metrics' values; empty without any.

    A function may change and keep its name, so values distinguish two trainings and names do not.
    """
    if not comparison.custom:
        return ""
    found = {
        name: [comparison.fold_values[fold][scorer][name] for fold in comparison.fold_names
               for scorer in comparison.pooled]
        for name in comparison.custom
    }  # fmt: skip
    told = json.dumps([found, dict(comparison.custom)], sort_keys=True)
    return f"-{sha256(told.encode()).hexdigest()[:12]}"


def costs_of(spec: Spec) -> Costs | None:
    """Return the cost and value of an action, or None if the spec does not state them."""
    cost, value = spec.training.cost_of_action, spec.training.value_of_conversion
    return None if cost is None or value is None else Costs(cost, value)


def matched_pairs_of(candidates: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of a candidate that weighs or resamples and the same one that does not."""
    known = {name: CANDIDATES[name] for name in candidates if name in CANDIDATES}
    plain = {one.kind: name for name, one in known.items() if one.imbalance == "none"}
    return [
        (name, plain[one.kind])
        for name, one in known.items()
        if one.imbalance != "none" and one.kind in plain
    ]


def result_dict(
    backtest: Backtest, comparison: Comparison, leakage_checks: Sequence[LeakageCheck]
) -> dict[str, Any]:
    """Return what `compare` shows later, as values that JSON can hold."""
    return {
        "comparison": to_dict(comparison),
        "verdict": comparison.verdict(),
        "resampling": [line for line in resampling_lines(comparison) if line],
        "leakage_checks": [asdict(check) for check in leakage_checks],
        "sample": backtest.published.info.sample,
        "horizon_days": backtest.horizon_days,
        "spec": backtest.plan.about.spec,
        "spec_version": backtest.plan.about.spec_version,
        "train": {str(f.cutoff): [str(day) for day in f.train] for f in backtest.folds},
    }


def write_result(path: Path, raw: Mapping[str, Any]) -> None:
    """Write what `result_dict` returned, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(raw, indent=1), encoding="utf-8")
