"""The published copy: what readers need of a build, immutable, behind a pointer that is swapped.

DuckDB lets a writer shut readers out and readers shut a writer out. So a build copies snapshots,
outcomes, daily volumes and the analytics marts to Parquet in a folder of its own, and then replaces
one small file that names the folder. Readers follow that file and never open the warehouse.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import duckdb

from ..errors import WarehouseError
from ..files import replacing
from ..spec.expressions import quote_name, quote_text
from ..spec.model import Spec
from .engine import Warehouse, translated
from .project import marts_schema

KEPT_BUILDS = 3
TABLES = (
    "outcomes",
    "daily_events",
    "user_details",
    "daily_user_metrics",
    "retention_cohorts",
)


@dataclass(frozen=True)
class BuildInfo:
    """What a build was made of: its id, spec, dates and the data behind it."""

    build_id: str
    spec: str
    spec_version: str
    as_of_dates: tuple[str, ...]
    built_at: str
    last_event: str
    users: int


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


def publish(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, spec: Spec, info: BuildInfo
) -> Published:
    """Copy what readers need to a new folder, then make it the current build.

    Raises WarehouseError when it cannot be written; the previous build then stays current.
    """
    root = _root(warehouse, spec.name)
    folder = root / info.build_id
    with translated(f"publishing to {folder}"):
        folder.mkdir(parents=True)
        schema = quote_name(marts_schema(spec))
        for day in info.as_of_dates:
            sql = (
                f"select * exclude (as_of), as_of from {schema}.user_features "
                f"where as_of = date {quote_text(day)} order by user_id"
            )
            _copy(con, sql, folder / f"user_features_{day}.parquet")
        for name in tables_of(spec):
            _copy(con, f"select * from {schema}.{name} order by all", folder / f"{name}.parquet")
        (folder / "build.json").write_text(json.dumps(asdict(info), indent=1), encoding="utf-8")
        with replacing(root / "current") as temporary:
            temporary.write_text(info.build_id, encoding="utf-8")
        _forget_old(root, info.build_id)
    return Published(folder, info)


def read_published(warehouse: Warehouse, spec_name: str) -> Published:
    """Return the current build of a spec.

    Raises WarehouseError when nothing has been built yet.
    """
    root = _root(warehouse, spec_name)
    try:
        folder = root / (root / "current").read_text(encoding="utf-8").strip()
        raw = json.loads((folder / "build.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise WarehouseError(
            f"nothing is built for spec {spec_name!r} in {warehouse.path}: run `whyrank ingest` "
            "on your events, then `whyrank build`"
        ) from None
    except (OSError, ValueError) as error:
        raise WarehouseError(f"{root}: the published build cannot be read: {error}") from None
    return Published(folder, BuildInfo(**{**raw, "as_of_dates": tuple(raw["as_of_dates"])}))


def _root(warehouse: Warehouse, spec_name: str) -> Path:
    return warehouse.files / spec_name / "published"


def _copy(con: duckdb.DuckDBPyConnection, sql: str, path: Path) -> None:
    con.execute(f"copy ({sql}) to {quote_text(str(path))} (format parquet, compression zstd)")


def _forget_old(root: Path, current: str) -> None:
    """Remove all but the last few builds; a reader has long opened what it needs of older ones."""
    builds = sorted(entry for entry in root.iterdir() if entry.is_dir() and entry.name != current)
    for old in builds[: -(KEPT_BUILDS - 1)]:
        shutil.rmtree(old, ignore_errors=True)
