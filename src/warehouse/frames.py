"""Data frames as events, users and aliases: landed in memory, and built into snapshots."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import duckdb

from ..database import connect_duckdb
from ..errors import DataError, UsageError
from ..features.compiler import compile_features
from ..published.labels import default_as_of
from ..spec.expressions import quote_name
from ..spec.model import Spec
from .contracts import LoadResult
from .dbt_project.in_memory import run_models
from .dbt_project.render import SNAPSHOT_MODEL, render_project
from .landing.load import create_landing, load

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def features_of(
    events: pd.DataFrame,
    spec: Spec,
    *,
    users: pd.DataFrame | None = None,
    aliases: pd.DataFrame | None = None,
    as_of: list[date] | None = None,
    now: datetime | None = None,
) -> tuple[pa.Table, dict[str, int]]:
    """Build snapshots in memory: one row per user and as_of, in that order, and refusals.

    as_of: the dates; the default date of the spec when None. Raises as `rank_events` does.
    """
    with connect_duckdb(config={"autoinstall_known_extensions": False}) as con:
        con.execute("set timezone = 'UTC'")
        create_landing(con, spec)
        results = _loaded(con, spec, events, users, aliases, now)
        schema = quote_name(spec.landing_schema)
        last = con.execute(f"select max(event_time) from {schema}.events").fetchone()
        if last is None or last[0] is None:
            raise DataError(f"the frame of events has no acceptable row: {results[0].reasons}")
        clock = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
        dates = as_of or [default_as_of(spec, min(last[0], clock))]
        files = render_project(spec, compile_features(spec), dates)
        run_models(
            con,
            files,
            schema=spec.marts_schema,
            landing=spec.landing_schema,
            only=[SNAPSHOT_MODEL],
        )
        table = con.execute(
            f"select * from {quote_name(spec.marts_schema)}.user_features order by user_id, as_of"
        ).to_arrow_table()
    return table, results[0].reasons


def _loaded(
    con: duckdb.DuckDBPyConnection,
    spec: Spec,
    events: pd.DataFrame,
    users: pd.DataFrame | None,
    aliases: pd.DataFrame | None,
    now: datetime | None,
) -> list[LoadResult]:
    results = []
    for kind, frame in (("events", events), ("users", users), ("aliases", aliases)):
        if frame is not None:
            _register(con, kind, frame)
            results.append(load(con, spec, f"frame_of_{kind}", kind=kind, now=now))
    return results


def _register(con: duckdb.DuckDBPyConnection, kind: str, frame: pd.DataFrame) -> None:
    """Let DuckDB read a frame of events, users or aliases, under the name frame_of_KIND.

    Raises UsageError for what is no frame, DataError naming the column that cannot be read.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise UsageError(
            f"{kind}: {str(frame)[:60]!r} is a {type(frame).__name__}: give a pandas DataFrame; "
            "files are loaded by `whyrank ingest`"
        )
    names = [str(name) for name in frame.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"the frame of {kind} has two columns {twice!r}: rename one")
    columns = {name: _readable(frame.iloc[:, place]) for place, name in enumerate(names)}
    for name, column in columns.items():
        try:
            con.register("one_column", pd.DataFrame({name: column}))
            con.execute(f"select count({quote_name(name)}) from one_column")
        except duckdb.Error as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"the frame of {kind}: column {name!r} ({column.dtype}) cannot be read: {reason}; "
                "make it a column of times, numbers or texts"
            ) from None
    con.register(f"frame_of_{kind}", pd.DataFrame(columns, index=frame.index))


def _readable(column: pd.Series) -> pd.Series:
    """Return times that DuckDB takes for no column of one type, periods or a mixture, as it does.

    Times in a column of objects, with zones and without, become ISO texts; a period its start.
    """
    import pandas as pd

    if isinstance(column.dtype, pd.PeriodDtype):
        return pd.Series(column.dt.to_timestamp())
    if column.dtype == object and any(isinstance(value, date) for value in column):
        return column.map(_as_text)
    return column


def _as_text(value: object) -> object:
    import pandas as pd

    if value is pd.NaT:
        return None
    return value.isoformat() if isinstance(value, date) else value
