"""Plugins: what installed packages offer by entry points, loaded only when it is used.

A package names them in its metadata, as `knn = "my_package:knn"` under
`[project.entry-points."whyrank.candidates"]`. A plugin that cannot be used is told in one line that
names it and the package it is from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import TypeVar

from .errors import UsageError

CANDIDATES, METRICS = "whyrank.candidates", "whyrank.metrics"
ARGUMENT = "an argument"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
T = TypeVar("T")


@dataclass(frozen=True)
class Plugin:
    """An entry point of a group: `source` names the package that it is from."""

    name: str
    source: str
    entry: metadata.EntryPoint

    def load(self) -> object:
        """Import it; raises UsageError with what its import raised."""
        try:
            return self.entry.load()
        except Exception as error:
            raise UsageError(
                f"plugin {self.name!r} ({self.source}) cannot be loaded: {first_line(error)}"
            ) from error


def installed(group: str) -> list[Plugin]:
    """Return the plugins of a group by name; one for each name and package."""
    found = {}
    for entry in metadata.entry_points(group=group):
        package = entry.dist
        of = f"{package.name} {package.version}" if package else "a package without a name"
        found[entry.name, of] = Plugin(entry.name, f"entry point {entry.value} of {of}", entry)
    return [found[key] for key in sorted(found)]


def collect(
    plugins: Iterable[Plugin],
    make: Callable[[Plugin], T],
    *,
    taken: Callable[[str], bool],
    what: str,
    named: Iterable[str] | None = None,
    warn: Callable[[str], None],
) -> dict[str, T]:
    """Return what plugins make, by name; one that cannot be used is left out, and `warn` says why.

    make: raises UsageError for a plugin that cannot be used. taken: whether whyrank has that name.
    what: the kind of thing, for messages. named: those that were asked for; all when None.

    Raises UsageError, instead of a note, for a plugin that was asked for.
    """
    asked = None if named is None else set(named)
    chosen = [plugin for plugin in plugins if asked is None or plugin.name in asked]
    names = [plugin.name for plugin in chosen]
    found: dict[str, T] = {}
    for plugin in chosen:
        try:
            check_name(plugin.name, plugin.source, taken=taken, what=what)
            _check_only(plugin, names, what)
            found[plugin.name] = make(plugin)
        except UsageError as error:
            if asked is not None:
                raise
            warn(f"left out: {error}")
    return found


def check_name(name: str, source: str, *, taken: Callable[[str], bool], what: str) -> None:
    """Raise UsageError unless a name is free, and fit for folders, tables and metrics."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{what} {name!r} ({source}): write its name in lower-case letters, digits and _, a "
            "letter first, 40 at most"
        )
    if taken(name):
        raise UsageError(f"{what} {name!r} ({source}): whyrank has one of that name: rename it")


def _check_only(plugin: Plugin, names: list[str], what: str) -> None:
    if names.count(plugin.name) > 1:
        raise UsageError(
            f"{what} {plugin.name!r} ({plugin.source}) is not the only one of its name: uninstall "
            "one of the packages"
        )


def first_line(error: BaseException) -> str:
    """Return an error's kind and the first line of its message.

    >>> first_line(ValueError("bad\\nvery bad"))
    'ValueError: bad'
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def merged(parts: Iterable[Mapping[str, T]], what: str) -> dict[str, T]:
    """Return several mappings as one; raises UsageError for a name that is there twice."""
    found: dict[str, T] = {}
    for part in parts:
        for name, one in part.items():
            if name in found:
                raise UsageError(f"{what} {name!r} is given twice: rename one of them")
            found[name] = one
    return found
