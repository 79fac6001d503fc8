"""The name of a training's folder: everything its fits depend on, as twelve hex digits."""

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

# Whatever makes numbers that are fitted, beside the libraries of the kinds of model. whyrank is not
# there: its version differs between commits, and its sources are hashed.
_LIBRARIES = (("scikit-learn",), ("imbalanced-learn",), ("numpy",), ("scipy",))
# Whatever decides a fit; a package stands for all of its modules.
DECIDING = (
    "whyrank.scorer", "whyrank.stats", "whyrank.models", "whyrank.scoring",
    "whyrank.published.snapshot", "whyrank.published.labels", "whyrank.training.fitting",
    "whyrank.training.calibration", "whyrank.training.datasets", "whyrank.training.spark",
)  # fmt: skip


def run_key(backtest: Backtest, candidates: Sequence[str], params: Mapping[str, Any]) -> str:
    """Return twelve hex digits of everything that fits depend on.

    Data count by the bytes of their snapshots and outcomes, libraries by their versions, whyrank's
    own fitting by its source and the parameters of each candidate as they are used.
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
    """Return the files of the modules that decide a fit, by name and not by place.

    Raises ModuleNotFoundError for one that was renamed: it must not be left out in silence.
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
    """Return the versions of what fits, by the name it is installed under."""
    found: dict[str, str] = {}
    of_kinds = [names for kind in KINDS.values() for names in kind.libraries]
    for names in (*_LIBRARIES, *of_kinds):
        for name in names:
            with suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(name)
                break
    return found
