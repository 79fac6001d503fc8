"""The cache key of a training's fits, which is the name of their folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from ..models.catalogue import kind_of
from ..models.kinds import KINDS
from .datasets import Backtest

# Libraries that fits depend on, besides those of the kinds of model. whyrank is not among them,
# because its sources are hashed.
_LIBRARIES = (("scikit-learn",), ("imbalanced-learn",), ("numpy",), ("scipy",))
# The modules that fits depend on; a package includes all of its modules.
DECIDING = (
    "whyrank.scorer", "whyrank.stats", "whyrank.models", "whyrank.scoring",
    "whyrank.published.snapshot", "whyrank.published.labels", "whyrank.training.fitting",
    "whyrank.training.calibration", "whyrank.training.datasets", "whyrank.training.spark",
)  # fmt: skip


def run_key(backtest: Backtest, candidates: Sequence[str], params: Mapping[str, Any]) -> str:
    """Return a digest, twelve hex digits, of everything that fits depend on.

    It covers the bytes of snapshots and outcomes, the versions of libraries, whyrank's own fitting
    code, and the parameters of each candidate.
    """
    plan = backtest.plan
    told = {
        "plan": [plan.monotone(), plan.numeric, plan.categorical, plan.recency, plan.purchases],
        "about": asdict(plan.about),
        "folds": [
            [str(day) for day in (fold.cutoff, *fold.train)] for fold in backtest.all_folds()
        ],
        "candidates": list(candidates),
        "params": {name: {**_defaults(name), **params.get(name, {})} for name in candidates},
        "custom": [plan.custom[name].identity() for name in candidates if name in plan.custom],
        "libraries": versions(),
        # Where the files below are a sample, only the build says what was learned from.
        "build": backtest.published.info.build_id if backtest.published.info.sampled_below else "",
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    days = {day for fold in backtest.all_folds() for day in (*fold.train, fold.cutoff)}
    snapshots = [backtest.published.snapshot(day) for day in sorted(days)]
    for path in (backtest.published.table("outcomes"), *snapshots, *deciding_sources()):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def deciding_sources() -> list[Path]:
    """Return the source files of the modules that fits depend on.

    Raises:
        ModuleNotFoundError: A module was renamed. It must not be silently left out.
    """
    found: list[Path] = []
    for name in DECIDING:
        module = import_module(name)
        origin = Path(str(module.__file__))
        found += sorted(origin.parent.rglob("*.py")) if hasattr(module, "__path__") else [origin]
    return found


def _defaults(name: str) -> Mapping[str, Any]:
    kind = KINDS.get(kind_of(name))  # of a custom candidate its identity says the rest
    return kind.defaults if kind else {}


def versions() -> dict[str, str]:
    """Return the versions of the fitting libraries, by distribution."""
    found: dict[str, str] = {}
    of_kinds = [names for kind in KINDS.values() for names in kind.libraries]
    for names in (*_LIBRARIES, *of_kinds):
        for name in names:
            with suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(name)
                break
    return found
