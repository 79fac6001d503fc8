"""The commands to begin with: demo, init, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..scrub import scrub
from .options import (
    SPEC,
    WAREHOUSE,
    DebugOption,
    ForceOption,
    JsonOption,
    QuietOption,
    SpecOption,
    TrackingOption,
    WarehouseOption,
    open_both,
)
from .output import Terminal, reporting

commands = typer.Typer()


@commands.command(epilog="Example: whyrank demo --users 200")
def demo(
    users: Annotated[int, typer.Option(help="Number of users to generate.")] = 100,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 7,
    source: Annotated[
        Optional[Path],
        typer.Option("--input", help="Folder of the olist data set.", readable=False),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Folder for the CSV files.", readable=False)] = Path(
        "data"
    ),
    force: ForceOption = False,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Generate or read events, build, score, and show the top users."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..pipeline.demo import demo as run
        from .text import demo_lines

        opened, store = open_both(spec, warehouse)
        made = run(
            opened, store,
            folder=folder, users=users, seed=seed, source=source, force=force,
            log=terminal.log, progress=terminal.steps,
        )  # fmt: skip
        for line in demo_lines(made):
            terminal.print(line)


@commands.command(epilog="Example: whyrank init my_events.csv --event-time When --target purchase")
def init(
    events: Annotated[Path, typer.Argument(help="File of your events.", readable=False)],
    target: Annotated[Optional[str], typer.Option(help="Event that counts as conversion.")] = None,
    user_id: Annotated[
        Optional[str], typer.Option(metavar="COLUMN", help="User id column.")
    ] = None,
    event_time: Annotated[
        Optional[str], typer.Option(metavar="COLUMN", help="Event time column.")
    ] = None,
    event_name: Annotated[
        Optional[str], typer.Option(metavar="COLUMN", help="Event name column.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The spec to write.", readable=False)] = Path(
        "my_spec.toml"
    ),
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a commented spec for your own events, for you to edit."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..pipeline.init import init as run

        terminal.log(f"reading {events}")
        named = {"user_id": user_id, "event_time": event_time, "event_name": event_name}
        columns = {key: column for key, column in named.items() if column is not None}
        made = run(events, out, target=target, columns=columns)
        terminal.print(f"spec written to {made.path}; target: {made.target}; columns:")
        for key, column in made.mapping.items():
            terminal.print(f"  {key}: {column}")
        terminal.print(f"times are read as: {made.time_format}")
        for note in made.notes:
            terminal.warn(note)
        terminal.print(f"next: whyrank ingest {events} --spec {made.path}")


@commands.command(epilog="Example: whyrank doctor --spec saas")
def doctor(
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    tracking: TrackingOption = None,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check the installation, warehouse and build; exit 1 if broken."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..pipeline.doctor import doctor as run

        findings = run(spec, warehouse, tracking)
        for finding in findings:
            terminal.print(scrub(str(finding)))  # as libraries and servers said it
        if any(finding.status == "broken" for finding in findings):
            raise typer.Exit(1)
