"""Data frames in, data frames out: the whole way in memory, without any file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from ..database import connect_duckdb
from ..errors import DataError, UsageError
from ..features.compiler import compile_features
from ..published.labels import default_as_of
from ..published.snapshot import Snapshot
from ..ranking.active_scorer import SCORECARD, ActiveScorer
from ..ranking.rank import explain_by_model, score_users
from ..reports.frames import reason_records
from ..scorer import ModelReason, Reason, Scale
from ..scoring.ranking import LABELS
from ..scoring.reasons import scorecard_reasons
from ..spec.expressions import quote_name
from ..spec.load import load_spec
from ..spec.model import Spec
from ..tracking.active_scorer import choose_scorer
from ..warehouse.contracts import LoadResult
from ..warehouse.dbt_project.in_memory import run_models
from ..warehouse.dbt_project.render import (
    SNAPSHOT_MODEL,
    render_project,
)
from ..warehouse.landing.load import create_landing, load

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from ..tracking import Store


def rank_events(
    events: pd.DataFrame,
    spec: Spec | str = "saas",
    *,
    users: pd.DataFrame | None = None,
    aliases: pd.DataFrame | None = None,
    as_of: date | None = None,
    everyone: bool = False,
    scorer: str = SCORECARD,
    store: Store | None = None,
    tracking: str | None = None,
) -> pd.DataFrame:
    """Rank the users of a frame of events: rank, user_id, score, label, reasons, one row a user.

    Columns are mapped as the spec's [source] says; times without a zone are read in its time_zone.
    as_of: the day after the last event when None. scorer: scorecard, champion, a learned scorer's
    name or models:/…, as `score` takes them; store: where learned ones are found, the one of
    `tracking` (a tracking URI, or the default) when None. reasons is a list of texts whose points,
    or log-odds of a learned scorer, end them; the scorecard's add up to the score. reason_records
    is the same as data: part, text, amount, unit. A scorer that knows probabilities adds
    probability. `attrs["refused"]` of the result tells how many rows were refused, by reason, and
    `attrs["scorer"]` which scorer ranked.

    Raises DataError when the frame lacks a column that is needed, holds what cannot be read or has
    no acceptable row; UsageError for what is no frame, no date or no scorer of this spec;
    TrackingError when the store of a learned scorer cannot be used.

    >>> import pandas as pd
    >>> events = pd.DataFrame({
    ...     "user_id": ["ana", "ana", "bo"],
    ...     "event_time": pd.to_datetime(["2026-03-01", "2026-03-02", "2026-03-02"]),
    ...     "event_name": ["demo_request", "pricing_view", "page_view"],
    ... })
    >>> rank_events(events)["user_id"].tolist()
    ['ana', 'bo']
    """
    parsed = load_spec(spec) if isinstance(spec, str) else spec
    day = None if as_of is None else [_day(as_of)]
    active = choose_scorer(parsed, scorer, store, tracking=tracking)
    table, refused = features_of(events, parsed, users=users, aliases=aliases, as_of=day)
    if not everyone:
        table = table.filter(table.column("in_population"))
    ranked = _ranked(Snapshot(table), parsed, active)
    ranked.attrs |= {"refused": refused, "scorer": active.stamp}
    return ranked


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


def _day(as_of: object) -> date:
    """Return a date, or the day of a time; raise UsageError for anything else."""
    if isinstance(as_of, datetime):  # pandas' Timestamp is one
        return as_of.date()
    if isinstance(as_of, date):
        return as_of
    raise UsageError(
        f"as_of: {as_of!r} is a {type(as_of).__name__}: give a date, such as date(2026, 3, 1)"
    )


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


def _ranked(snapshot: Snapshot, spec: Spec, active: ActiveScorer) -> pd.DataFrame:
    import pandas as pd

    scored = score_users(spec, snapshot, active)
    order = scored.order()
    why, unit = _reasons(snapshot.take(order), spec, active)
    columns = {
        "rank": np.arange(1, len(order) + 1),
        "user_id": snapshot.take(order).user_ids.to_pylist(),
        "score": scored.score[order],
        "label": [LABELS[code] for code in scored.codes[order]],
        "reasons": [[str(reason) for reason in reasons] for reasons in why],
        "reason_records": [reason_records(reasons, unit) for reasons in why],
    }
    if scored.probability is not None:
        columns["probability"] = scored.probability[order]
    return pd.DataFrame(columns)


def _reasons(
    snapshot: Snapshot, spec: Spec, active: ActiveScorer
) -> tuple[Sequence[Sequence[Reason | ModelReason]], Scale]:
    """Return each user's reasons by the scorer that ranks, and their unit; none without a why."""
    rows = snapshot.rows()
    if active.by_points:
        given = active.scorer.contributions(snapshot)
        return scorecard_reasons(spec.scorecard, given, rows), "points"
    if active.explainer is None:
        return [[] for _ in rows], "log-odds"
    return explain_by_model(spec, active.explainer, snapshot, rows).reasons, "log-odds"
