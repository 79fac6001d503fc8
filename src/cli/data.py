"""The commands that lead from events to tables: generate, ingest, build."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Optional

import typer

from .options import (
    SPEC,
    WAREHOUSE,
    DebugOption,
    ForceOption,
    JsonOption,
    QuietOption,
    SpecOption,
    WarehouseOption,
    open_both,
    read_date,
)
from .output import Terminal, reporting

commands = typer.Typer()


@commands.command(
    epilog="Example: whyrank generate --users 100 --seed 7 --out data/raw_events.csv",
)
def generate(
    spec: SpecOption = SPEC,
    users: Annotated[int, typer.Option(help="Number of users.")] = 100,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same bytes.")] = 7,
    start: Annotated[
        date, typer.Option(parser=read_date, metavar="DATE", help="First day of the log.")
    ] = "2026-01-01",  # type: ignore[assignment] # typer parses defaults as it parses options
    days: Annotated[int, typer.Option(help="Number of days in the log.")] = 90,
    out: Annotated[
        Path,
        typer.Option("--out", help="Events file: .csv, .csv.gz or .parquet.", readable=False),
    ] = Path("data/raw_events.csv"),
    force: ForceOption = False,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a synthetic dataset: events, users and ground truth."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..pipeline.generate import generate as run
        from ..spec.load import load_spec

        out.parent.mkdir(parents=True, exist_ok=True)
        terminal.log(f"generating {users:,} users")
        made = run(
            load_spec(spec), out,
            users=users, seed=seed, start=start, days=days, force=force,
            progress=terminal.progress,
        )  # fmt: skip
        terminal.print(f"{made.n_events:,} events of {made.n_users:,} users in {made.events}")
        terminal.print(f"attributes in {made.users}; the truth behind them in {made.truth}")
        if made.world is not None:
            terminal.print(f"its parameters and effects are in {made.world}")


@commands.command(
    epilog="Example: whyrank ingest data/raw_events.csv --users-file data/raw_events_users.csv",
)
def ingest(
    events: Annotated[
        Optional[Path],
        typer.Argument(
            help="Events (.csv .jsonl, .gz of them, .parquet), or a connector's folder.",
            readable=False,
        ),
    ] = None,
    users_file: Annotated[
        Optional[Path],
        typer.Option("--users-file", help="File of user attributes.", readable=False),
    ] = None,
    aliases: Annotated[
        Optional[Path],
        typer.Option(
            "--aliases",
            help="File of identity links: anonymous_id, user_id, linked_at.",
            readable=False,
        ),
    ] = None,
    connector: Annotated[
        Optional[str], typer.Option("--connector", help="Read a public data set: olist.")
    ] = None,
    restate: Annotated[
        bool,
        typer.Option(
            "--restate",
            help="The file holds all events of its UTC days: those loaded before and not in it "
            "are withdrawn.",
        ),
    ] = False,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Load events; rows that do not fit the spec go to quarantine."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..errors import UsageError
        from ..pipeline.connect import ingest_connector
        from ..pipeline.ingest import ingest as run

        opened, store = open_both(spec, warehouse)
        if connector is None:
            loads = run(
                opened, store,
                events=events, users=users_file, aliases=aliases, restate=restate,
                log=terminal.log, progress=terminal.progress, warn=terminal.warn,
            )  # fmt: skip
        elif events is None or users_file or aliases or restate:
            raise UsageError("--connector takes one folder, no other files and no --restate")
        else:
            loads = ingest_connector(opened, store, connector, events, log=terminal.log)
        for load in loads:
            terminal.print(str(load))
        for load in loads:
            load.refuse_if_nothing_fits()


@commands.command(epilog="Example: whyrank build --as-of 2026-03-01 --as-of 2026-04-01 --check")
def build(
    as_of: Annotated[
        Optional[list[date]],
        typer.Option(
            "--as-of",
            parser=read_date,
            metavar="DATE",
            help="Snapshot date, repeatable (default: the day after the last event).",
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Also run the data tests.")] = False,
    full: Annotated[
        bool,
        typer.Option("--full-refresh", "--full", help="Rebuild everything, not only what changed."),
    ] = False,
    out: Annotated[
        Optional[Path],
        typer.Option("--out", help="Also write the latest snapshot as CSV.", readable=False),
    ] = None,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Build sessions, user days and snapshots, and publish them."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..pipeline.build import build as run
        from ..pipeline.export import export_features
        from ..pipeline.specs import checked_spec
        from ..warehouse.open import open_warehouse

        opened, store = checked_spec(spec), open_warehouse(warehouse)
        made = run(
            opened, store,
            as_of=as_of or [], check=check, full=full,
            log=terminal.log, warn=terminal.warn, progress=terminal.steps,
        )  # fmt: skip
        info = made.published.info
        dates = ", ".join(info.as_of_dates)
        terminal.print(f"{info.users:,} users as of {dates} (build {info.build_id})")
        if check:
            terminal.print(f"{len(made.tests)} data tests passed")
        if out is not None:
            export_features(opened, store, out)
            terminal.print(f"features in {out}")
