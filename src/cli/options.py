"""The options that several commands share, and how they open the spec and the warehouse."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from ..spec.model import Spec
    from ..warehouse.base import Warehouse


def read_date(text: str) -> date:
    """Parse the date that is given as an option."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date: write it as 2026-03-31") from None


SpecOption = Annotated[
    str,
    typer.Option(
        "--spec",
        envvar="WHYRANK_SPEC",
        help="A built-in spec (saas, media, olist) or a .toml file.",
    ),
]
WarehouseOption = Annotated[
    str,
    typer.Option(
        "--warehouse",
        envvar="WHYRANK_WAREHOUSE",
        help="URL of the warehouse: duckdb:///PATH, postgresql://HOST/DB or spark://HOST:PORT.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
JsonOption = Annotated[bool, typer.Option("--json-logs", help="Log as JSON lines on stderr.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
AsOfOption = Annotated[
    Optional[date],
    typer.Option(
        "--as-of",
        parser=read_date,
        metavar="DATE",
        help="Snapshot date (default: the latest built).",
    ),
]
HorizonOption = Annotated[
    Optional[str],
    typer.Option("--horizon", help="Label horizon, such as 60d (default: the spec's)."),
]
BootOption = Annotated[int, typer.Option("--n-boot", help="Bootstrap replicates over users.")]
LevelOption = Annotated[float, typer.Option("--level", help="Confidence level of intervals.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite files of the same names.")]
# The command that opens a file reports that it cannot be read or written.
OutOption = Annotated[Path, typer.Option("--out", help="The CSV file to write.", readable=False)]
TrackingOption = Annotated[
    Optional[str],
    typer.Option(
        "--tracking",
        envvar="MLFLOW_TRACKING_URI",
        metavar="URI",
        help="MLflow tracking URI (default: mlflow/mlflow.db here).",
    ),
]
ScorerOption = Annotated[
    str,
    typer.Option("--scorer", help="champion, scorecard, a scorer's name, or models:/NAME/VERSION."),
]
SPEC = "saas"
WAREHOUSE = "duckdb:///data/whyrank.duckdb"


def open_both(spec: str, warehouse: str) -> tuple[Spec, Warehouse]:
    """Return the spec and the warehouse that the options name."""
    from ..spec.load import load_spec
    from ..warehouse.open import open_warehouse

    return load_spec(spec), open_warehouse(warehouse)
