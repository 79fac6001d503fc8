"""What came after the last load that the models know: where an incremental build has to begin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from ...spec.durations import parse_duration
from ...spec.expressions import quote_name
from ...spec.model import Spec
from ..contracts import Connection

EVERY_DAY: Final = date.min
NO_DAY: Final = date.max
_VARIABLES: Final = ("built_load", "since_days", "sessions_since_days")


@dataclass(frozen=True)
class Changes:
    """What loads changed after the models were built.

    built_load: the last load that the models know. events: how many events came after it.
    since: the first UTC day on which anything changed; EVERY_DAY after a new link, which changes
    the whole of somebody's past, and NO_DAY where no event came or went. sessions_since: the
    first day of the sessions that may go on or have to be made again, not after `since`.
    """

    built_load: int
    events: int
    since: date
    sessions_since: date

    def variables(self) -> dict[str, int]:
        """Return what the models are told, days as numbers from 0001-01-01.

        >>> Changes(3, 120, date(1, 1, 8), date(1, 1, 7)).variables()
        {'built_load': 3, 'since_days': 7, 'sessions_since_days': 6}
        """
        days = ((day - EVERY_DAY).days for day in (self.since, self.sessions_since))
        return dict(zip(_VARIABLES, (self.built_load, *days), strict=True))


def environment(changes: Changes | None) -> dict[str, str]:
    """Return what dbt's process is told (dbt/macros/changed.sql); None: everything is rebuilt.

    A variable that is empty must not be set.

    >>> environment(None)["WHYRANK_BUILT_LOAD"]
    ''
    """
    told: dict[str, object] = dict.fromkeys(_VARIABLES, "")
    if changes is not None:
        told.update(changes.variables())
    return {f"WHYRANK_{name.upper()}": str(value) for name, value in told.items()}


def changes_since(
    con: Connection, spec: Spec, built_load: int, *, marts: str | None = None
) -> Changes:
    """Look up what loads after `built_load` brought, withdrew or linked.

    marts: the schema of the models, if it is not the spec's own.
    """
    landing = quote_name(spec.landing_schema)
    count, brought = con.execute(
        f"select count(*), min(event_time) from {landing}.events where load_id > ?", [built_load]
    ).fetchone() or (0, None)
    withdrawn, links = con.execute(
        f"select (select min(event_time) from {landing}.withdrawn where load_id > ?), "
        f"(select count(*) from {landing}.aliases where load_id > ?)",
        [built_load, built_load],
    ).fetchone() or (None, 0)
    ahead = _ahead_of_the_clock(con, landing, built_load)
    times = [time for time in (brought, withdrawn, ahead) if time is not None]
    if links:
        return Changes(built_load, int(count), EVERY_DAY, EVERY_DAY)
    if not times:
        return Changes(built_load, int(count), NO_DAY, NO_DAY)
    first = min(times)
    sessions = _first_open_session(con, spec, first, quote_name(marts or spec.marts_schema))
    return Changes(built_load, int(count), first.date(), min(first, sessions or first).date())


def _ahead_of_the_clock(con: Connection, landing: str, built_load: int) -> datetime | None:
    """Return the earliest known event of a day that had not begun at the last load that was built.

    The marts left it out; by now its day may have come.
    """
    loaded = con.execute(
        f"select max(loaded_at) from {landing}.loads where load_id <= ?", [built_load]
    ).fetchone()
    if not loaded or loaded[0] is None:
        return None
    midnight = loaded[0].replace(hour=0, minute=0, second=0, microsecond=0)
    following: datetime = midnight + timedelta(days=1)
    found = con.execute(
        f"select min(event_time) from {landing}.events where load_id <= ? and event_time >= ?",
        [built_load, following],
    ).fetchone()
    return found[0] if found else None


def _first_open_session(
    con: Connection, spec: Spec, first: datetime, marts: str
) -> datetime | None:
    """Return the start of the earliest session that was not over before the first change."""
    gap = int(parse_duration(spec.sessions.gap).total_seconds())
    found = con.execute(
        f"select min(session_start) from {marts}.sessions "
        f"where session_end + interval '{gap}' second >= ?",
        [first],
    ).fetchone()
    return found[0] if found else None
