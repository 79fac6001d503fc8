"""The file of a local store: created whole or not at all, and at home wherever its folder goes.

MLflow keeps the absolute address of every run's files. A store that was moved or copied would
read, and write, where it came from; so `prepare` makes the addresses lead to the folder beside it
when it is opened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..errors import WarehouseError
from ..files import atomic_write, sole_user
from .stores import Store, TrackingError

_PATIENCE = 60.0  # seconds in which another process ends what it writes
# Where MLflow keeps addresses of files; an experiment's is where its next runs will write.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_EVER_THERE = frozenset(("experiments", "runs"))  # one of them, at every moment of a creation
_FILLED_AT_ONCE = frozenset(("alembic_version", "workspaces"))  # by the creation itself


def prepare(store: Store) -> None:
    """Create a local store that is not there, and bring one home that has moved.

    Raises TrackingError when it has moved and cannot be written, sqlite3.Error or OSError when its
    file cannot be used.
    """
    if store.file is None:
        return
    if _unfinished(store.file):
        try:
            with sole_user(store.file.parent):
                if _unfinished(store.file):  # no other process has created it meanwhile
                    _create(store, store.file)
        except WarehouseError as error:
            raise TrackingError(f"tracking store {store.shown}: {error}") from None
    _bring_home(store, store.file)


def _unfinished(file: Path) -> bool:
    """Return whether a store is not there, or its creation was cut off: its tables hold nothing.

    MLflow's own creation leaves such a file when it is killed, and cannot use it any more.
    """
    if not file.exists() or not file.stat().st_size:
        return True
    with closing(sqlite3.connect(file, timeout=_PATIENCE)) as con:
        tables = {
            row[0] for row in con.execute("select name from sqlite_master where type='table'")
        }
        if tables and not (tables & _EVER_THERE and _are_mlflows(tables)):
            return False  # MLflow says what it lacks
        # A whole one holds the default experiment at least.
        kept = sorted(tables - _FILLED_AT_ONCE)
        return not any(con.execute(f'select 1 from "{table}" limit 1').fetchone() for table in kept)


def _are_mlflows(tables: set[str]) -> bool:
    """Return whether all tables are such as MLflow creates, and none is somebody else's."""
    from mlflow.store.db.utils import Base

    known = {*Base.metadata.tables, *_FILLED_AT_ONCE}
    return all(name in known or name.startswith(("_alembic_tmp_", "sqlite_")) for name in tables)


def _create(store: Store, file: Path) -> None:
    """Create a store beside its place and rename it, in place of what a killed one left."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # A creation that was killed left it, and it would be taken for the new file's.
    file.with_name(f"{file.name}-journal").unlink(missing_ok=True)
    with atomic_write(file) as temporary:
        SqlAlchemyStore(f"sqlite:///{temporary}", store.artifacts.as_uri()).engine.dispose()


def _bring_home(store: Store, file: Path) -> None:
    """Let the addresses of a store that was moved or copied lead to the files beside it."""
    with closing(sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None)) as con:
        if not (left := list(_old_roots(con, store.artifacts))):
            return
        try:
            con.execute("begin immediate")
            roots = list(_old_roots(con, store.artifacts))  # another process may have done it
            away = sum(_move(con, root, store.artifacts.as_uri()) for root in roots)
            con.execute("commit")
        except sqlite3.OperationalError as error:
            raise TrackingError(
                f"tracking store {store.shown}: was moved or copied here from "
                f"{_path(left[0]).parent}, and its addresses cannot be changed ({error}): make it "
                "writable, and run this again"
            ) from None
    for root in roots:
        store.warn(
            f"tracking store {store.shown}: was moved or copied here from {_path(root).parent}; "
            "its files are read and written here from now on"
            + (f", but for {away} runs and models whose files are only there" if away else "")
        )


def _old_roots(con: sqlite3.Connection, here: Path) -> Iterator[str]:
    """Yield the folders, as URIs, that whyrank gave its experiments, but for this one.

    A server's own are called otherwise, and stay: it knows where they are.
    """
    found = con.execute(
        "select distinct artifact_location from experiments where name like 'whyrank %' and "
        "artifact_location like 'file:%artifacts'"
    ).fetchall()
    for (root,) in found:
        if root != here.as_uri() and not _is_same(_path(root), here):
            yield root


def _move(con: sqlite3.Connection, old: str, new: str) -> int:
    """Replace a root in all addresses; return how many lead to files that are only at the old one.

    Those stay: to be read there, as nothing is ever written again to a run that is over.
    """
    away = 0
    for table, column in _ADDRESSES:
        within = f"{column} = ? or substr({column}, 1, ?) = ?"
        rows = con.execute(
            f"select rowid, {column} from {table} where {within}",
            [old, len(old) + 1, f"{old}/"],
        ).fetchall()
        for row, address in rows:
            moved = new + address[len(old) :]
            only_there = _is_there(_path(address)) and not _is_there(_path(moved))
            if table != "experiments" and only_there:
                away += table in {"runs", "logged_models"}
                continue
            con.execute(f"update {table} set {column} = ? where rowid = ?", [moved, row])
    return away


def _path(uri: str) -> Path:
    return Path(url2pathname(urlsplit(uri).path))


def _is_there(path: Path) -> bool:
    """Return whether a path can be seen; what is another user's cannot."""
    try:
        return path.exists()
    except OSError:
        return False


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one folder, such as by two mounts of it."""
    return _is_there(one) and _is_there(other) and one.samefile(other)
