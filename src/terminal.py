"""What the command line shows: progress and errors on stderr, results on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .errors import WhyrankError
from .escapes import shown, shown_lines
from .scrub import scrub

if TYPE_CHECKING:
    from rich.status import Status
    from rich.text import Text

INTERRUPTED = 130


class Terminal:
    """Progress for people (a spinner) or for machines (JSON lines), and results on stdout."""

    def __init__(self, *, quiet: bool = False, json_logs: bool = False) -> None:
        self._quiet = quiet
        self._json = json_logs
        self._status: Status | None = None
        self._message = ""

    def __enter__(self) -> Self:
        """Begin; nothing is shown until something is said."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the spinner."""
        self.still()

    def say(self, message: str) -> None:
        """Tell what is going on now."""
        message = self._message = shown(scrub(message))
        if self._json:
            self._log("info", message)
        elif not self._quiet and sys.stderr.isatty():
            self._spin(message)
        elif not self._quiet:
            sys.stderr.write(f"{message} …\n")

    def progress(self, done: int, total: int) -> None:
        """Tell people, but no log, how far what was said last has come."""
        if self._status is not None and total:
            self._status.update(_text(f"{self._message} {min(done / total, 1.0):.0%}"))

    def note(self, message: str) -> None:
        """Tell something worth knowing that is no error."""
        self.still()
        message = shown_lines(scrub(message))
        if self._json:
            self._log("warning", message)
        else:
            sys.stderr.write(f"note: {message}\n")

    def error(self, message: str) -> None:
        """Tell what went wrong, one line for each thing."""
        self.still()
        for line in shown_lines(scrub(message)).split("\n"):
            if not line:
                continue
            if self._json:
                self._log("error", line)
            else:
                sys.stderr.write(f"error: {line}\n")

    def print(self, text: str) -> None:
        """Write a result to stdout."""
        self.still()
        if not self._quiet:
            sys.stdout.write(f"{shown_lines(text)}\n")

    def still(self) -> None:
        """Take the spinner away."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _spin(self, message: str) -> None:
        if self._status is None:
            from rich.console import Console

            self._status = Console(stderr=True).status(_text(message))
            self._status.start()
        else:
            self._status.update(_text(message))

    def _log(self, level: str, message: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "level": level, "message": message}
        sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")


def _text(message: str) -> Text:
    """Return a message that holds no markup: [brackets] in a path are no style."""
    from rich.text import Text

    return Text(message)


@contextmanager
def reporting(terminal: Terminal, *, debug: bool) -> Iterator[Terminal]:
    """Turn errors into one line and an exit code; with `debug` the traceback is shown as well.

    Exit codes: 1 for what a user can put right in data or warehouse and for bugs, 2 for a call
    that cannot work, 130 when interrupted.
    """
    import typer

    try:
        with terminal:
            yield terminal
    except typer.Exit:
        raise
    except WhyrankError as error:
        if debug:
            raise
        terminal.error(str(error))
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        terminal.error("interrupted; nothing half-written was left")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        raise typer.Exit(0) from None
    except Exception as error:
        if debug:
            raise
        first = (str(error).splitlines() or [""])[0]
        terminal.error(
            f"unexpected {type(error).__name__}: {first} (this is a bug in whyrank: run the "
            "command again with --debug and report what it prints)"
        )
        raise typer.Exit(1) from None
