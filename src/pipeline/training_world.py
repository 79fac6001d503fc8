"""A generated world large enough to learn from, for a spec that has a generator."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from ..spec.model import Spec
from ..warehouse.engine import Warehouse, sole_writer
from .build import Say, build
from .claims import claim, end_claim, foreign_files, loaded_files
from .generate import GENERATORS, generate
from .ingest import ingest

USERS = 20_000
DAYS = 240
SEED = 7
START = date(2026, 1, 1)


def make_world_if_needed(
    spec: Spec,
    warehouse: Warehouse,
    *,
    users: int = USERS,
    days: int = DAYS,
    seed: int = SEED,
    say: Say = lambda _: None,
) -> bool:
    """Generate, load and build a world when nothing, or a generated world only, is loaded.

    Events of one's own are never touched. Returns whether a world was made. Raises WarehouseError
    when one is to be made while another process is writing.
    """
    if spec.name not in GENERATORS:
        return False
    path = warehouse.files / spec.name / "training_events.parquet"
    attributes = path.with_name("training_events_users.parquet")
    if not _wanted(spec, warehouse, path):
        return False
    with sole_writer(warehouse):
        # Another process may have made it meanwhile.
        if not _wanted(spec, warehouse, path) or not claim(spec, warehouse, [path, attributes]):
            return False
        say(f"generating {users:,} users to learn from")
        made = generate(spec, path, users=users, seed=seed, start=START, days=days)
        ingest(spec, warehouse, events=made.events, users=made.users, own=False, say=say)
        end_claim(spec, warehouse)
        build(spec, warehouse, say=say)
    return True


def _wanted(spec: Spec, warehouse: Warehouse, path: Path) -> bool:
    """Return whether the world is not there, nor anything but generated worlds; by looking."""
    if not warehouse.exists():
        return True
    with warehouse.reading() as con:
        return str(path) not in loaded_files(con, spec) and not foreign_files(con, spec, warehouse)
