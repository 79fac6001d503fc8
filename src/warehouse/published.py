"""The published copy: what readers need of a build, immutable, behind a pointer that is swapped.

DuckDB lets a writer shut readers out and readers shut a writer out. So a build copies snapshots,
outcomes, daily volumes and the analytics marts to Parquet in a folder of its own, and then replaces
one small file that names the folder. Readers follow that file and never open the warehouse.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from ..errors import WarehouseError
from ..files import replacing, workplace
from ..spec.expressions import quote_text
from ..spec.model import Spec
from .duckdb_file import translated
from .engine import Connection, Lock, Warehouse
from .extract import Extract, extracting
from .project import marts_schema
from .published_there import (
    current_there,
    forget_there,
    hold_there,
    is_published_there,
    publish_there,
    published_name,
    published_schema,
)
from .sample import USER_TABLES, in_sample, sample_told

KEPT_BUILDS = 3
_EVERYONE = "everyone"
_LOADED = "last_load"
_IN_PLACE = ("user_features", "outcomes", "user_details")  # what a cluster scores and learns from
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
    the bound of the sample that stands for them (`sample`), empty where everybody is there.
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
        return self.folder / _EVERYONE / name

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
    con: Connection, warehouse: Warehouse, spec: Spec, info: BuildInfo, lock: Lock
) -> Published:
    """Copy what readers need to a new folder, then make it the current build.

    On Postgres the copy is first made there, in one transaction, for readers on other machines.

    Raises WarehouseError when it cannot be written or the lock was lost; the previous build then
    stays current.
    """
    root = _root(warehouse, spec.name)
    with translated(f"publishing to {root / info.build_id}"):
        if warehouse.engine == "postgres":
            tables = ("user_features", *info.tables)
            build = (info.build_id, json.dumps(asdict(info)))
            publish_there(con, marts_schema(spec), spec.name, build, tables, lock.check)
            forget_there(con, spec.name, KEPT_BUILDS)
            published = _fetched(warehouse, con, spec.name, root, info)
        else:
            location = warehouse.location(marts_schema(spec))
            folder = Path(location) if location else None
            with extracting(warehouse, con, marts_schema(spec)) as extract:
                published = _copied(extract, root, info, in_place=folder)
        _forget_old(root, info.build_id)
    return published


def _hold(table: Path, copy: Path) -> None:
    """Hold a table's files under a second name, which stays when the next build drops the first."""
    for file in sorted(table.rglob("*.parquet")):
        target = copy / file.relative_to(table)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(file)
        except OSError:  # not every file system has a second name for a file
            shutil.copyfile(file, target)


def _fetched(
    warehouse: Warehouse, con: Connection, spec_name: str, root: Path, known: BuildInfo
) -> Published:
    """Fetch the build that is current on the server by now, unless it is here already."""
    with extracting(warehouse, con, published_schema(spec_name)) as extract:
        found = extract.first(current_there(spec_name))
        info = _info(str(found)) if found else known
        if not (root / info.build_id / "build.json").exists():
            hold_there(extract, spec_name, info.build_id, ("user_features", *info.tables))
            return _copied(extract, root, info, lambda name: published_name(name, info.build_id))
    return Published(root / info.build_id, info)


def _copied(
    extract: Extract,
    root: Path,
    info: BuildInfo,
    named: Callable[[str], str] = str,
    *,
    in_place: Path | None = None,
) -> Published:
    """Write a build's tables to a folder of its own and make it the current one here.

    named: what a table is called where it comes from. in_place: the folder whose tables are files
    that the copy holds as well, as they are.
    """
    inside = in_sample("user_id", info.sampled_below)
    folder = root / info.build_id
    root.mkdir(parents=True, exist_ok=True)
    # Under another name until it is whole: two readers may fetch the same build at once.
    with workplace(folder) as work:
        part = work / "build"
        part.mkdir()
        for day in info.as_of_dates:
            where = f"as_of = date {quote_text(day)} and {inside}"
            path = part / f"user_features_{day}.parquet"
            extract.write(named("user_features"), path, where=where, order="user_id")
        for name in info.tables:
            where = inside if name in USER_TABLES else ""
            extract.write(named(name), part / f"{name}.parquet", where=where, order="all")
        if in_place is not None:
            for name in _IN_PLACE:
                _hold(in_place / name, part / _EVERYONE / name)
        text = json.dumps(asdict(info), indent=1)
        (part / "build.json").write_text(text, encoding="utf-8")
        with suppress(OSError):  # somebody else was quicker, and wrote the same
            part.rename(folder)
    if not folder.exists():
        raise WarehouseError(f"{folder}: cannot be written: free or grant what it takes")
    with replacing(root / "current") as temporary:
        temporary.write_text(info.build_id, encoding="utf-8")
    return Published(folder, info)


def read_published(warehouse: Warehouse, spec_name: str) -> Published:
    """Return the current build of a spec; from Postgres it is fetched when it is not here yet.

    Raises WarehouseError when nothing has been built yet, the build is of another file that had
    the warehouse's name before, or the server cannot be reached.
    """
    root = _root(warehouse, spec_name)
    if warehouse.engine == "postgres":
        info = _published_there(warehouse, spec_name)
        kept = _kept(root / info.build_id)
        if kept != info:
            if kept is not None:  # of another database that had this one's name
                shutil.rmtree(root / info.build_id, ignore_errors=True)
            with translated(f"fetching to {root / info.build_id}"), warehouse.connect() as con:
                published = _fetched(warehouse, con, spec_name, root, info)
                _forget_old(root, published.info.build_id)
                return published
        return Published(root / info.build_id, info)
    if warehouse.engine == "duckdb" and not warehouse.exists():
        raise _nothing_built(warehouse, spec_name)
    try:
        folder = root / (root / "current").read_text(encoding="utf-8").strip()
        info = _info((folder / "build.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise _nothing_built(warehouse, spec_name) from None
    except (OSError, ValueError) as error:
        raise WarehouseError(f"{root}: the published build cannot be read: {error}") from None
    if info.warehouse != warehouse.identity:
        raise WarehouseError(
            f"build {info.build_id} was made in another warehouse than {warehouse.name} is now: "
            "run `whyrank build`"
        )
    return Published(folder, info)


def mark_loaded(warehouse: Warehouse, spec_name: str, load_id: int) -> None:
    """Note the last load beside the published builds, for readers that leave the file alone."""
    with replacing(warehouse.files / spec_name / _LOADED) as temporary:
        temporary.write_text(str(load_id), encoding="utf-8")


def loads_since(warehouse: Warehouse, spec_name: str, info: BuildInfo) -> int:
    """Return how many loads a build does not know, as far as they were noted on this machine."""
    try:
        text = (warehouse.files / spec_name / _LOADED).read_text(encoding="utf-8")
        return max(0, int(text) - info.last_load)
    except (OSError, ValueError):
        return 0


def _published_there(warehouse: Warehouse, spec_name: str) -> BuildInfo:
    with warehouse.connect() as con:
        if is_published_there(con, spec_name):
            found = con.execute(current_there(spec_name)).fetchone()
            if found:
                return _info(str(found[0]))
    raise _nothing_built(warehouse, spec_name)


def _kept(folder: Path) -> BuildInfo | None:
    """Return what a folder's copy says of itself; None where there is none that can be read."""
    try:
        return _info((folder / "build.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return None


def _info(text: str) -> BuildInfo:
    raw = json.loads(text)
    lists = {name: tuple(raw.get(name, ())) for name in ("as_of_dates", "tables")}
    return BuildInfo(**{**raw, **lists})


def _nothing_built(warehouse: Warehouse, spec_name: str) -> WarehouseError:
    return WarehouseError(
        f"nothing is built for spec {spec_name!r} in {warehouse.name}: run `whyrank ingest` "
        "on your events, then `whyrank build`"
    )


def _root(warehouse: Warehouse, spec_name: str) -> Path:
    return warehouse.files / spec_name / "published"


def _forget_old(root: Path, current: str) -> None:
    """Remove all but the last few builds; a reader has long opened what it needs of older ones."""
    builds = sorted(
        entry
        for entry in root.iterdir()
        if entry.is_dir() and entry.name != current and not entry.name.startswith(".")
    )
    for old in builds[: -(KEPT_BUILDS - 1)]:
        shutil.rmtree(old, ignore_errors=True)
