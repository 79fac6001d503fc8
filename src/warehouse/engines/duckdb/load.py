"""Load into a DuckDB file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ....errors import WarehouseError
from ....spec.expressions import quote_name
from ....spec.model import Spec
from ...base import Warehouse
from ...contracts import LoadResult
from ...landing.load import load
from ...publish import mark_loaded


@dataclass(frozen=True)
class DuckDBLoader:
    """Loads into an open file; `contracts.Loader` says how."""

    con: duckdb.DuckDBPyConnection
    warehouse: Warehouse

    def load(self, spec: Spec, source: Path | str, **options: Any) -> LoadResult:
        """Load a source as `landing.load` does."""
        result = load(self.con, spec, source, **options)
        loads = f"{quote_name(spec.landing_schema)}.loads"
        found = self.con.execute(f"select max(load_id) from {loads}").fetchone()
        with suppress(WarehouseError):  # the load is done; lists made before a build lack a note
            mark_loaded(self.warehouse, spec.name, int(found[0] or 0) if found else 0)
        return result
