"""A warehouse in a DuckDB file: its locks and settings, and what its errors say in one line."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from ..database import connect_duckdb
from ..errors import BusyError, WarehouseError, WhyrankError
from .dialects import Engine
from .engine import Lock, Warehouse, is_held

DEFAULT_MEMORY: Final = "4GiB"
MEMORY_VARIABLE: Final = "WHYRANK_MEMORY"
# Behind checksum, magic, versions, flags and the key's metadata, DuckDB draws 16 bytes for a file.
_IDENTITY: Final = slice(124, 140)
Settings = dict[str, str | bool | int | float | list[str]]


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


def memory_limit(otherwise: str = DEFAULT_MEMORY) -> str:
    """Return how much memory DuckDB may use before it spills to disk (WHYRANK_MEMORY)."""
    return os.environ.get(MEMORY_VARIABLE) or otherwise


def settings_beside(warehouse: Warehouse) -> Settings:
    """Return the settings of a DuckDB in memory that works beside a warehouse."""
    most = warehouse.memory if isinstance(warehouse, DuckDBWarehouse) else DEFAULT_MEMORY
    return {
        "memory_limit": memory_limit(most),
        "temp_directory": str(warehouse.files / "spill"),
        "autoinstall_known_extensions": False,
    }


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
        kind = BusyError if _is_locked(str(error)) else WarehouseError
        raise kind(f"{what}: {_advice(str(error))}") from error
    except RuntimeError as error:
        # What DuckDB makes of a signal that arrives while it runs a query.
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise
    except OSError as error:
        raise WarehouseError(f"{what}: {error.strerror or error}") from error


def _is_locked(message: str) -> bool:
    return any(words in message.lower() for words in ("could not set lock", "conflicting lock"))


def _advice(message: str) -> str:
    line = " ".join(message.splitlines()[0].split())
    lower = message.lower()
    if _is_locked(message):
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
