"""What every generator of a synthetic dataset is asked for, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ...errors import UsageError

MAX_DAYS = 36_500  # a century; far beyond what the arithmetic in microseconds holds


@dataclass(frozen=True)
class Generated:
    """What was written: the files and the size of the dataset. `end` is exclusive.

    `world`, where there is one, is a JSON file of every parameter and effect of the dataset.
    """

    events: Path
    users: Path
    truth: Path
    n_events: int
    n_users: int
    start: date
    end: date
    world: Path | None = None


@dataclass(frozen=True)
class World:
    """The arguments of a generator: the same ones give the same bytes."""

    users: int
    seed: int
    start: date
    days: int

    def checked_end(self) -> date:
        """Return the day after the last; raise UsageError where no dataset can be generated.

        >>> World(users=1, seed=0, start=date(2026, 1, 1), days=31).checked_end()
        datetime.date(2026, 2, 1)
        """
        for name, least in (("users", 1), ("days", 1), ("seed", 0)):
            if (value := getattr(self, name)) < least:
                raise UsageError(f"{name} is {value}; it must be at least {least}")
        room = (date.max - self.start).days
        if self.days > min(MAX_DAYS, room):
            raise UsageError(
                f"days is {self.days}; from {self.start} it must be at most {min(MAX_DAYS, room)}"
            )
        return self.start + timedelta(days=self.days)
