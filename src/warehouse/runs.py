"""What ran, when, on how many rows and for how long: the table `runs` of a spec's landing schema.

A run is written down when it begins and again when it ends, so that one that failed or was cut off
can be told from one that is done. `whyrank doctor` reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import duckdb

from ..errors import WhyrankError
from ..spec.expressions import quote_name, quote_value
from ..spec.model import Spec
from .contracts import Connection

Kind = Literal["load", "build", "model"]


@dataclass(frozen=True)
class Run:
    """One run: a load, a build, or a model within a build.

    name: the file, the build's mode, or the model. started_at: UTC, without a zone. seconds and
    rows are None where the run did not end or nobody counted. status: running, done or failed.
    rows_in and rows_out: of a load, the rows read and those accepted; of a build, the events loaded
    since the last one, and None; of a model, the rows of all tables that it reads from and of its
    own, as they stand when the build ends (None for a view's own).
    """

    kind: Kind
    name: str
    started_at: datetime
    seconds: float | None = None
    rows_in: int | None = None
    rows_out: int | None = None
    status: str = "running"


def now() -> datetime:
    """Return the time, UTC, without a zone, as the warehouse keeps times."""
    return datetime.now(UTC).replace(tzinfo=None)


def ended(run: Run, *, status: str = "done") -> Run:
    """Return a run as it stands when it ends now."""
    return replace(run, seconds=(now() - run.started_at).total_seconds(), status=status)


@contextmanager
def noted(run: Run, write: Callable[[Run], None]) -> Iterator[None]:
    """Write a run down as running, and as failed where the block raises; its end is the block's.

    write: writes a run down, outside of any transaction that the block may leave undone.
    """
    write(run)
    try:
        yield
    except BaseException:
        # What went wrong may be in the way of this as well; the row then stays "running".
        with suppress(WhyrankError, duckdb.Error):
            write(ended(run, status="failed"))
        raise


def record(con: Connection, spec: Spec, runs: Sequence[Run]) -> None:
    """Write runs down; one of the same kind, name and start takes the place of the earlier row."""
    table = f"{quote_name(spec.landing_schema)}.runs"
    for run in runs:
        kind, name, began = map(quote_value, (run.kind, run.name, run.started_at))
        con.execute(
            f"delete from {table} where kind = {kind} and name = {name} and started_at = {began}"
        )
        con.execute(f"insert into {table} values ({', '.join(map(quote_value, astuple(run)))})")


def last_run(con: Connection, spec: Spec, kind: Kind) -> Run | None:
    """Return the run of a kind that began last, or None."""
    found = con.execute(
        "select kind, name, started_at, seconds, rows_in, rows_out, status "
        f"from {quote_name(spec.landing_schema)}.runs where kind = ? "
        "order by started_at desc limit 1",
        [kind],
    ).fetchone()
    return Run(*found) if found else None


def usual_seconds(con: Connection, spec: Spec, mode: str) -> dict[str, float]:
    """Return the seconds of each model in the last build of a mode that was done; empty at first.

    mode: a build's, as its run is named.
    """
    table = f"{quote_name(spec.landing_schema)}.runs"
    done = f"from {table} where status = 'done' and seconds is not null"
    build = con.execute(
        f"select started_at, seconds {done} and kind = 'build' and name = ? "
        "order by started_at desc limit 1",
        [mode],
    ).fetchone()
    if build is None:
        return {}
    start, seconds = build
    rows = con.execute(
        f"select name, seconds {done} and kind = 'model' and started_at between ? and ?",
        [start, start + timedelta(seconds=seconds)],
    ).fetchall()
    return {name: float(took) for name, took in rows}
