"""How old a build's last event is."""

from __future__ import annotations

from datetime import UTC, date, datetime

STALE_DAYS = 7


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
