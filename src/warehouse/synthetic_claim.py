"""Whose events a warehouse holds: synthetic events may be replaced by others.

Synthetic events are known by the loads that brought them, not by names of files, which anybody's
file may have.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files import atomic_write
from ..spec.expressions import quote_name
from ..spec.model import Spec
from .base import Warehouse, sole_writer
from .contracts import Connection
from .landing.load import landing_tables


@dataclass(frozen=True)
class _Claim:
    """Files that a synthetic dataset is loaded from, and the last load that is its own.

    last: None while the dataset is being loaded. warehouse: the identity of the one that it is
    loaded into; another by its name holds none of it.
    """

    files: frozenset[str]
    last: int | None
    warehouse: str

    def covers(self, load_id: int, file: str) -> bool:
        """Return whether a load brought the synthetic dataset."""
        return file in self.files and (self.last is None or load_id <= self.last)


def claim(spec: Spec, warehouse: Warehouse, files: Sequence[Path]) -> bool:
    """Make way for a synthetic dataset: drop an earlier one, and touch nobody else's events.

    files: what will be loaded, by the process that claims, holds the writers' lock over both, and
    calls `end_claim` then. Returns False, and drops nothing, when events that were not
    generated here are loaded.
    """
    with sole_writer(warehouse), warehouse.connect() as con:
        if foreign_files(con, spec, warehouse):
            return False
        if loaded_files(con, spec):
            con.execute(f"drop schema {quote_name(spec.landing_schema)} cascade")
        _write(spec, warehouse, _Claim(frozenset(map(str, files)), None, warehouse.identity))
    return True


def end_claim(spec: Spec, warehouse: Warehouse) -> None:
    """Note which loads brought the synthetic dataset: later ones of the same names are not its.

    Called when the dataset is loaded, and before anything else is.
    """
    found = _read(spec, warehouse)
    if found is None or found.last is not None or not warehouse.exists():
        return
    with warehouse.reading() as con:
        last = max((load_id for load_id, _ in _loads(con, spec)), default=0)
    _write(spec, warehouse, _Claim(found.files, last, found.warehouse))


def loaded_files(con: Connection, spec: Spec) -> set[str]:
    """Return the files that were loaded for a spec."""
    return {file for _, file in _loads(con, spec)}


def foreign_files(con: Connection, spec: Spec, warehouse: Warehouse) -> set[str]:
    """Return the files that were loaded for a spec and are no synthetic dataset's."""
    mine = _read(spec, warehouse)
    return {
        file for load_id, file in _loads(con, spec) if not (mine and mine.covers(load_id, file))
    }


def _loads(con: Connection, spec: Spec) -> list[tuple[int, str]]:
    if "loads" not in landing_tables(con, spec):
        return []
    loads = f"{quote_name(spec.landing_schema)}.loads"
    return [(int(row[0]), str(row[1])) for row in
            con.execute(f"select load_id, file from {loads}").fetchall()]  # fmt: skip


def _marker(spec: Spec, warehouse: Warehouse) -> Path:
    return warehouse.files / spec.name / "demo.json"


def _write(spec: Spec, warehouse: Warehouse, made: _Claim) -> None:
    with atomic_write(_marker(spec, warehouse)) as temporary:
        told = {"files": sorted(made.files), "last_load": made.last, "warehouse": made.warehouse}
        temporary.write_text(json.dumps(told), encoding="utf-8")


def _read(spec: Spec, warehouse: Warehouse) -> _Claim | None:
    marker = _marker(spec, warehouse)
    if not marker.exists():
        return None
    raw = json.loads(marker.read_text(encoding="utf-8"))
    if isinstance(raw, list) or raw.get("warehouse") != warehouse.identity:
        return None  # of an earlier version, or of another warehouse that had this one's name
    return _Claim(frozenset(raw["files"]), raw["last_load"], raw["warehouse"])
