"""ingest: load events, users and aliases into the warehouse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ..errors import UsageError
from ..spec.model import Spec
from ..warehouse.engine import Warehouse
from ..warehouse.landing import LoadResult, load


def ingest(
    spec: Spec,
    warehouse: Warehouse,
    *,
    events: Path | None = None,
    users: Path | None = None,
    aliases: Path | None = None,
    restate: bool = False,
    now: datetime | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[LoadResult]:
    """Load files of events, users and aliases, each in a transaction of its own, in that order.

    restate: the file of events holds all events of its UTC days; earlier ones of these days that
    are not in it are withdrawn. progress is called with the bytes read so far and in all, while a
    text file is read.

    Returns one result per file; each says where every row went. Raises UsageError when there is
    no file to load, DataError when one cannot be read, WarehouseError when it cannot be stored.
    """
    given = [
        (kind, path)
        for kind, path in (("users", users), ("aliases", aliases), ("events", events))
        if path is not None
    ]
    if restate and events is None:
        raise UsageError("--restate speaks of events: name a file of them")
    if not given:
        raise UsageError("nothing to load: name a file of events, or --users-file, or --aliases")
    results = []
    with warehouse.writing(), warehouse.connect() as con:
        for kind, path in given:
            say(f"loading {path}")
            mine = restate and kind == "events"
            results.append(
                load(con, spec, path, kind=kind, restate=mine, now=now, progress=progress)
            )
    return results
