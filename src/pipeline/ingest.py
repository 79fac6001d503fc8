"""ingest: load events, users and aliases into the warehouse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ..errors import DataError, UsageError
from ..spec.model import Spec
from ..warehouse.base import Warehouse
from ..warehouse.contracts import LoadResult
from ..warehouse.landing.static_attributes import changing_attributes, changing_lines
from ..warehouse.synthetic_claim import end_claim


def ingest(
    spec: Spec,
    warehouse: Warehouse,
    *,
    events: Path | None = None,
    users: Path | None = None,
    aliases: Path | None = None,
    restate: bool = False,
    own: bool = True,
    now: datetime | None = None,
    log: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda *_: None,
    warn: Callable[[str], None] = lambda _: None,
) -> list[LoadResult]:
    """Load files of events, users and aliases, each in a transaction of its own, in that order.

    restate: the file of events holds all events of its UTC days; earlier ones of these days that
    are not in it are withdrawn. own: whether this is somebody's data, and not a dataset generated
    here, which another one may replace. progress is called with the bytes read so far and in all,
    while a text file is read. warn: called for attributes that are declared static and change.

    Returns one result per file; each says where every row went. Raises UsageError when there is
    no file to load, DataError when one cannot be read or restates no day, WarehouseError when it
    cannot be stored.
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
    if own:
        end_claim(spec, warehouse)
    with warehouse.loader() as loader:
        for kind, path in given:
            log(f"loading {path}")
            mine = restate and kind == "events"
            results.append(
                loader.load(spec, path, kind=kind, restate=mine, now=now, progress=progress)
            )
            if mine and not results[-1].read:
                raise DataError(
                    f"{path}: holds no event, and so names no day to restate: nothing was "
                    "withdrawn; name a file that holds all events of its days"
                )
    if users is not None:
        for line in changing_lines(changing_attributes(spec, warehouse)):
            warn(line)
    return results
