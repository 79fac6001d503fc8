"""whyrank: a product's event log in, a ranked list of users with reasons out.

Its packages, from the ground up:

errors, types, files, scorer   what everything shares; scorer says what any scorer is
extras      optional libraries, and what to install for them
plugins     what installed packages offer by entry points
stats       bootstrap and Platt scaling
spec        one TOML file as frozen models; the built-in saas, media and olist
events      the event contract, readers, connectors, synthetic data sets
published   a build as its readers see it
features    the catalogue of operations, compiled to SQL
warehouse   loading, the dbt project and the engines
scoring     the scorecard, its reasons and calibration, the exported ranking
models      learned scorers and their attributions
evaluation  metrics, comparisons and leakage checks
reports     figures, tables and texts
ranking     users scored, ordered and explained
serving     a saved scorer over data frames
tracking    MLflow
training    backtests: fits, calibration, tuning, and what is logged of them
pipeline    the commands, one file each
cli         the command line: parse, call a command, print

The names below are loaded when they are first used, so that importing whyrank stays quick.

>>> import whyrank
>>> whyrank.load_spec("saas").target.name
'converted'
"""

from __future__ import annotations

import re
from importlib import import_module, metadata
from pathlib import Path

# name -> (module, its name there), as the stub has them for type checkers.
_PUBLIC = {
    name: (module, there)
    for module, there, name in re.findall(
        r"^from (\.\S+) import (\w+) as (\w+)$",
        Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
}
__all__ = sorted(_PUBLIC)  # noqa: PLE0605 - a list of names all the same


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for (PEP 562).

    Raises InstallError where it needs a library of an extra that is not installed.
    """
    if name == "__version__":
        return metadata.version("whyrank")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'whyrank' has no attribute {name!r}")
    module, there = _PUBLIC[name]
    try:
        value: object = getattr(import_module(module, __name__), there)
    except ModuleNotFoundError as error:
        from .extras import missing_extra

        raise missing_extra(error, f"whyrank.{name}") or error from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, those not loaded yet included."""
    return sorted([*__all__, "__version__"])
