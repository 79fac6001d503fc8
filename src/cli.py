"""The command line: parse, call a verb, print. No logic lives here."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from .terminal import Terminal, reporting

if TYPE_CHECKING:
    from .spec.model import Spec
    from .warehouse.engine import Warehouse

app = typer.Typer(
    name="whyrank",
    help="From a product's event log to a ranked list of users, with reasons that add up.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _date(text: str) -> date:
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
        "--as-of", parser=_date, metavar="DATE", help="Snapshot date; the latest built if left out."
    ),
]
# Whether a file can be read or written is found out, and said, by the verb that opens it.
OutOption = Annotated[Path, typer.Option("--out", help="The CSV file to write.", readable=False)]
TrackingOption = Annotated[
    Optional[str],
    typer.Option(
        "--tracking",
        envvar="MLFLOW_TRACKING_URI",
        metavar="URI",
        help="MLflow's store; mlflow/mlflow.db here if left out.",
    ),
]
ScorerOption = Annotated[
    str,
    typer.Option(
        "--scorer", help="champion, scorecard, a learned scorer's name, or models:/NAME/VERSION."
    ),
]
SPEC = "saas"
WAREHOUSE = "duckdb:///data/whyrank.duckdb"


def _open(spec: str, warehouse: str) -> tuple[Spec, Warehouse]:
    from .spec.load import load_spec
    from .warehouse.engine import open_warehouse

    return load_spec(spec), open_warehouse(warehouse)


@app.command(
    epilog="Example: whyrank generate --users 100 --seed 7 --out data/raw_events.csv",
)
def generate(
    spec: SpecOption = SPEC,
    users: Annotated[int, typer.Option(help="How many users.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed; the same one gives the same bytes.")] = 7,
    start: Annotated[
        date, typer.Option(parser=_date, metavar="DATE", help="First day of the log.")
    ] = "2026-01-01",  # type: ignore[assignment] # typer parses defaults as it parses options
    days: Annotated[int, typer.Option(help="Days in the log.")] = 90,
    out: Annotated[
        Path,
        typer.Option("--out", help="Events file: .csv, .csv.gz or .parquet.", readable=False),
    ] = Path("data/raw_events.csv"),
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a synthetic world: events, users, the truth behind them."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from .pipeline.generate import generate as run
        from .spec.load import load_spec

        out.parent.mkdir(parents=True, exist_ok=True)
        terminal.say(f"generating {users:,} users")
        made = run(
            load_spec(spec), out,
            users=users, seed=seed, start=start, days=days, progress=terminal.progress,
        )  # fmt: skip
        terminal.print(f"{made.n_events:,} events of {made.n_users:,} users in {made.events}")
        terminal.print(f"attributes in {made.users}; the truth behind them in {made.truth}")
        if made.world is not None:
            terminal.print(f"what was planted in the world is in {made.world}")


@app.command(
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
        Optional[Path], typer.Option("--users-file", help="Attributes of users.", readable=False)
    ] = None,
    aliases: Annotated[
        Optional[Path],
        typer.Option("--aliases", help="Links: anonymous_id, user_id, linked_at.", readable=False),
    ] = None,
    connector: Annotated[
        Optional[str], typer.Option("--connector", help="Read a known data set: olist.")
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
    """Load events; rows that do not fit go to quarantine, whole."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from .errors import UsageError
        from .pipeline.connect import ingest_connector
        from .pipeline.ingest import ingest as run

        opened, store = _open(spec, warehouse)
        if connector is None:
            loads = run(
                opened, store,
                events=events, users=users_file, aliases=aliases, restate=restate,
                say=terminal.say, progress=terminal.progress,
            )  # fmt: skip
        elif events is None or users_file or aliases or restate:
            raise UsageError("--connector takes one folder, no other files and no --restate")
        else:
            loads = ingest_connector(opened, store, connector, events, say=terminal.say)
        for load in loads:
            terminal.print(str(load))
        for load in loads:
            load.refuse_if_nothing_fits()


@app.command(epilog="Example: whyrank build --as-of 2026-03-01 --as-of 2026-04-01 --check")
def build(
    as_of: Annotated[
        Optional[list[date]],
        typer.Option(
            "--as-of",
            parser=_date,
            metavar="DATE",
            help="Snapshot date, repeatable; the day after the last event if left out.",
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Run the data tests too.")] = False,
    full: Annotated[
        bool,
        typer.Option("--full-refresh", "--full", help="Rebuild all, even what did not change."),
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
        from .pipeline.build import build as run
        from .pipeline.export import export_features
        from .pipeline.specs import checked_spec
        from .warehouse.engine import open_warehouse

        opened, store = checked_spec(spec), open_warehouse(warehouse)
        made = run(opened, store, as_of=as_of or [], check=check, full=full, say=terminal.say)
        info = made.published.info
        dates = ", ".join(info.as_of_dates)
        terminal.print(f"{info.users:,} users as of {dates} (build {info.build_id})")
        if check:
            terminal.print(f"{len(made.tests)} data tests passed")
        if out is not None:
            export_features(opened, store, out)
            terminal.print(f"features in {out}")


@app.command(epilog="Example: whyrank score --top 50 --out data/top_users.csv")
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
        from .errors import UsageError
        from .pipeline.score import score as run
        from .pipeline.show import ranking_lines, stale
        from .tracking import open_store

        if population not in {"spec", "all"}:
            raise UsageError(f"--population {population!r}: write spec or all")
        opened, store = _open(spec, warehouse)
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


@app.command(epilog="Example: whyrank explain u0000066")
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
        from .pipeline.plots import draw_user
        from .pipeline.score import explain as run
        from .pipeline.show import explanation_lines
        from .tracking import open_store

        opened, store = _open(spec, warehouse)
        runs = open_store(tracking, note=terminal.note)
        found = run(opened, store, user_id, as_of=as_of, scorer=scorer, store=runs)
        if plot is not None:
            draw_user(found, plot)
        for line in explanation_lines(found):
            terminal.print(line)
        if plot is not None:
            terminal.print(f"drawn: {plot}")


@app.command(epilog="Example: whyrank evaluate --as-of 2026-03-01 --horizon 30d")
def evaluate(
    as_of: AsOfOption = None,
    horizon: Annotated[
        Optional[str], typer.Option(help="Within how long, such as 60d; the spec's if left out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure a past date's ranking on what came after it."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from .pipeline.evaluate import evaluate as run
        from .pipeline.show import evaluation_lines

        opened, store = _open(spec, warehouse)
        terminal.say("evaluating")
        for line in evaluation_lines(run(opened, store, as_of=as_of, horizon=horizon, seed=seed)):
            terminal.print(line)


@app.command(
    epilog="Example: whyrank train --spec olist --as-of 2018-06-01 --horizon 60d --tune 20"
)
def train(
    candidates: Annotated[
        Optional[list[str]],
        typer.Option(metavar="NAMES", help="Names with commas between; all if left out."),
    ] = None,
    tune: Annotated[int, typer.Option(min=0, help="Trials of a search for parameters.")] = 0,
    as_of: Annotated[
        Optional[date],
        typer.Option(
            "--as-of", parser=_date, metavar="DATE", help="Last test; the latest that is known."
        ),
    ] = None,
    horizon: Annotated[
        Optional[str], typer.Option(help="Within how long, such as 60d; the spec's if left out.")
    ] = None,
    folds: Annotated[
        Optional[int], typer.Option(min=1, help="Tests; the spec's if left out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all that is random.")] = 0,
    tracking: TrackingOption = None,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Fit learned scorers on past dates, compare them, log all to MLflow."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from .pipeline.compare import compare_run
        from .pipeline.show_comparison import comparison_lines
        from .pipeline.train import train as run
        from .tracking import open_store

        opened, store = _open(spec, warehouse)
        runs = open_store(tracking, note=terminal.note)
        names = [name.strip() for part in candidates or () for name in part.split(",")] or None
        made = run(
            opened, store, runs,
            as_of=as_of, horizon=horizon, candidates=names, tune=tune, folds=folds, seed=seed,
            say=terminal.say, note=terminal.note, progress=terminal.progress,
        )  # fmt: skip
        found = compare_run(opened, made.store, run=made.run)
        for line in comparison_lines(found.raw, found.comparison):
            terminal.print(line)
        terminal.print("")
        terminal.print(
            f"run {made.run} in {made.store.shown}; next: whyrank compare --promote chosen"
        )


@app.command(epilog="Example: whyrank compare --spec olist --promote chosen")
def compare(
    run: Annotated[
        Optional[str], typer.Option("--run", metavar="ID", help="A training; the latest.")
    ] = None,
    promote: Annotated[
        Optional[str],
        typer.Option(metavar="NAME", help="Make it champion: a scorer's name, or chosen."),
    ] = None,
    tracking: TrackingOption = None,
    spec: SpecOption = SPEC,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say which scorer ranks better, by how much, and how sure that is."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from .pipeline.compare import compare_run
        from .pipeline.show_comparison import comparison_lines
        from .spec.load import load_spec
        from .tracking import open_store

        opened = load_spec(spec)
        runs = open_store(tracking, note=terminal.note)
        found = compare_run(opened, runs, run=run, promote_scorer=promote)
        for line in comparison_lines(found.raw, found.comparison):
            terminal.print(line)
        if found.promoted is not None:
            name, version = found.promoted
            terminal.print("")
            terminal.print(f"champion of {opened.name}: {name} (version {version})")


@app.command(epilog="Example: whyrank calibrate --against outcome --apply my_saas.toml")
def calibrate(
    against: Annotated[
        str, typer.Option("--against", help="outcome (what came) or importance (SHAP).")
    ] = "outcome",
    apply: Annotated[
        Optional[Path],
        typer.Option("--apply", metavar="FILE", help="Write the new spec there.", readable=False),
    ] = None,
    as_of: Annotated[
        Optional[date],
        typer.Option(
            "--as-of", parser=_date, metavar="DATE", help="Date to try it on; the latest known."
        ),
    ] = None,
    horizon: Annotated[
        Optional[str], typer.Option(help="Within how long, such as 60d; the spec's if left out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all that is random.")] = 0,
    tracking: TrackingOption = None,
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Propose the scorecard's points from data; the spec changes only by --apply."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from .pipeline.calibrate import calibrate as run
        from .pipeline.calibrate import calibration_lines
        from .pipeline.log_calibration import log_calibration
        from .tracking import open_store

        opened, store = _open(spec, warehouse)
        made = run(
            opened, store,
            source=spec, against=against, as_of=as_of, horizon=horizon, apply_to=apply, seed=seed,
            say=terminal.say,
        )  # fmt: skip
        for line in calibration_lines(made):
            terminal.print(line)
        runs = open_store(tracking, note=terminal.note)
        logged = log_calibration(runs, opened, made, {"horizon": horizon or "", "seed": seed})
        terminal.print(f"table, plot and diff: run {logged} in {runs.shown}")


@app.command(epilog="Example: whyrank ui --port 5000")
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
    tracking: TrackingOption = None,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Open MLflow's user interface, on this machine only (127.0.0.1)."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from .pipeline.ui import check_servable, serve_ui, view_lines
        from .tracking import open_store

        store = open_store(tracking, note=terminal.note)
        check_servable(store)
        terminal.print(f"MLflow's runs at http://127.0.0.1:{port} (it takes a few seconds)")
        for line in view_lines(store, port):
            terminal.print(line)
        raise typer.Exit(serve_ui(store, port))


@app.command(epilog="Example: whyrank demo --users 200")
def demo(
    users: Annotated[int, typer.Option(help="Users to generate.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the world.")] = 7,
    source: Annotated[
        Optional[Path],
        typer.Option("--input", help="Folder of the olist data set.", readable=False),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the CSV files go.", readable=False)] = Path(
        "data"
    ),
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Generate or read events, build, score, show the top of the list."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from .pipeline.demo import demo as run
        from .pipeline.show import demo_lines

        opened, store = _open(spec, warehouse)
        made = run(
            opened, store, folder=folder, users=users, seed=seed, source=source, say=terminal.say
        )
        for line in demo_lines(made):
            terminal.print(line)


@app.command(epilog="Example: whyrank init my_events.csv --event-time When --target purchase")
def init(
    events: Annotated[Path, typer.Argument(help="A file of your events.", readable=False)],
    target: Annotated[
        Optional[str], typer.Option(help="The event that counts as converted.")
    ] = None,
    user_id: Annotated[
        Optional[str], typer.Option(metavar="COLUMN", help="Column that says who.")
    ] = None,
    event_time: Annotated[
        Optional[str], typer.Option(metavar="COLUMN", help="Column that says when.")
    ] = None,
    event_name: Annotated[
        Optional[str], typer.Option(metavar="COLUMN", help="Column that says what happened.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The spec to write.", readable=False)] = Path(
        "my_spec.toml"
    ),
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a commented spec for your own events, to be edited."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from .pipeline.init import init as run

        terminal.say(f"reading {events}")
        named = {"user_id": user_id, "event_time": event_time, "event_name": event_name}
        columns = {key: column for key, column in named.items() if column is not None}
        made = run(events, out, target=target, columns=columns)
        terminal.print(f"spec written to {made.path}; target: {made.target}; columns:")
        for key, column in made.mapping.items():
            terminal.print(f"  {key}: {column}")
        terminal.print(f"times are read as: {made.time_format}")
        for note in made.notes:
            terminal.note(note)
        terminal.print(f"next: whyrank ingest {events} --spec {made.path}")


@app.command(epilog="Example: whyrank doctor --spec saas")
def doctor(
    spec: SpecOption = SPEC,
    warehouse: WarehouseOption = WAREHOUSE,
    tracking: TrackingOption = None,
    quiet: QuietOption = False,
    json_logs: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Check what is installed, reachable and stale (exit 1: broken)."""
    with reporting(Terminal(quiet=quiet, json_logs=json_logs), debug=debug) as terminal:
        from .pipeline.doctor import doctor as run

        findings = run(spec, warehouse, tracking)
        for finding in findings:
            terminal.print(str(finding))
        if any(finding.status == "broken" for finding in findings):
            raise typer.Exit(1)


def main() -> None:
    """Run the command line; a termination signal ends it as cleanly as an interrupt."""
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()


if __name__ == "__main__":
    main()
