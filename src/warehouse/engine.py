"""Open a warehouse by its URL, and say in one line what is wrong when that fails."""

from __future__ import annotations

import fcntl
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

import duckdb

from ..errors import UsageError, WarehouseError, WhyrankError
from ..spec.model import Spec
from .dialects import Engine

SCHEME: Final = "duckdb:///"
POSTGRES: Final = ("postgresql://", "postgres://")
SPARK: Final = "spark://"
DEFAULT_URL: Final = "duckdb:///data/whyrank.duckdb"
DEFAULT_MEMORY: Final = "4GiB"
MEMORY_VARIABLE: Final = "WHYRANK_MEMORY"
# Locks of this thread's, by the warehouse's name.
_HELD: ContextVar[Mapping[str, Lock]] = ContextVar("held", default=MappingProxyType({}))


class Cursor(Protocol):
    """What a statement gives back."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        ...


class Connection(Protocol):
    """A connection to a warehouse, whichever engine it leads to; parameters are marked by ?."""

    def execute(self, query: Any, parameters: Any = None, /) -> Cursor:
        """Run one statement."""
        ...


@dataclass(frozen=True)
class Lock:
    """What keeps other writers out.

    descriptors: files that a child process has to hold to keep them out as well. check raises
    WarehouseError when the lock is lost, after which nothing may be written any more.
    """

    descriptors: tuple[int, ...] = ()
    check: Callable[[], None] = lambda: None


class Warehouse(ABC):
    """Where events are kept and models are built, and the folder of files that goes with it.

    engine: whose SQL it speaks. name: what messages call it, without secrets. files: the folder
    of the rendered project, of published copies and of what is spilled. sample: about how many
    users a published copy holds, where everybody is read in another way; None for all.
    """

    engine: Engine
    sample: int | None = None

    @property
    def dialect(self) -> Engine:
        """Whose SQL its connections take: the engine's, unless models run elsewhere."""
        return self.engine

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call it."""

    @property
    @abstractmethod
    def files(self) -> Path:
        """The folder of files that goes with it."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether anything can have been loaded yet."""

    @abstractmethod
    def connect(self) -> AbstractContextManager[Connection]:
        """Open it for writing, and close it at the end.

        Raises WarehouseError when it cannot be opened or a statement fails.
        """

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """Open what exists for reading alone, and close it at the end; nothing is created.

        Raises WarehouseError when it cannot be opened, a writer holds it or a statement fails.
        """

    @abstractmethod
    def writing(self) -> AbstractContextManager[Lock]:
        """Keep other writers out until the end.

        Raises WarehouseError when another process is writing.
        """

    @abstractmethod
    def profile(self, schema: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return dbt's settings for building into a schema, and its environment variables.

        What is secret is in the variables alone. Raises WarehouseError when the warehouse cannot
        be reached, where that has to be known.
        """

    @abstractmethod
    def advice(self, message: str) -> str:
        """Return one line, with what to do about it, for an error message of the engine's."""

    def prepare(  # noqa: B027 - may be
        self,
        spec: Spec,
        project: Path,
        files: Mapping[str, str],
        since: date | None,
        *,
        only: str = "",
    ) -> None:
        """Bring what was loaded to where models run: nothing to do where they read it themselves.

        project: the folder of the rendered project, which dbt is about to run. files: what is
        rendered. since: the first day that is to be made anew; all when None. only: the one model
        that is.
        """

    def can_follow(self, spec: Spec, files: Mapping[str, str], since: date) -> bool:
        """Return whether the models that stand can be brought up to date from a day on."""
        del spec, files, since
        return True

    def models(self, con: Connection, spec: Spec) -> AbstractContextManager[Connection]:
        """Open a connection that sees the tables that models made; `con` itself where it does.

        Raises WarehouseError when it cannot be opened.
        """
        del spec
        return nullcontext(con)

    def location(self, schema: str) -> str:
        """Return the folder that a schema's tables are files of; empty where they are none."""
        del schema
        return ""


@dataclass(frozen=True)
class DuckDBWarehouse(Warehouse):
    """A DuckDB file and the folder of files beside it.

    memory: what DuckDB may use before it spills to disk, unless WHYRANK_MEMORY says otherwise.
    """

    path: Path
    engine: Engine = "duckdb"
    memory: str = DEFAULT_MEMORY

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    @property
    def files(self) -> Path:
        """The folder beside the database: data/whyrank for data/whyrank.duckdb."""
        return self.path.with_suffix("")

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def advice(self, message: str) -> str:
        """Return one line, with what to do about it, for an error message of DuckDB's."""
        return _advice(message.strip() or "no reason was given")

    def profile(self, schema: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return dbt's settings for building into a schema; there are no secrets."""
        # Given at opening and not as settings, which dbt sets anew for each model: the folder of
        # temporary files cannot be set again once it was used.
        options: dict[str, Any] = _opening(self)
        options["temp_directory"] = str((self.files / "spill").resolve())
        return {
            "type": "duckdb",
            "path": str(self.path.resolve()),
            "schema": schema,
            "threads": 1,
            "config_options": options,
            "settings": {"timezone": "UTC"},
        }, {}

    @contextmanager
    def writing(self) -> Iterator[Lock]:
        """Keep other writers out until the end.

        A build connects several times, and between two connections nobody may write. The lock is
        the system's own, on the folder of files: it leaves nothing behind, and ends with the
        processes that hold it, however they end.

        Raises WarehouseError when another process is writing.
        """
        try:
            self.files.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(f"warehouse {self.path}: {error.strerror}") from None
        with self._locked(fcntl.LOCK_EX) as folder:
            yield Lock((folder,))

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file for reading alone, and close it at the end.

        Between two connections of a build the file is free, and a reader would be in its way;
        so readers respect the writers' lock.
        """
        free = not self.files.is_dir() or self.name in _HELD.get()
        locked = nullcontext() if free else self._locked(fcntl.LOCK_SH)
        with (
            locked,
            translated(f"warehouse {self.path}"),
            duckdb.connect(str(self.path), read_only=True, config=_opening(self)) as con,
        ):
            con.execute("set timezone = 'UTC'")
            yield con

    @contextmanager
    def _locked(self, how: int) -> Iterator[int]:
        """Hold the lock on the folder of files, alone or with others; gives its descriptor."""
        try:
            folder = os.open(self.files, os.O_RDONLY)
        except OSError as error:
            raise WarehouseError(f"warehouse {self.path}: {error.strerror}") from None
        try:
            fcntl.flock(folder, how | fcntl.LOCK_NB)
        except OSError:
            os.close(folder)
            raise WarehouseError(
                f"warehouse {self.path}: another ingest or build is under way: wait for it to "
                "end, then run this again"
            ) from None
        try:
            yield folder
        finally:
            os.close(folder)

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the warehouse for writing, and close it at the end.

        Raises WarehouseError when it cannot be opened, is held by another process, or fails for
        want of space or permission on the way.
        """
        try:
            # DuckDB makes the folder it spills to, but not that folder's parents.
            self.files.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(f"warehouse {self.path}: {error.strerror}") from None
        with translated(f"warehouse {self.path}"):
            con = duckdb.connect(str(self.path), config=_settings(self))
            try:
                con.execute("set timezone = 'UTC'")
                yield con
            except BaseException:
                # A COPY that was interrupted holds the database until the next statement, and the
                # next connection of this process would wait for it for ever.
                with suppress(duckdb.Error, RuntimeError):
                    con.execute("select 1")
                raise
            finally:
                con.close()


@contextmanager
def sole_writer(warehouse: Warehouse) -> Iterator[Lock]:
    """Keep other writers out until the end, as `Warehouse.writing` does, and let ours in again.

    What belongs together, such as a demo's claim, load and build, is so one writer's: each of the
    steps asks for itself, and gets it where the whole has it already.
    Raises WarehouseError when another process, or another thread, is writing.
    """
    held = _HELD.get()
    if warehouse.name in held:
        yield held[warehouse.name]
        return
    with warehouse.writing() as lock:
        token = _HELD.set({**held, warehouse.name: lock})
        try:
            yield lock
        finally:
            _HELD.reset(token)


def open_warehouse(url: str) -> Warehouse:
    """Return the warehouse that a URL names.

    "duckdb:///data/whyrank.duckdb" is a file: three slashes begin a path relative to the current
    folder, four an absolute one. "postgresql://user@host/database" is a Postgres database. Raises
    UsageError for another form of URL.

    >>> open_warehouse("duckdb:///data/whyrank.duckdb").files.as_posix()
    'data/whyrank'
    """
    if url.startswith(POSTGRES):
        from .postgres import PostgresWarehouse

        return PostgresWarehouse(url)
    if url.startswith(SPARK):
        from .spark import open_spark

        return open_spark(url)
    if not url.startswith(SCHEME) or not Path(url.removeprefix(SCHEME)).suffix:
        raise UsageError(
            f"warehouse {_shown(url)!r} is not a DuckDB URL: write duckdb:///PATH.duckdb "
            "(a fourth slash begins an absolute path), postgresql://USER@HOST/DATABASE or "
            "spark://HOST:PORT"
        )
    path = Path(url.removeprefix(SCHEME))
    if path.stem.endswith(("_marts", "_landing")):
        # DuckDB names the catalog after the file, and could not tell it from a spec's schema.
        raise UsageError(
            f"warehouse {path}: a name ending in _marts or _landing is taken; rename it"
        )
    return DuckDBWarehouse(path)


def _shown(url: str) -> str:
    """Return as much of a URL as can hold no secret, wherever somebody put a password.

    >>> _shown("mysql://ana:se/cr@et@host/shop?password=secret")
    'mysql://...'
    >>> _shown("data/shop")
    'data/shop'
    """
    scheme, separator, rest = url.partition("://")
    if separator and re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme, re.IGNORECASE):
        path = rest.partition("?")[0]
        return f"{scheme}://{path if scheme == 'duckdb' and '@' not in rest else '...'}"
    return "..." if "@" in url or "?" in url else url


def memory_limit(otherwise: str = DEFAULT_MEMORY) -> str:
    """Return how much memory DuckDB may use before it spills to disk (WHYRANK_MEMORY)."""
    return os.environ.get(MEMORY_VARIABLE) or otherwise


def _settings(warehouse: DuckDBWarehouse) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": memory_limit(warehouse.memory),
        "temp_directory": str(warehouse.files / "spill"),
        "storage_compatibility_version": "latest",
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def _opening(warehouse: DuckDBWarehouse) -> dict[str, str | bool | int | float | list[str]]:
    """Return the settings for a file that is there already, which has its version."""
    named = _settings(warehouse)
    del named["storage_compatibility_version"]
    return named


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn DuckDB's and the system's errors into a WarehouseError of one line about `what`."""
    try:
        yield
    except WhyrankError:
        raise
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except duckdb.Error as error:
        raise WarehouseError(f"{what}: {_advice(str(error))}") from error
    except RuntimeError as error:
        # What DuckDB makes of a signal that arrives while it runs a query.
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise
    except OSError as error:
        raise WarehouseError(f"{what}: {error.strerror or error}") from error


def _advice(message: str) -> str:
    line = " ".join(message.splitlines()[0].split())
    lower = message.lower()
    if "could not set lock" in lower or "conflicting lock" in lower:
        holder = (
            f" ({message[message.find('PID') :].split(')', maxsplit=1)[0]})"
            if "PID" in message
            else ""
        )
        return f"another process is using it{holder}: wait for it to end, then run this again"
    if "no space left" in lower or "out of space" in lower or "enospc" in lower:
        return "the disk is full: free some space; nothing of this run was kept"
    if "permission denied" in lower:
        return "no permission to read or write it"
    if "not a valid duckdb database" in lower:
        return "is not a DuckDB database: name another file"
    if "failed to offload" in lower or "out of memory" in lower:
        return (
            f"more memory than {memory_limit()} was needed: set {MEMORY_VARIABLE} higher "
            f"(such as 6GiB), or free disk space to spill to. {line}"
        )
    if "serialization" in lower and "version" in lower:
        return f"was written by a newer DuckDB: update whyrank's environment. {line}"
    return line
