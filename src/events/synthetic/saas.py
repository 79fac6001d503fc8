"""The `saas` dataset: visitors of a software product's website, some of whom buy.

Ten thousand users or ten million come from the same code: blocks of users are drawn one after
another, each from its own seed, written as numbers, put in time order on disk and turned into
words piece by piece.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ...types import Progress
from .actions import draw_events, plan_visits
from .population import draw_people
from .tables import (
    EVENT_SCHEMA,
    PART_SCHEMA,
    TRUTH_SCHEMA,
    USER_SCHEMA,
    Block,
    event_table,
    part_table,
    truth_table,
    user_table,
)
from .visits import MICROSECONDS_PER_HOUR, Clock, draw_visits
from .world import Generated, World
from .write import TableFile, beside, publish, sorted_batches, staged

BLOCK_USERS = 2000


def generate_saas(
    out: Path,
    *,
    users: int = 100,
    seed: int = 7,
    start: date = date(2026, 1, 1),
    days: int = 90,
    progress: Progress | None = None,
) -> Generated:
    """Write a synthetic event log to `out`, with its users and its ground truth beside it.

    The same arguments give the same bytes. `out` ends in .csv, .csv.gz or .parquet; the
    companions are called `…_users` and `…_truth`. Events lie in [start, start + days), UTC, by
    time, about 100 per user over 90 days. The truth says each user's intent in (0, 1), which
    moves pricing views, demo requests, returns and conversions, and when the user was first
    seen, signed up, booked, and had done both. `progress` is called with steps done and steps in
    all; a user drawn is a step, and a user's worth of events written is another.

    Raises UsageError for arguments that cannot work and DataError where writing fails; then
    nothing new is left behind.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = generate_saas(Path(folder) / "events.csv", users=20, days=30)
    ...     made.truth.name, made.truth.read_text().count("\\n")
    ('events_truth.csv', 21)
    """
    world = World(users, seed, start, days)
    end = world.checked_end()
    out = Path(out)
    targets = files_of_saas(out)
    step = progress or (lambda *_: None)
    with staged(out) as folder:
        new = {role: folder / f"{role}_{out.name}" for role in targets}
        parts = folder / "parts.parquet"
        n_events = _draw(world, parts, new["users"], new["truth"], step)
        with TableFile(new["events"], EVENT_SCHEMA) as log:
            written = 0
            for batch in sorted_batches(parts, "time, user, seq", folder / "spill"):
                log.write(event_table(batch, written, start))
                written += batch.num_rows
                step(users + users * written // n_events, 2 * users)
        publish({new[role]: target for role, target in targets.items()}, out)
    return Generated(out, targets["users"], targets["truth"], n_events, users, start, end)


def files_of_saas(out: Path) -> dict[str, Path]:
    """Return the files of a dataset by their roles, in the order in which they are put in place."""
    return {"truth": beside(out, "truth"), "users": beside(out, "users"), "events": out}


def _draw(world: World, parts: Path, users: Path, truth: Path, step: Progress) -> int:
    """Draw every block: events as numbers, users and truth; return the number of events."""
    clock = Clock.of(world.start, world.days)
    end = world.days * 24 * MICROSECONDS_PER_HOUR
    n_events = 0
    with (
        pq.ParquetWriter(parts, PART_SCHEMA, compression="none", use_dictionary=False) as store,
        TableFile(users, USER_SCHEMA) as user_log,
        TableFile(truth, TRUTH_SCHEMA) as truth_log,
    ):
        for block, offset in enumerate(range(0, world.users, BLOCK_USERS)):
            rng = np.random.default_rng([world.seed, block])
            people = draw_people(rng, min(BLOCK_USERS, world.users - offset))
            visits = draw_visits(rng, people, clock, world.days)
            plan = plan_visits(rng, people, visits)
            events = draw_events(rng, plan, end)
            drawn = Block(offset, world.start, people, plan, events)
            store.write_table(part_table(drawn))
            user_log.write(user_table(rng, drawn))
            truth_log.write(truth_table(drawn))
            n_events += len(events.time)
            step(offset + len(people.intent), 2 * world.users)
    return n_events
