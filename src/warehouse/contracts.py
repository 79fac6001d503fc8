"""What warehouses, their connections and their builds offer, whichever engine they run on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import DataError, WarehouseError
from ..published.build import BuildInfo
from ..spec.expressions import quote_name
from ..spec.model import Spec
from ..types import Progress

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class LoadResult:
    """What one load did: rows read and where each of them went.

    Raises WarehouseError when made with counts that do not add up.
    """

    kind: str
    file: str
    read: int
    accepted: int
    duplicates: int
    quarantined: int
    reasons: dict[str, int] = field(default_factory=dict)
    withdrawn: int = 0

    def __post_init__(self) -> None:
        if self.accepted + self.duplicates + self.quarantined != self.read:
            raise WarehouseError(
                f"{self.file}: {self.accepted} accepted + {self.duplicates} duplicate + "
                f"{self.quarantined} quarantined rows are not the {self.read} read: please report "
                "this; nothing was loaded"
            )

    def refuse_if_nothing_fits(self) -> None:
        """Raise DataError when every row was refused: then the spec, not the rows, is at fault."""
        if self.read and self.quarantined == self.read:
            reason = max(self.reasons, key=lambda text: self.reasons[text])
            raise DataError(
                f"{self.file}: none of its {self.read:,} rows fit the spec; most often: {reason}. "
                "All are kept in quarantine; change [source] in the spec and load it again"
            )

    def __str__(self) -> str:
        line = (
            f"{self.kind} from {self.file}: {self.read:,} read = {self.accepted:,} accepted + "
            f"{self.duplicates:,} duplicate + {self.quarantined:,} quarantined"
        )
        if self.withdrawn:
            line += f"; {self.withdrawn:,} earlier events of these days withdrawn"
        reasons = "".join(f"\n  {count:,} x {reason}" for reason, count in self.reasons.items())
        return line + reasons


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


class Loader(Protocol):
    """Loads sources into a warehouse; `con` is DuckDB's, on which a source can be a relation."""

    @property
    def con(self) -> duckdb.DuckDBPyConnection:
        """The connection."""
        ...

    def load(
        self,
        spec: Spec,
        source: Path | str,
        *,
        kind: str = "events",
        restate: bool = False,
        now: datetime | None = None,
        progress: Progress = lambda *_: None,
    ) -> LoadResult:
        """Load a source as `landing.load` does."""
        ...


class Extract(Protocol):
    """Writes tables of one schema, in one state, to Parquet files."""

    def first(self, sql: str) -> Any:
        """Return the first value that a statement gives, None when there is no row."""
        ...

    def write(self, table: str, path: Path, *, where: str = "", order: str = "") -> None:
        """Write a table's rows, those that meet an SQL condition, in the order of a column.

        order: "all" for the order of all columns; rows come as they lie when it is empty.
        """
        ...


class SharedBuilds(Protocol):
    """The builds of one spec that a server keeps for readers on other machines.

    schema: of the published tables. current_query: gives the current build as JSON.
    """

    schema: str
    current_query: str

    def publish(
        self, con: Connection, marts: str, info: BuildInfo, check: Callable[[], None]
    ) -> None:
        """Copy a build's tables from the schema `marts` and make it the current one, in one step.

        check: called when all is copied; what it raises leaves everything as it was.
        """
        ...

    def exist(self, con: Connection) -> bool:
        """Return whether any build was ever published, readable or not."""
        ...

    def hold(self, extract: Extract, info: BuildInfo) -> None:
        """Keep a build's tables from being dropped until the extraction ends.

        Raises WarehouseError when they are gone.
        """
        ...

    def forget(self, con: Connection, kept: int) -> None:
        """Drop all but the last few builds, except what somebody is reading at this moment."""
        ...

    def table(self, name: str, build_id: str) -> str:
        """Return what a build's copy of a table is called."""
        ...


def select_rows(schema: str, table: str, where: str, columns: str = "*") -> str:
    """Return the query of a table's rows that meet a condition; all of them when it is empty.

    >>> select_rows("shop_marts", "outcomes", "")
    'select * from "shop_marts"."outcomes"'
    """
    sql = f"select {columns} from {quote_name(schema)}.{quote_name(table)}"
    return sql + (f" where {where}" if where else "")
