"""whyrank: a product's event log in, a ranked list of users with reasons out.

The rooms of the package, from the ground up:

errors, files, terminal, scorer   what everything shares; scorer says what any scorer is
stats                             intervals by bootstrap
plugins                           what installed packages offer by entry points
spec                              one TOML file as frozen models; the built-in saas, media and olist
events                            the event contract, readers, connectors, the synthetic worlds
warehouse                         loading, the dbt project and what is published to readers
features                          the catalogue of operations, compiled to SQL; snapshots
scoring                           scorecard, reasons, ranking
models                            learned scorers and their reasons
evaluation                        how well a ranking foresaw what came
serving                           a saved scorer over data frames
tracking                          MLflow
reports                           figures
pipeline                          the verbs a user knows, one file each
cli                               the command line: parse, call a verb, print

The names below are loaded when they are first used, so that importing whyrank stays quick.

>>> import whyrank
>>> whyrank.load_spec("saas").target.name
'converted'
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import DataError, SpecError, UsageError, WarehouseError, WhyrankError
    from .pipeline.build import build
    from .pipeline.connect import ingest_connector
    from .pipeline.evaluate import evaluate
    from .pipeline.export import export_features
    from .pipeline.frames import rank_events
    from .pipeline.generate import generate
    from .pipeline.ingest import ingest
    from .pipeline.init import init
    from .pipeline.score import explain, score
    from .spec.load import load_spec, parse_spec
    from .warehouse.open import open_warehouse

    __version__: str

_HOMES = {
    "DataError": "errors",
    "SpecError": "errors",
    "UsageError": "errors",
    "WarehouseError": "errors",
    "WhyrankError": "errors",
    "build": "pipeline.build",
    "evaluate": "pipeline.evaluate",
    "explain": "pipeline.score",
    "export_features": "pipeline.export",
    "generate": "pipeline.generate",
    "ingest": "pipeline.ingest",
    "ingest_connector": "pipeline.connect",
    "init": "pipeline.init",
    "load_spec": "spec.load",
    "open_warehouse": "warehouse.open",
    "parse_spec": "spec.load",
    "rank_events": "pipeline.frames",
    "score": "pipeline.score",
}

__all__ = [
    "DataError",
    "SpecError",
    "UsageError",
    "WarehouseError",
    "WhyrankError",
    "build",
    "evaluate",
    "explain",
    "export_features",
    "generate",
    "ingest",
    "ingest_connector",
    "init",
    "load_spec",
    "open_warehouse",
    "parse_spec",
    "rank_events",
    "score",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for (PEP 562)."""
    if name == "__version__":
        return metadata.version("whyrank")
    if name not in _HOMES:
        raise AttributeError(f"module 'whyrank' has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, those not loaded yet included."""
    return sorted([*__all__, "__version__"])
