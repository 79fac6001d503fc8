"""The errors whyrank raises on purpose: few, named, and each one clear line."""

from __future__ import annotations

import errno
from collections.abc import Iterator

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_WORDS = ("no space left", "disk is full", "disk full", "disk quota exceeded")
# What is wrong with the machine or with a path that was given, and not with the program.
_OUTSIDE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EFBIG,
     errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENODEV, errno.ENXIO,
     errno.ENOMEM, errno.ESTALE}
)  # fmt: skip


class WhyrankError(Exception):
    """Something a user can put right; the message names what, the value found and the fix.

    The command line prints the message without a traceback and exits with `exit_code`.

    >>> WhyrankError("no events before 2026-01-01; load some with `whyrank ingest`").exit_code
    1
    """

    exit_code = 1


class UsageError(WhyrankError):
    """A command or function was called with arguments that cannot work."""

    exit_code = 2


class SpecError(WhyrankError):
    """A spec file cannot be used; the message names the file, the key, the value and a fix."""


class DataError(WhyrankError):
    """Input data cannot be read at all (single bad rows go to quarantine instead)."""


class InstallError(WhyrankError):
    """A library that is needed is not there, or cannot be loaded on this machine."""


class WarehouseError(WhyrankError):
    """The warehouse cannot be opened, built or read."""


class BusyError(WarehouseError):
    """Another process is writing to the warehouse: it is whole, and free again soon."""


def system_failure(error: BaseException) -> str | None:
    """Return one line for an error that is the machine's, None for any other.

    Libraries say in many ways that a disk is full, so what an error came from is looked at too.

    >>> system_failure(OSError(28, "No space left on device", "data/top.csv"))
    'data/top.csv: the disk is full: free some space, then run this again'
    >>> system_failure(ValueError("of whyrank's own")) is None
    True
    """
    for cause in _causes(error):
        if _is_full(cause):
            place = getattr(cause, "filename", None) or getattr(error, "filename", None)
            where = f"{place}: " if place else ""
            return f"{where}the disk is full: free some space, then run this again"
    if isinstance(error, MemoryError):
        return "more memory was needed than there is: free some, or give whyrank less to do at once"
    if isinstance(error, OSError) and error.errno in _OUTSIDE:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from, the first cause last."""
    found: BaseException | None = error
    seen: set[int] = set()
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    said = str(error).lower()
    # NumPy's own words for a write that came to nothing.
    short = isinstance(error, OSError) and " requested and " in said and said.endswith(" written")
    return short or any(words in said for words in _FULL_WORDS)
