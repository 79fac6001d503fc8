"""A generated world large enough to learn from, for a spec that has a generator."""

from __future__ import annotations

from datetime import date

from ..spec.expressions import quote_name
from ..spec.model import Spec
from ..warehouse.engine import Warehouse
from ..warehouse.landing import create_landing
from ..warehouse.project import landing_schema
from .build import Say, build
from .demo import claim
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

    Events of one's own are never touched. Returns whether a world was made.
    """
    if spec.name not in GENERATORS:
        return False
    path = warehouse.files / spec.name / "training_events.parquet"
    attributes = path.with_name("training_events_users.parquet")
    with warehouse.connect() as con:
        create_landing(con, spec)
        landing = quote_name(landing_schema(spec))
        files = {row[0] for row in con.execute(f"select file from {landing}.loads").fetchall()}
    if str(path) in files or not claim(spec, warehouse, [path, attributes]):
        return False
    say(f"generating {users:,} users to learn from")
    made = generate(spec, path, users=users, seed=seed, start=START, days=days)
    ingest(spec, warehouse, events=made.events, users=made.users, say=say)
    build(spec, warehouse, say=say)
    return True
