"""What the command line shows: progress and errors on stderr, results on stdout."""

from __future__ import annotations

import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..errors import WhyrankError, system_failure
from ..escapes import shown, shown_lines
from ..extras import missing_extra
from ..scrub import scrub

if TYPE_CHECKING:
    from rich.status import Status
    from rich.text import Text

COMMAND: ContextVar[str] = ContextVar("command", default="whyrank")  # that runs, as it is called
INTERRUPTED = 130
_QUICK = 2.0  # seconds a step takes without a word about time
_EVERY = 10.0  # seconds between two lines of a log about one step
_COUNTED = 1000  # above that many, a share says more than n of N


class Pace:
    """A step's message, and what is left of it.

    Steps that report the same total one after the other (fits of a training) are one piece of work:
    the time left is that of all of them.

    >>> seconds = iter([0, 30])
    >>> pace = Pace(lambda: next(seconds))
    >>> pace.begin("fitting")
    >>> pace.reach(2, 12)
    >>> pace.reach(5, 12)
    >>> pace.told()
    'fitting 5 of 12, 0:30, about 1:10 left'
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._message = ""
        self._began = self._said = 0.0
        self._work: tuple[int, int, float] | None = None  # total, done at first, since when
        self._done = 0
        self._even = True  # whether what is left takes as long as what is done
        self._left: float | None = None  # seconds that were left
        self._left_at = 0.0  # when they were
        self._known = False  # whether this step has said how far it is

    def begin(self, message: str) -> None:
        """Begin a step."""
        self._message = message
        self._began = self._said = self._clock()
        self._known, self._left = False, None

    def reach(self, done: int, total: int, *, even: bool = True, left: float | None = None) -> None:
        """Note how far the step has come.

        even: whether its parts take about as long as each other; else the time left is `left`
        seconds from now, or is not told.
        """
        self._even = even
        if left != self._left:
            self._left, self._left_at = left, self._clock()
        if self._work is None or self._work[0] != total or done < self._done:
            self._work = total, done, self._began
        self._done, self._known = done, True

    def is_due(self) -> bool:
        """Return whether a log has heard nothing of the step for a while; then it has now."""
        now = self._clock()
        due = now - self._said >= _EVERY
        if due:
            self._said = now
        return due

    def told(self) -> str:
        """Return the message with all that is known of the step."""
        now = self._clock()
        if not self._known or self._work is None:
            return self._message + _after(now - self._began)
        total, first, since = self._work
        share = min(self._done / total, 1.0)
        where = f"{self._done:,} of {total:,}" if total <= _COUNTED else f"{share:.0%}"
        seconds = None
        if self._even and self._done > first and now - since > _QUICK:
            seconds = (now - since) * (total - self._done) / (self._done - first)
        elif not self._even and self._left is not None:
            seconds = self._left - (now - self._left_at)
        # One that takes longer than it did is not said to be done.
        left = f", about {_span(seconds)} left" if seconds is not None and seconds > 0 else ""
        return f"{self._message} {where}{_after(now - since)}{left}"

    def __rich__(self) -> Text:
        """Return it for a terminal, where [brackets] are no style."""
        from rich.text import Text

        return Text(self.told(), no_wrap=True, overflow="ellipsis")


class Terminal:
    """Progress for people (a spinner) or for machines (JSON lines), and results on stdout.

    clock: seconds, from any moment on.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        json_logs: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._quiet = quiet
        self._json = json_logs
        self._status: Status | None = None
        self._pace = Pace(clock)

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

    def log(self, message: str) -> None:
        """Tell what is going on now."""
        self._pace.begin(shown(scrub(message)))
        if sys.stderr.isatty() and not self._json:
            self._spin()
        else:
            self._line()

    def progress(self, done: int, total: int) -> None:
        """Tell how far what was said last has come; logs are told every ten seconds."""
        self._reach(done, total, even=True)

    def _reach(self, done: int, total: int, *, even: bool, left: float | None = None) -> None:
        if not total:
            return
        self._pace.reach(done, total, even=even, left=left)
        if self._status is None and self._pace.is_due():
            self._line()

    def steps(self, done: int, total: int, left: float | None = None) -> None:
        """Tell as `progress` does of parts that differ too much to tell the time left by them.

        left: the seconds left, where they are known by something else.
        """
        self._reach(done, total, even=False, left=left)

    def warn(self, message: str) -> None:
        """Tell something worth knowing that is no error; nothing where only errors are wanted."""
        if self._quiet:
            return
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

    def trace(self, error: BaseException) -> None:
        """Tell an error's traceback, without the secrets that libraries quote."""
        self.still()
        told = shown_lines(scrub("".join(traceback.format_exception(error)).rstrip("\n")))
        if self._json:
            self._log("debug", told)
        else:
            sys.stderr.write(f"{told}\n")

    def print(self, text: str) -> None:
        """Write a result to stdout."""
        self.still()
        if not self._quiet:
            sys.stdout.write(f"{shown_lines(text)}\n")

    def document(self, raw: object) -> None:
        """Write a JSON document to stdout, quiet or not: it is what was asked for."""
        self.still()
        sys.stdout.write(json.dumps(raw, indent=1) + "\n")

    def still(self) -> None:
        """Take the spinner away."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _line(self) -> None:
        """Write a line of a log about what is going on."""
        message = self._pace.told()
        if self._quiet:
            return
        if self._json:
            self._log("info", message)
        else:
            sys.stderr.write(f"{message} …\n")

    def _spin(self) -> None:
        if self._status is None and not self._quiet:
            from rich.console import Console

            self._status = Console(stderr=True).status(self._pace)
            self._status.start()

    def _log(self, level: str, message: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "level": level, "message": message}
        sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")


def _after(seconds: float) -> str:
    return f", {_span(seconds)}" if seconds > _QUICK else ""


def _span(seconds: float) -> str:
    """Return a time as minutes and seconds, or with hours.

    >>> _span(7), _span(125), _span(3725)
    ('0:07', '2:05', '1:02:05')
    """
    whole = max(0, math.ceil(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, last = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{last:02d}" if hours else f"{minutes}:{last:02d}"


@contextmanager
def reporting(terminal: Terminal, *, debug: bool) -> Iterator[Terminal]:
    """Turn errors into one line and an exit code; with `debug` the traceback stands before it.

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
            terminal.trace(error)
        terminal.error(str(error))
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        terminal.error("interrupted; nothing half-written was left")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        raise typer.Exit(0) from None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        if debug:
            terminal.trace(error)
        if (said := system_failure(error) or _not_installed(error)) is not None:
            terminal.error(said)
            raise typer.Exit(1) from None
        first = (str(error).splitlines() or [""])[0]
        terminal.error(
            f"unexpected {type(error).__name__}: {first} (this is a bug in whyrank: run the "
            "command again with --debug and report what it prints)"
        )
        raise typer.Exit(1) from None


def _not_installed(error: Exception) -> str | None:
    """Return one line for a library of an extra that the command lacks, None for other errors."""
    if not isinstance(error, ModuleNotFoundError):
        return None
    found = missing_extra(error, f"`{COMMAND.get()}`")
    return None if found is None else str(found)
