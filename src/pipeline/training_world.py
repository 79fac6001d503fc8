"""A synthetic dataset large enough to learn from, for a spec that has a generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from ..errors import DataError, UsageError, WarehouseError
from ..spec.model import Spec
from ..types import Log
from ..warehouse.base import Warehouse, sole_writer
from ..warehouse.synthetic_claim import claim, end_claim, foreign_files, loaded_files
from .build import build
from .generate import GENERATORS, generate
from .ingest import ingest

USERS = 20_000
DAYS = 240
SEED = 7
START = date(2026, 1, 1)


def make_training_world(
    spec: Spec,
    warehouse: Warehouse,
    *,
    users: int = USERS,
    days: int = DAYS,
    seed: int = SEED,
    log: Log = lambda _: None,
) -> bool:
    """Generate, load and build a dataset, in place of nothing or of another generated one.

    Returns whether one was generated: where this one is loaded already, nothing is done. Raises
    UsageError for a spec without a generator, or when events that were not generated here are
    loaded, which are never touched; WarehouseError when another process is writing.
    """
    if spec.name not in GENERATORS:
        raise UsageError(
            f"spec {spec.name!r} has no generator of events, so leave --demo out; these have: "
            f"{', '.join(sorted(GENERATORS))}"
        )
    path = _events(spec, warehouse)
    attributes = path.with_name("training_events_users.parquet")
    if not _wanted(spec, warehouse, path):
        return False
    with sole_writer(warehouse):
        # Another process may have made it meanwhile.
        if not _wanted(spec, warehouse, path):
            return False
        if not claim(spec, warehouse, [path, attributes]):
            raise _foreign(spec, warehouse)
        log(f"generating {users:,} users to learn from")
        made = generate(spec, path, users=users, seed=seed, start=START, days=days, force=True)
        ingest(spec, warehouse, events=made.events, users=made.users, own=False, log=log)
        end_claim(spec, warehouse)
        build(spec, warehouse, log=log)
    return True


def refuse_empty(spec: Spec, warehouse: Warehouse) -> None:
    """Raise WarehouseError that says what to run when nothing is loaded for a spec; only looks."""
    if warehouse.exists():
        with warehouse.reading() as con:
            if loaded_files(con, spec):
                return
    demo = f"; to try it on {USERS:,} generated users, `whyrank train --demo`"
    raise WarehouseError(
        f"no events are loaded for spec {spec.name!r} in {warehouse.name}: run `whyrank ingest` "
        f"on your events, then `whyrank build`{demo if spec.name in GENERATORS else ''}"
    )


@contextmanager
def hinting_at_demo(spec: Spec, warehouse: Warehouse) -> Iterator[None]:
    """Let a DataError say what else there is, where only a small demo's users are loaded."""
    try:
        yield
    except DataError as error:
        if spec.name not in GENERATORS:
            raise
        with warehouse.reading() as con:
            loaded = loaded_files(con, spec)
            foreign = foreign_files(con, spec, warehouse)
        if foreign or str(_events(spec, warehouse)) in loaded:
            raise
        raise DataError(
            f"{error}; only the demo's users are loaded: `whyrank train --demo` generates "
            f"{USERS:,} in their place"
        ) from None


def _events(spec: Spec, warehouse: Warehouse) -> Path:
    return warehouse.files / spec.name / "training_events.parquet"


def _wanted(spec: Spec, warehouse: Warehouse, path: Path) -> bool:
    """Return whether the dataset is not there yet, by looking.

    Raises UsageError when events that were not generated here are loaded without it.
    """
    if not warehouse.exists():
        return True
    with warehouse.reading() as con:
        if str(path) in loaded_files(con, spec):
            return False
        if foreign_files(con, spec, warehouse):
            raise _foreign(spec, warehouse)
    return True


def _foreign(spec: Spec, warehouse: Warehouse) -> UsageError:
    return UsageError(
        f"warehouse {warehouse.name} holds events of spec {spec.name!r} that are not the demo's: "
        "leave --demo out to train on them, or give the demo another --warehouse"
    )
