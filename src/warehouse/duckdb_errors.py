"""DuckDB's errors as one line each, with what to do about them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import duckdb

from ..errors import BusyError, WarehouseError, WhyrankError

DEFAULT_MEMORY: Final = "4GiB"
MEMORY_VARIABLE: Final = "WHYRANK_MEMORY"
Settings = dict[str, str | bool | int | float | list[str]]


def memory_limit(otherwise: str = DEFAULT_MEMORY) -> str:
    """Return how much memory DuckDB may use before it spills to disk (WHYRANK_MEMORY)."""
    return os.environ.get(MEMORY_VARIABLE) or otherwise


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
        raise kind(f"{what}: {duckdb_advice(str(error))}") from error
    except RuntimeError as error:
        # What DuckDB makes of a signal that arrives while it runs a query.
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise
    except OSError as error:
        raise WarehouseError(f"{what}: {error.strerror or error}") from error


def _is_locked(message: str) -> bool:
    return any(words in message.lower() for words in ("could not set lock", "conflicting lock"))


def duckdb_advice(message: str) -> str:
    """Return one line, with what to do about it, for an error message of DuckDB's."""
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
