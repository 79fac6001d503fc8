"""The command line: parse, call a command of `pipeline`, print. No logic lives here."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from . import data, learning, ranking, start
from .output import COMMAND, Terminal

_NAMED = ("WHYRANK_SPEC", "WHYRANK_WAREHOUSE", "WHYRANK_TRACKING")  # environment variables

app = typer.Typer(
    name="whyrank",
    help="Rank a product's users from its event log, with reasons that add up to the score.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"whyrank {metadata.version('whyrank')}\n")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Rank a product's users from its event log, with reasons that add up to the score."""
    COMMAND.set(f"whyrank {context.invoked_subcommand}")


for group in (data, ranking, learning, start):  # in this order help lists their commands
    app.add_typer(group.commands)


def main() -> None:
    """Run the command line; a termination signal ends it as cleanly as an interrupt.

    Where the terminal cannot show a letter (ASCII, a legacy code page) a mark stands for it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    words = sys.argv[1:]
    if "--debug" not in words and not sys.warnoptions:
        warnings.simplefilter("ignore")  # Python's, of libraries: nothing to act upon
    _refuse_other_than_utf8(
        [*words, *(os.environ.get(name, "") for name in _NAMED), str(Path.cwd())]
    )
    app()


def _refuse_other_than_utf8(words: Sequence[str]) -> None:
    """Exit 2 for a name whose bytes are no UTF-8: databases, Parquet and URLs cannot hold it."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(word).decode("utf-8", "backslashreplace")
            terminal = Terminal(json_logs="--json-logs" in words)
            terminal.error(f"{shown}: is not UTF-8: rename the file or folder, then name it so")
            sys.exit(UsageError.exit_code)
