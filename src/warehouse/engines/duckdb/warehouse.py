"""DuckDB as the warehouse: a file, its locks and its settings."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from ....database import connect_duckdb
from ....errors import BusyError, WarehouseError
from ....extras import require
from ....spec.expressions import quote_text
from ...base import Warehouse, is_held, sole_writer
from ...contracts import Extract, Loader, Lock, select_rows
from ...dialects import DUCKDB, Dialect
from ...duckdb_errors import DEFAULT_MEMORY, Settings, duckdb_advice, memory_limit, translated

# Behind checksum, magic, versions, flags and the key's metadata, DuckDB draws 16 bytes for a file.
_IDENTITY: Final = slice(124, 140)


@dataclass(frozen=True)
class DuckDBWarehouse(Warehouse):
    """A DuckDB file and the folder of files beside it.

    memory: what DuckDB may use before it spills to disk, unless WHYRANK_MEMORY says otherwise.
    """

    path: Path
    dialect: Dialect = DUCKDB
    model_dialect: Dialect = DUCKDB
    memory: str = DEFAULT_MEMORY

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    @property
    def files(self) -> Path:
        """The folder beside the database: data/whyrank for data/whyrank.duckdb.

        Beside a file of another suffix it bears the whole name (shop.db.files), so that shop.db and
        shop.duckdb share nothing.
        """
        if self.path.suffix == ".duckdb":
            return self.path.with_suffix("")
        return self.path.with_name(f"{self.path.name}.files")

    @property
    def identity(self) -> str:
        """The number that DuckDB drew for the file when it made it; empty where there is none.

        It is read from the file's header, where it stands as long as the file does, as a writer
        keeps everybody else from opening the file.
        """
        try:
            with self.path.open("rb") as file:
                header = file.read(_IDENTITY.stop)
        except OSError:
            return ""
        return header[_IDENTITY].hex()

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def check_ready(self) -> None:
        """Raise InstallError unless dbt and its DuckDB adapter are installed."""
        require("warehouse", "`whyrank build`")

    def advice(self, message: str) -> str:
        """Return one line, with what to do about it, for an error message of DuckDB's."""
        return duckdb_advice(message.strip() or "no reason was given")

    @contextmanager
    def loader(self) -> Iterator[Loader]:
        """Open the file for loading, other writers kept out until the end."""
        from .load import DuckDBLoader  # readers do without

        with sole_writer(self), self.connect() as con:
            yield DuckDBLoader(con, self)

    @contextmanager
    def extract(self, con: Any, schema: str) -> Iterator[Extract]:
        """Open a schema for extraction; `con` is DuckDB's."""
        yield _DuckDBExtract(con, schema)

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
        free = not self.files.is_dir() or is_held(self)
        locked = nullcontext() if free else self._locked(fcntl.LOCK_SH)
        with (
            locked,
            translated(f"warehouse {self.path}"),
            connect_duckdb(self.path, read_only=True, config=_opening(self)) as con,
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
            raise BusyError(
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
            con = connect_duckdb(self.path, config=_settings(self))
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


class _DuckDBExtract:
    def __init__(self, con: duckdb.DuckDBPyConnection, schema: str) -> None:
        self._con, self._schema = con, schema

    def first(self, sql: str) -> Any:
        """Return the first value that a statement gives, None when there is no row."""
        found = self._con.execute(sql).fetchone()
        return found[0] if found else None

    def write(self, table: str, path: Path, *, where: str = "", order: str = "") -> None:
        """Write a table's rows as `Extract.write` says."""
        sql = select_rows(self._schema, table, where) + (f" order by {order}" if order else "")
        self._con.execute(
            f"copy ({sql}) to {quote_text(str(path))} (format parquet, compression zstd)"
        )


def _settings(warehouse: DuckDBWarehouse) -> Settings:
    return {
        "memory_limit": memory_limit(warehouse.memory),
        "temp_directory": str(warehouse.files / "spill"),
        "storage_compatibility_version": "latest",
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def _opening(warehouse: DuckDBWarehouse) -> Settings:
    """Return the settings for a file that is there already, which has its version."""
    named = _settings(warehouse)
    del named["storage_compatibility_version"]
    return named
