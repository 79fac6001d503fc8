"""The commands of learned scorers: train, compare, calibrate, mlflow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ..errors import UsageError
from .options import (
    SPEC,
    WAREHOUSE,
    BootOption,
    DebugOption,
    HorizonOption,
    JsonOption,
    LevelOption,
    QuietOption,
    SpecOption,
    TrackingOption,
    WarehouseOption,
    open_both,
    read_date,
)
from .output import Terminal, reporting

if TYPE_CHECKING:
    from ..spec.model import Spec
    from ..warehouse.base import Warehouse

commands = typer.Typer()


@commands.command(
    epilog="Example: whyrank train --spec olist --as-of 2018-06-01 --horizon 60d --tune 20"
)
def train(
    candidates: Annotated[
        Optional[list[str]],
        typer.Option(metavar="NAMES", help="Candidates, separated by commas (default: all)."),
    ] = None,
    tune: Annotated[int, typer.Option(min=0, help="Trials of the hyperparameter search.")] = 0,
    as_of: Annotated[
        Optional[date],
        typer.Option(
            "--as-of",
            parser=read_date,
            metavar="DATE",
            help="Cutoff of the last backtest fold (default: the latest with known outcomes).",
        ),
    ] = None,
    horizon: HorizonOption = None,
    folds: Annotated[
        Optional[int], typer.Option(min=1, help="Backtest folds (default: the spec's).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    n_boot: BootOption = 1000,
    level: LevelOption = 0.95,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="Generate 20,000 synthetic users first (saas, media).",
        ),
    ] = False,
    tracking: TrackingOption = None,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Fit learned scorers on past dates, compare them, log to MLflow."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..training.checks import check_training

        opened, store = open_both(spec, warehouse)
        names = [name.strip() for part in candidates or () for name in part.split(",")] or None
        check_training(
            opened,
            candidates=names, horizon=horizon, tune=tune, folds=folds, n_boot=n_boot, level=level,
        )  # fmt: skip
        if not demo and not store.exists():
            from ..pipeline.training_world import refuse_empty

            refuse_empty(opened, store)
        terminal.log("importing libraries")
        from ..pipeline.compare import compare as compare_run
        from ..pipeline.train import train as run
        from ..reports.comparison_text import comparison_lines
        from ..tracking import open_store_or_local

        runs = open_store_or_local(tracking, warn=terminal.warn)
        made = run(
            opened, store, runs,
            as_of=as_of, horizon=horizon, candidates=names, tune=tune, folds=folds, seed=seed,
            n_boot=n_boot, level=level, demo=demo,
            log=terminal.log, warn=terminal.warn, progress=terminal.progress,
        )  # fmt: skip
        found = compare_run(opened, made.store, run=made.run)
        for line in comparison_lines(found.raw, found.comparison):
            terminal.print(line)
        terminal.print("")
        terminal.print(
            f"run {made.run} in {made.store.shown}; next: whyrank compare --promote selected"
        )


@commands.command(epilog="Example: whyrank compare --spec olist --promote selected")
def compare(
    run: Annotated[
        Optional[str], typer.Option("--run", metavar="ID", help="Training run (default: latest).")
    ] = None,
    promote: Annotated[
        Optional[str],
        typer.Option(
            metavar="NAME", help="Scorer to make champion; selected for the recommended one."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all figures as one JSON document.")
    ] = False,
    tracking: TrackingOption = None,
    spec: SpecOption = SPEC,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Report whether any model beats the scorecard, with intervals."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..pipeline.compare import compare as compare_run
        from ..pipeline.compare import comparison_document, promotion_lines
        from ..reports.comparison_text import comparison_lines
        from ..spec.load import load_spec
        from ..tracking import open_store

        opened = load_spec(spec)
        runs = open_store(tracking, warn=terminal.warn)
        found = compare_run(opened, runs, run=run, promote_scorer=promote)
        for line in found.cautions:
            terminal.warn(line)
        if as_json:
            terminal.document(comparison_document(found))
            return
        for line in comparison_lines(found.raw, found.comparison):
            terminal.print(line)
        for line in promotion_lines(opened.name, found):
            terminal.print(line)


@commands.command(epilog="Example: whyrank calibrate --against outcome --apply my_saas.toml")
def calibrate(
    against: Annotated[
        str,
        typer.Option(
            "--against", help="What to fit points to: outcome (labels) or importance (SHAP)."
        ),
    ] = "outcome",
    shape: Annotated[
        bool, typer.Option("--shape", help="Also propose terms, shapes and bands.")
    ] = False,
    max_terms: Annotated[
        Optional[int],
        typer.Option(
            "--max-terms", min=1, help="With --shape: maximum number of terms (default: 15)."
        ),
    ] = None,
    pin: Annotated[
        Optional[list[str]],
        typer.Option(
            "--pin",
            metavar="TERMS",
            help="With --shape: terms to keep as they are, separated by commas.",
        ),
    ] = None,
    folds: Annotated[
        Optional[int],
        typer.Option(min=1, help="With --shape: backtest folds (default: 1)."),
    ] = None,
    apply: Annotated[
        Optional[Path],
        typer.Option(
            "--apply", metavar="FILE", help="Write the new spec to this file.", readable=False
        ),
    ] = None,
    as_of: Annotated[
        Optional[date],
        typer.Option(
            "--as-of",
            parser=read_date,
            metavar="DATE",
            help="Cutoff of the last backtest fold (default: the latest with known outcomes).",
        ),
    ] = None,
    horizon: HorizonOption = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    n_boot: BootOption = 1000,
    level: LevelOption = 0.95,
    tracking: TrackingOption = None,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Propose scorecard points from data; --apply writes a new spec."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..training.checks import check_calibration

        opened, store = open_both(spec, warehouse)
        check_calibration(
            opened, against=against, apply_to=apply, horizon=horizon, n_boot=n_boot, level=level
        )
        if shape:
            _shape(
                opened, store, terminal,
                source=spec, against=against, max_terms=max_terms, pin=pin or (), folds=folds or 1,
                apply=apply, as_of=as_of, horizon=horizon, seed=seed, n_boot=n_boot, level=level,
                tracking=tracking,
            )  # fmt: skip
            return
        for option, given in (("--max-terms", max_terms), ("--pin", pin), ("--folds", folds)):
            if given:
                raise UsageError(f"{option} needs --shape: points alone have no such limit")
        terminal.log("importing libraries")
        from ..pipeline.calibrate import calibrate as run
        from ..tracking import open_store_or_local
        from ..training.calibration_text import calibration_lines
        from ..training.record_calibration import log_calibration

        made = run(
            opened, store,
            source=spec, against=against, as_of=as_of, horizon=horizon, apply_to=apply, seed=seed,
            n_boot=n_boot, level=level, log=terminal.log,
        )  # fmt: skip
        for line in calibration_lines(made):
            terminal.print(line)
        runs = open_store_or_local(tracking, warn=terminal.warn)
        logged = log_calibration(runs, opened, made, {"horizon": horizon or "", "seed": seed})
        terminal.print(f"table, plot and diff: run {logged} in {runs.shown}")


def _shape(
    spec: Spec,
    warehouse: Warehouse,
    terminal: Terminal,
    *,
    source: str,
    against: str,
    max_terms: int | None,
    pin: Sequence[str],
    folds: int,
    apply: Path | None,
    as_of: date | None,
    horizon: str | None,
    seed: int,
    n_boot: int,
    level: float,
    tracking: str | None,
) -> None:
    """Propose the scorecard's shape: calibrate --shape."""
    from ..training.checks import MOST_TERMS, check_shape

    terms = max_terms or MOST_TERMS
    pinned = frozenset(name.strip() for part in pin for name in part.split(","))
    check_shape(spec, against=against, terms=terms, pinned=pinned)
    terminal.log("importing libraries")
    from ..pipeline.calibrate_shape import calibrate_shape
    from ..scoring.shape_fit import Limits
    from ..tracking import open_store_or_local
    from ..training.record_shape import log_shape
    from ..training.shape_text import shape_lines

    limits = Limits(terms, pinned)
    made = calibrate_shape(
        spec, warehouse,
        source=source, limits=limits, as_of=as_of, horizon=horizon, folds=folds, apply_to=apply,
        n_boot=n_boot, level=level, seed=seed, log=terminal.log,
    )  # fmt: skip
    for line in shape_lines(made):
        terminal.print(line)
    runs = open_store_or_local(tracking, warn=terminal.warn)
    params = {
        "horizon": horizon or "", "seed": seed, "max_terms": limits.terms,
        "pinned": ",".join(sorted(pinned)), "folds": folds, "n_boot": n_boot, "level": level,
    }  # fmt: skip
    logged = log_shape(runs, spec, made, params)
    terminal.print(f"terms and diff: run {logged} in {runs.shown}")


@commands.command(epilog="Example: whyrank mlflow --port 5000")
@commands.command("ui", hidden=True)  # what earlier versions called it
def mlflow(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
    tracking: TrackingOption = None,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Open MLflow's user interface, on this machine only (127.0.0.1)."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..pipeline.mlflow_ui import check_port, check_servable, serve_ui, view_lines
        from ..tracking import open_store

        store = open_store(tracking, warn=terminal.warn)
        check_servable(store)
        check_port(port)
        terminal.print(f"MLflow's runs at http://127.0.0.1:{port} (it takes a few seconds)")
        for line in view_lines(store, port):
            terminal.print(line)
        raise typer.Exit(serve_ui(store, port))
