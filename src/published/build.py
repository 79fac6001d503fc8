"""A published build: its files, and what it was made of."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Self

from ..errors import WarehouseError
from ..spec.model import Spec
from .sample import sample_told

EVERYONE = "everyone"
TABLES = (
    "outcomes",
    "daily_events",
    "user_details",
    "daily_user_metrics",
    "retention_cohorts",
)


@dataclass(frozen=True)
class BuildInfo:
    """What a build was made of: its id, spec, dates and the data behind it.

    made_from: the digest of all in the spec that its numbers rest on. last_load: the last load
    that it knows. warehouse: the identity of the one it was made in. users: of all. sampled_below:
    the bound of the sample that stands for them (`published.sample`), empty where all are there.
    """

    build_id: str
    spec: str
    spec_version: str
    as_of_dates: tuple[str, ...]
    built_at: str
    last_event: str
    users: int
    tables: tuple[str, ...]
    sampled_below: str = ""
    made_from: str = ""
    last_load: int = 0
    warehouse: str = ""

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; raises ValueError or TypeError for anything else."""
        raw = json.loads(text)
        lists = {name: tuple(raw.get(name, ())) for name in ("as_of_dates", "tables")}
        return cls(**{**raw, **lists})

    def to_json(self, indent: int | None = None) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self), indent=indent)

    @property
    def sample(self) -> str:
        """What figures of this build say of its sample; empty where everybody is there."""
        return sample_told(self.users, self.sampled_below)


@dataclass(frozen=True)
class Published:
    """One published build: files to read and what they were made of."""

    folder: Path
    info: BuildInfo

    @property
    def as_of_dates(self) -> tuple[date, ...]:
        """The dates of its snapshots, oldest first."""
        return tuple(date.fromisoformat(day) for day in self.info.as_of_dates)

    def snapshot(self, as_of: date | None = None) -> Path:
        """Return the snapshot file of a date, or of the latest date.

        Raises WarehouseError naming the dates that are built when that one is not.
        """
        chosen = as_of or self.as_of_dates[-1]
        path = self.folder / f"user_features_{chosen.isoformat()}.parquet"
        if chosen not in self.as_of_dates or not path.exists():
            built = ", ".join(self.info.as_of_dates)
            raise WarehouseError(
                f"no snapshot as of {chosen}; built: {built}. Run `whyrank build --as-of {chosen}`"
            )
        return path

    def everyone(self, name: str) -> Path:
        """Return the folder with all of a table's rows, where the build was made on Spark."""
        return self.folder / EVERYONE / name

    def table(self, name: str) -> Path:
        """Return the file of a table without dates, such as outcomes or daily_user_metrics.

        Raises WarehouseError when this build has none of that name.
        """
        path = self.folder / f"{name}.parquet"
        if not path.exists():
            raise WarehouseError(
                f"build {self.info.build_id} has no table {name!r}: if the spec asks for it "
                "([[funnels]], [experiments]), run `whyrank build`"
            )
        return path


def tables_of(spec: Spec) -> tuple[str, ...]:
    """Return the tables without dates that a build of a spec publishes.

    >>> from whyrank.spec.load import load_spec
    >>> "experiment_units" in tables_of(load_spec("saas"))
    False
    """
    funnels = ("funnel_metrics",) if spec.funnels else ()
    experiments = ("experiment_units", "experiment_daily_metrics") if spec.experiments else ()
    return (*TABLES, *funnels, *experiments)
