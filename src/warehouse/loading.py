"""Load into a warehouse, whichever engine it runs on.

Files are read, checked and named by DuckDB in any case: into the warehouse itself, or into a local
database from which what was accepted goes on to Postgres (`loading_there`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import duckdb

from ..errors import WarehouseError
from ..spec.expressions import quote_name
from ..spec.model import Spec
from .engine import Warehouse, sole_writer
from .landing import LoadResult, load
from .project import landing_schema
from .published import mark_loaded

if TYPE_CHECKING:
    from ..events.records.source import Progress


class Loader(Protocol):
    """Loads sources into a warehouse; `con` is DuckDB's, on which a source can be a relation."""

    @property
    def con(self) -> duckdb.DuckDBPyConnection:
        """The connection."""
        ...

    def load(
        self,
        spec: Spec,
        source: Path | str,
        *,
        kind: str = "events",
        restate: bool = False,
        now: datetime | None = None,
        progress: Progress = lambda *_: None,
    ) -> LoadResult:
        """Load a source as `landing.load` does."""
        ...


def loading(warehouse: Warehouse) -> AbstractContextManager[Loader]:
    """Open a warehouse for loading, other writers kept out until the end.

    Raises WarehouseError when it cannot be opened or another process is writing.
    """
    if warehouse.engine == "postgres":
        # Only here: its drivers load pandas, for which a load into a file would wait.
        from .loading_there import into_postgres
        from .postgres import PostgresWarehouse

        return into_postgres(cast("PostgresWarehouse", warehouse))
    return _into_duckdb(warehouse)


@dataclass(frozen=True)
class _DuckDBLoader:
    con: duckdb.DuckDBPyConnection
    warehouse: Warehouse

    def load(self, spec: Spec, source: Path | str, **options: Any) -> LoadResult:
        """Load a source as `landing.load` does."""
        result = load(self.con, spec, source, **options)
        loads = f"{quote_name(landing_schema(spec))}.loads"
        found = self.con.execute(f"select max(load_id) from {loads}").fetchone()
        with suppress(WarehouseError):  # the load is done; lists made before a build lack a note
            mark_loaded(self.warehouse, spec.name, int(found[0] or 0) if found else 0)
        return result


@contextmanager
def _into_duckdb(warehouse: Warehouse) -> Iterator[Loader]:
    with sole_writer(warehouse), warehouse.connect() as con:
        yield _DuckDBLoader(cast("duckdb.DuckDBPyConnection", con), warehouse)
