"""The errors whyrank raises on purpose: few, named, and each one clear line."""

from __future__ import annotations


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
