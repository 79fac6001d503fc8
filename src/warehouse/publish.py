"""Publish a build: what readers need of it, immutable, behind a pointer that is swapped.

DuckDB lets a writer shut readers out and readers shut a writer out. So a build copies snapshots,
outcomes, daily volumes and the analytics marts to Parquet in a folder of its own, and then replaces
one small file that names the folder. Readers follow that file and never open the warehouse.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..errors import WarehouseError
from ..files import atomic_write, scratch_folder
from ..published.build import EVERYONE, BuildInfo, Published
from ..published.sample import USER_TABLES, in_sample
from ..spec.expressions import quote_text
from ..spec.model import Spec
from .base import Warehouse
from .contracts import Connection, Extract, Lock, SharedBuilds
from .duckdb_errors import translated

KEPT_BUILDS = 3
_LOADED = "last_load"
_IN_PLACE = ("user_features", "outcomes", "user_details")  # what a cluster scores and learns from


def publish(
    con: Connection, warehouse: Warehouse, spec: Spec, info: BuildInfo, lock: Lock
) -> Published:
    """Copy what readers need to a new folder, then make it the current build.

    Where a server keeps builds, the copy is first made there, in one transaction, for readers on
    other machines.

    Raises WarehouseError when it cannot be written or the lock was lost; the previous build then
    stays current.
    """
    root = _root(warehouse, spec.name)
    with translated(f"publishing to {root / info.build_id}"):
        if shared := warehouse.shared_builds(spec.name):
            shared.publish(con, spec.marts_schema, info, lock.check)
            shared.forget(con, KEPT_BUILDS)
            published = _fetched(warehouse, con, shared, root, info)
        else:
            location = warehouse.location(spec.marts_schema)
            folder = Path(location) if location else None
            with warehouse.extract(con, spec.marts_schema) as extract:
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
    warehouse: Warehouse, con: Connection, shared: SharedBuilds, root: Path, known: BuildInfo
) -> Published:
    """Fetch the build that is current on the server by now, unless it is here already."""
    with warehouse.extract(con, shared.schema) as extract:
        found = extract.first(shared.current_query)
        info = BuildInfo.from_json(str(found)) if found else known
        if not (root / info.build_id / "build.json").exists():
            shared.hold(extract, info)
            return _copied(extract, root, info, lambda name: shared.table(name, info.build_id))
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
    with scratch_folder(folder) as work:
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
                _hold(in_place / name, part / EVERYONE / name)
        (part / "build.json").write_text(info.to_json(indent=1), encoding="utf-8")
        with suppress(OSError):  # somebody else was quicker, and wrote the same
            part.rename(folder)
    if not folder.exists():
        raise WarehouseError(f"{folder}: cannot be written: free or grant what it takes")
    with atomic_write(root / "current") as temporary:
        temporary.write_text(info.build_id, encoding="utf-8")
    return Published(folder, info)


def read_published(warehouse: Warehouse, spec_name: str) -> Published:
    """Return the current build of a spec; from Postgres it is fetched when it is not here yet.

    Raises WarehouseError when nothing has been built yet, the build is of another file that had
    the warehouse's name before, or the server cannot be reached.
    """
    root = _root(warehouse, spec_name)
    if shared := warehouse.shared_builds(spec_name):
        info = _shared_build(warehouse, shared, spec_name)
        kept = _kept(root / info.build_id)
        if kept != info:
            if kept is not None:  # of another database that had this one's name
                shutil.rmtree(root / info.build_id, ignore_errors=True)
            with translated(f"fetching to {root / info.build_id}"), warehouse.connect() as con:
                published = _fetched(warehouse, con, shared, root, info)
                _forget_old(root, published.info.build_id)
                return published
        return Published(root / info.build_id, info)
    if not warehouse.exists():
        raise _nothing_built(warehouse, spec_name)
    try:
        folder = root / (root / "current").read_text(encoding="utf-8").strip()
        info = BuildInfo.from_json((folder / "build.json").read_text(encoding="utf-8"))
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
    with atomic_write(warehouse.files / spec_name / _LOADED) as temporary:
        temporary.write_text(str(load_id), encoding="utf-8")


def loads_since(warehouse: Warehouse, spec_name: str, info: BuildInfo) -> int:
    """Return how many loads a build does not know, as far as they were noted on this machine."""
    try:
        text = (warehouse.files / spec_name / _LOADED).read_text(encoding="utf-8")
        return max(0, int(text) - info.last_load)
    except (OSError, ValueError):
        return 0


def _shared_build(warehouse: Warehouse, shared: SharedBuilds, spec_name: str) -> BuildInfo:
    with warehouse.connect() as con:
        if shared.exist(con):
            found = con.execute(shared.current_query).fetchone()
            if found:
                return BuildInfo.from_json(str(found[0]))
    raise _nothing_built(warehouse, spec_name)


def _kept(folder: Path) -> BuildInfo | None:
    """Return what a folder's copy says of itself; None where there is none that can be read."""
    try:
        return BuildInfo.from_json((folder / "build.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return None


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
        (
            entry
            for entry in root.iterdir()
            if entry.is_dir() and entry.name != current and not entry.name.startswith(".")
        ),
        key=_age,
    )
    for old in builds[: -(KEPT_BUILDS - 1)]:
        shutil.rmtree(old, ignore_errors=True)


def _age(build: Path) -> tuple[str, int]:
    """Return what orders builds: their second, and when they were written; the rest is random."""
    try:
        written = build.stat().st_mtime_ns
    except FileNotFoundError:  # another reader has removed it
        written = 0
    return build.name.partition("-")[0], written
