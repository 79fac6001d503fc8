"""The commands that rank users, explain ranks and evaluate them: score, explain, evaluate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperCommand

from ..escapes import shown
from .options import (
    SPEC,
    WAREHOUSE,
    AsOfOption,
    BootOption,
    DebugOption,
    HorizonOption,
    JsonOption,
    LevelOption,
    OutOption,
    QuietOption,
    ScorerOption,
    SpecOption,
    TrackingOption,
    WarehouseOption,
    open_both,
)
from .output import Terminal, reporting

commands = typer.Typer()


@commands.command(epilog="Example: whyrank score --top 50 --out data/top_users.csv")
def score(
    as_of: AsOfOption = None,
    top: Annotated[int, typer.Option(min=1, help="Number of users to export.")] = 20,
    out: OutOption = Path("data/top_users.csv"),
    population: Annotated[
        str,
        typer.Option("--population", help="Users to rank: spec (the spec's population) or all."),
    ] = "spec",
    scorer: ScorerOption = "champion",
    tracking: TrackingOption = None,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Rank users and write the top of the list, with reasons."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..errors import UsageError

        if population not in {"spec", "all"}:
            raise UsageError(f"--population {population!r}: write spec or all")
        opened, store = open_both(spec, warehouse)
        from ..pipeline.score import score as run
        from ..published.staleness import stale
        from ..tracking.scoring_runs import log_scoring
        from .text import ranking_lines

        terminal.log("scoring")
        made = run(
            opened, store,
            as_of=as_of, top=top, out=out, everyone=population == "all",
            scorer=scorer, tracking=tracking, log=terminal.log, warn=terminal.warn,
        )  # fmt: skip
        for line in ranking_lines(made, most=10):
            terminal.print(line)
        if age := stale(made.last_event):
            terminal.warn(age)
        log_scoring(
            opened, store, made,
            everyone=population == "all", tracking=tracking, warn=terminal.warn,
        )  # fmt: skip


class IdCommand(TyperCommand):
    """A command about one user, whose id may look like an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as any command does; explain how to write an id that begins with a dash."""
        known = {name: param for param in self.params for name in param.opts}
        before = ""
        for word in args:
            takes_it = before in known and not getattr(known[before], "is_flag", False)
            if word == "--":
                break
            if re.match("-[^-]", word) and word[:2] not in known and not takes_it:
                raise typer.BadParameter(
                    f"there is no option {shown(word[:2])}; write an id that begins with a dash "
                    f"after --: whyrank {ctx.info_name} -- {shown(word)}",
                    ctx=ctx,
                )
            before = word
        return list(super().parse_args(ctx, args))


@commands.command(cls=IdCommand, epilog="Example: whyrank explain u0000066")
def explain(
    user_id: Annotated[str, typer.Argument(help="Id of the user.")],
    as_of: AsOfOption = None,
    plot: Annotated[
        Optional[Path],
        typer.Option(metavar="FILE", help="Draw the model's attributions (PNG).", readable=False),
    ] = None,
    scorer: ScorerOption = "champion",
    tracking: TrackingOption = None,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Explain one user's score and rank."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..pipeline.score import explain as run
        from .text import explanation_lines

        if plot is not None:
            from ..extras import require
            from ..training.plots import draw_user

            require("models", "`whyrank explain`")

        opened, store = open_both(spec, warehouse)
        found = run(
            opened, store, user_id,
            as_of=as_of, scorer=scorer, tracking=tracking, warn=terminal.warn,
        )  # fmt: skip
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
    seed: Annotated[int, typer.Option(help="Random seed of the bootstrap.")] = 0,
    n_boot: BootOption = 1000,
    level: LevelOption = 0.95,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Backtest a past date's ranking against actual outcomes."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from ..training.checks import check_intervals, horizon_days

        opened, store = open_both(spec, warehouse)
        horizon_days(opened, horizon)
        check_intervals(n_boot, level)
        from ..pipeline.evaluate import evaluate as run
        from .text import evaluation_lines

        terminal.log("evaluating")
        found = run(
            opened, store,
            as_of=as_of, horizon=horizon, n_boot=n_boot, level=level, seed=seed,
            warn=terminal.warn,
        )  # fmt: skip
        for line in evaluation_lines(found):
            terminal.print(line)
