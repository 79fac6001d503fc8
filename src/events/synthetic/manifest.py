"""Which files a generator wrote: their digests, in a JSON file beside them.

A generated log has names and columns that anybody's log may have, and may have been edited since.
So what a generator may replace is known by its bytes alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ...errors import UsageError
from ...files import atomic_write

_ROLE = "generated"
_FORMAT = "sha256"


def refuse_others(files: Iterable[Path], manifest: Path) -> None:
    """Raise UsageError for the first file that is there and was not generated as it is now."""
    known = _read(manifest)
    if known is None:
        raise _refused(manifest)
    for path in files:
        if path.is_file() and _digest(path) not in known.get(path.name, ()):
            raise _refused(path)


@contextmanager
def noted(files: Mapping[Path, Path], manifest: Path) -> Iterator[None]:
    """Note finished files, given as temporary: final, while the block moves them into place.

    A process that is killed in between leaves old and new files, and a note of both.
    """
    new = {target.name: [_digest(temporary)] for temporary, target in files.items()}
    old = _read(manifest) or {}
    both = {name: list(dict.fromkeys([*old.get(name, ()), *new[name]])) for name in new}
    _write(manifest, {**old, **both})
    yield
    _write(manifest, {**old, **new})


def manifest_name(stem: str) -> str:
    """Return the name of the note beside a log of this stem.

    >>> manifest_name("raw_events")
    'raw_events_generated.json'
    """
    return f"{stem}_{_ROLE}.json"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, _FORMAT).hexdigest()


def _read(manifest: Path) -> dict[str, list[str]] | None:
    """Return the digests by file name, empty where there is no note; None for another's file."""
    try:
        raw = json.loads(manifest.read_text(encoding="utf-8"))
        return {str(name): [str(one) for one in found] for name, found in raw[_FORMAT].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _write(manifest: Path, files: Mapping[str, list[str]]) -> None:
    with atomic_write(manifest) as temporary:
        temporary.write_text(json.dumps({_FORMAT: dict(sorted(files.items()))}, indent=1), "utf-8")


def _refused(path: Path) -> UsageError:
    return UsageError(
        f"{path}: was not generated, or has changed since, and would be replaced: move it away, "
        "choose another name, or say --force"
    )
