"""The command line: parse, call a verb, print. No logic lives here."""

from __future__ import annotations

import io
import signal
import sys

import typer

from . import data, learning, ranking, start

app = typer.Typer(
    name="whyrank",
    help="From a product's event log to a ranked list of users, with reasons that add up.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
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
    app()
