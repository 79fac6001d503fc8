"""The entry point of the `media` dataset: blocks of users drawn, put in order, written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np

from ....errors import UsageError
from ....types import Progress
from ..spill import TimeSorter
from ..world import Generated, World
from ..write import ROWS, TableFile, beside, publish, staged, stem_of
from .chain import walk
from .effects import draw_effects
from .outcomes import Block, draw_checkouts, draw_outcomes, draw_runs
from .parameters import DAY, Timeline
from .people import draw_people
from .planted import Planted
from .tables import (
    CODED_SCHEMA,
    EVENT_SCHEMA,
    MOST_USERS,
    TRUTH_SCHEMA,
    USER_SCHEMA,
    event_table,
    truth_table,
    user_table,
)
from .unfold import RECORD, unfold
from .visits import count_visits, place_visits, settle

BLOCK_USER_DAYS = 450_000  # users of a block times days of the log
STRETCH_EVENTS = 400_000  # about how many events are sorted at a time
EVENTS_PER_USER_DAY = 1.3  # a rough guess, for the size of a stretch alone


def generate_media(
    out: Path,
    *,
    users: int = 100,
    seed: int = 7,
    start: date = date(2026, 1, 1),
    days: int = 90,
    progress: Progress | None = None,
) -> Generated:
    """Write a synthetic event log to `out`, with its users and its ground truth beside it.

    The same arguments give the same bytes. `out` ends in .csv, .csv.gz or .parquet; beside it
    stand `…_users`, `…_truth` (each user's) and `…_truth.json` (the dataset's: every parameter
    and effect). Events lie in [start, start + days), UTC, by time, about 100 a user
    over 90 days. `progress` is called with steps done and steps in all; a user drawn is a step,
    and a user's worth of events written is another.

    Raises UsageError for arguments that cannot work and DataError where writing fails; then
    nothing new is left behind.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = generate_media(Path(folder) / "events.csv", users=20, days=30)
    ...     made.world.name, made.truth.read_text().count("\\n")
    ('events_truth.json', 21)
    """
    world = World(users, seed, start, days)
    end = world.checked_end()
    if users > MOST_USERS:
        raise UsageError(f"users is {users}; it must be at most {MOST_USERS}")
    out = Path(out)
    targets = files_of_media(out)
    step = progress or (lambda *_: None)
    with staged(out) as folder:
        new = {role: folder / f"{role}_{out.name}" for role in targets}
        stretches = int(users * days * EVENTS_PER_USER_DAY / STRETCH_EVENTS) + 1
        planted = Planted(world)
        with TimeSorter(folder / "spill", RECORD, end=days * DAY, stretches=stretches) as sorter:
            _draw(world, sorter, new["users"], new["truth"], planted, step)
            with TableFile(new["events"], EVENT_SCHEMA, CODED_SCHEMA) as log:
                written = 0
                for piece in sorter.pieces(ROWS):
                    log.write(event_table(piece, written, start))
                    written += len(piece)
                    step(users + users * written // sorter.count, 2 * users)
        planted.write(folder / "world.json", events=sorter.count)
        new["world"] = folder / "world.json"
        publish({new[role]: target for role, target in targets.items()}, out)
    return Generated(
        out, targets["users"], targets["truth"], sorter.count, users, start, end, targets["world"]
    )


def files_of_media(out: Path) -> dict[str, Path]:
    """Return the files of a dataset by their roles, in the order in which they are put in place."""
    return {
        "world": out.with_name(f"{stem_of(out)}_truth.json"),
        "truth": beside(out, "truth"),
        "users": beside(out, "users"),
        "events": out,
    }


def _draw(
    world: World, sorter: TimeSorter, users: Path, truth: Path, planted: Planted, step: Progress
) -> None:
    """Draw every block: events put away as numbers, users and truth written, effects summed."""
    visits_before = 0
    with TableFile(users, USER_SCHEMA) as user_log, TableFile(truth, TRUTH_SCHEMA) as truth_log:
        for rng, block in draw_blocks(world):
            outcomes = draw_outcomes(block)
            sorter.put(unfold(rng, block, visits_before))
            user_log.write(user_table(block, world.start))
            truth_log.write(truth_table(block, outcomes, world.start))
            planted.add(block, outcomes)
            visits_before += len(block.visits.user)
            step(block.offset + len(block.people), 2 * world.users)


def draw_blocks(world: World) -> Iterator[tuple[np.random.Generator, Block]]:
    """Draw block after block of users, each from its own seed, with what is left of the stream."""
    timeline = Timeline.of(world.days)
    size = max(BLOCK_USER_DAYS // world.days, 1)
    for number, offset in enumerate(range(0, world.users, size)):
        rng = np.random.default_rng([world.seed, number])
        people = draw_people(rng, min(size, world.users - offset), world.start, timeline)
        counts = count_visits(rng, people, world.start, world.days)
        visits = place_visits(rng, people, counts)
        steps = walk(rng, len(visits.user))
        visits = settle(visits, steps.visit_length)
        effects = draw_effects(rng, people, counts, visits, timeline)
        runs = draw_runs(rng, visits, steps, effects)
        checkouts = draw_checkouts(rng, people, visits, steps)
        yield rng, Block(offset, people, visits, steps, effects, runs, checkouts, timeline)
