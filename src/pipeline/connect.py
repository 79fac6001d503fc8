"""ingest --connector: a public data set's files as they are, turned into events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import UsageError
from ..events.connectors import CONNECTORS
from ..spec.model import Spec
from ..spec.references import suggest
from ..warehouse.base import Warehouse
from ..warehouse.contracts import LoadResult


def ingest_connector(
    spec: Spec,
    warehouse: Warehouse,
    connector: str,
    folder: Path,
    *,
    log: Callable[[str], None] = lambda _: None,
) -> list[LoadResult]:
    """Load a public data set from its folder; each load says where every row went.

    Raises UsageError for a connector that does not exist, DataError for a file that is missing.
    """
    if connector not in CONNECTORS:
        raise UsageError(f"no connector {connector!r}; {suggest(connector, CONNECTORS)}")
    log(f"reading {folder}")
    with warehouse.loader() as loader:
        made = CONNECTORS[connector](folder, con=loader.con)
        return [
            loader.load(spec, made.users, kind="users"),
            loader.load(spec, made.events, kind="events"),
        ]
