"""What a warehouse is, whichever engine it runs on; who may write to it; and its URL."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

from ..errors import UsageError
from ..spec.model import Spec
from .dialects import Engine

SCHEME: Final = "duckdb:///"
POSTGRES: Final = ("postgresql://", "postgres://")
SPARK: Final = "spark://"
_DATA: Final = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".gz", ".xlsx"})
_ODD: Final = ("#", "?", "{", "}")  # dbt takes paths for URLs and for templates
DEFAULT_URL: Final = "duckdb:///data/whyrank.duckdb"
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

    @property
    def identity(self) -> str:
        """What tells it from any other that has or had its name; empty where a server tells."""
        return ""

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

    def prepare(  # noqa: B027 - most engines need nothing
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

    def check_ready(self) -> None:  # noqa: B027 - most engines need nothing
        """Raise WarehouseError unless models can run: nothing to be found out ahead of them."""

    def see_model(self, con: Connection, spec: Spec, name: str) -> None:  # noqa: B027 - most engines need nothing
        """Let a connection of this warehouse's own read a model's table: it does already."""

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


def is_held(warehouse: Warehouse) -> bool:
    """Return whether this thread is the one that keeps other writers out."""
    return warehouse.name in _HELD.get()


def open_warehouse(url: str) -> Warehouse:
    """Return the warehouse that a URL names.

    "duckdb:///data/whyrank.duckdb" is a file: three slashes begin a path relative to the current
    folder, four an absolute one. "postgresql://user@host/database" is a Postgres database,
    "spark://host:port" a Spark master. Raises UsageError for another form of URL.

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
    from .duckdb_file import DuckDBWarehouse

    path = Path(url.removeprefix(SCHEME))
    _refuse_odd(path)
    if path.stem.endswith(("_marts", "_landing")):
        # DuckDB names the catalog after the file, and could not tell it from a spec's schema.
        raise UsageError(
            f"warehouse {path}: a name ending in _marts or _landing is taken; rename it"
        )
    return DuckDBWarehouse(path)


def _refuse_odd(path: Path) -> None:
    """Raise UsageError for a path at which no warehouse can be, or in which dbt reads something."""
    if path.name.startswith(":memory:"):
        raise UsageError(f"warehouse {path}: keeps nothing; name a file")
    if path.suffix.lower() in _DATA:
        raise UsageError(
            f"warehouse {path}: is a file of data by its name, in which nothing can be stored; "
            "name the warehouse NAME.duckdb, and load the file by `whyrank ingest`"
        )
    odd = [letter for letter in _ODD if letter in str(path.absolute())]
    if odd:
        raise UsageError(
            f"warehouse {path.absolute()}: {odd[0]!r} in a path means something else to dbt, which "
            f"builds there: choose a folder and a name without {' '.join(_ODD)}"
        )


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
