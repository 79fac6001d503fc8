"""How current a build is: the age of its last event, and days on which the volume collapsed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

STALE_DAYS = 7
USUAL_DAYS = 28
HALF_YEAR_DAYS = 182
COLLAPSED_SHARE = 0.2
COLLAPSED_DAYS = 3


def stale(last_event: str, today: date | None = None) -> str:
    """Return a warning when the newest event is more than a week old, else an empty text.

    >>> stale("2026-01-01 10:00:00", date(2026, 2, 1))
    'the newest event is from 2026-01-01, 31 days ago: load newer events before acting on this'
    >>> stale("2026-01-31 10:00:00", date(2026, 2, 1))
    ''
    """
    newest = datetime.fromisoformat(last_event).date()
    age = ((today or datetime.now(UTC).date()) - newest).days
    if age <= STALE_DAYS:
        return ""
    when = f"{newest}, {age} days ago"
    return f"the newest event is from {when}: load newer events before acting on this"


def collapse_day(volumes: Mapping[date, int], last: date) -> date | None:
    """Return the first day of the last days on which volume has collapsed, or None.

    The last days have collapsed while each holds less than a fifth of the usual volume: the
    highest median of any 28 days in a row in the half year before `last`. Days without events
    count as 0; runs shorter than 3 days are noise.

    >>> steady = {date(2026, 1, 1) + timedelta(days=i): 100 for i in range(40)}
    >>> collapse_day({**steady, date(2026, 2, 14): 3}, date(2026, 2, 14))
    datetime.date(2026, 2, 10)
    >>> collapse_day(steady, date(2026, 2, 9)) is None
    True
    """
    if not volumes:
        return None
    first = max(min(volumes), last - timedelta(days=HALF_YEAR_DAYS))
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    counts = [volumes.get(day, 0) for day in days]
    windows = range(max(len(counts) - USUAL_DAYS, 0) + 1)
    usual = max(statistics.median(counts[i : i + USUAL_DAYS]) for i in windows)
    start = len(counts)
    while start > 0 and counts[start - 1] < COLLAPSED_SHARE * usual:
        start -= 1
    return days[start] if len(counts) - start >= COLLAPSED_DAYS else None
