"""The commands that rank users, and say why and how well: score, explain, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ..terminal import Terminal, reporting
from .options import (
    SPEC,
    WAREHOUSE,
    AsOfOption,
    DebugOption,
    HorizonOption,
    JsonOption,
    OutOption,
    QuietOption,
    ScorerOption,
    SpecOption,
    TrackingOption,
    WarehouseOption,
    open_both,
)

commands = typer.Typer()


@commands.command(epilog="Example: whyrank score --top 50 --out data/top_users.csv")
def score(
    as_of: AsOfOption = None,
    top: Annotated[int, typer.Option(min=1, help="How many users to export.")] = 20,
    out: OutOption = Path("data/top_users.csv"),
    population: Annotated[
        str, typer.Option("--population", help="Whom to rank: spec or all.")
    ] = "spec",
    scorer: ScorerOption = "champion",
    tracking: TrackingOption = None,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Rank users and write the top of the list with reasons."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..errors import UsageError
        from ..pipeline.score import score as run
        from ..pipeline.show import ranking_lines, stale
        from ..tracking import open_store

        if population not in {"spec", "all"}:
            raise UsageError(f"--population {population!r}: write spec or all")
        opened, store = open_both(spec, warehouse)
        terminal.say("scoring")
        made = run(
            opened, store,
            as_of=as_of, top=top, out=out, everyone=population == "all",
            scorer=scorer, store=open_store(tracking, note=terminal.note), say=terminal.say,
        )  # fmt: skip
        for line in ranking_lines(made, most=10):
            terminal.print(line)
        if age := stale(made.last_event):
            terminal.note(age)


@commands.command(epilog="Example: whyrank explain u0000066")
def explain(
    user_id: Annotated[str, typer.Argument(help="The user.")],
    as_of: AsOfOption = None,
    plot: Annotated[
        Optional[Path],
        typer.Option(metavar="FILE", help="Draw a learned scorer's reasons (PNG).", readable=False),
    ] = None,
    scorer: ScorerOption = "champion",
    tracking: TrackingOption = None,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say why one user stands where they stand."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..pipeline.plots import draw_user
        from ..pipeline.score import explain as run
        from ..pipeline.show import explanation_lines
        from ..tracking import open_store

        opened, store = open_both(spec, warehouse)
        runs = open_store(tracking, note=terminal.note)
        found = run(opened, store, user_id, as_of=as_of, scorer=scorer, store=runs)
        if plot is not None:
            draw_user(found, plot)
        for line in explanation_lines(found):
            terminal.print(line)
        if plot is not None:
            terminal.print(f"drawn: {plot}")


@commands.command(epilog="Example: whyrank evaluate --as-of 2026-03-01 --horizon 30d")
def evaluate(
    as_of: AsOfOption = None,
    horizon: HorizonOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure a past date's ranking on what came after it."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..pipeline.evaluate import evaluate as run
        from ..pipeline.show import evaluation_lines

        opened, store = open_both(spec, warehouse)
        terminal.say("evaluating")
        for line in evaluation_lines(run(opened, store, as_of=as_of, horizon=horizon, seed=seed)):
            terminal.print(line)
