"""Atomic files: what is written stands whole under its name, or is not there."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import DataError, WarehouseError

_NAME = 40  # characters, of up to four bytes each, that leave room for a suffix
# What `_held_folder` names its folders; no file of a user's is called so.
_LEFT = re.compile(rf"\..{{1,{_NAME}}}\.whyrank-[a-z0-9_]{{8}}", re.DOTALL)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`, whole.

    A file that was there keeps its mode, and its place where `path` is a link to it; a new one has
    the mode that the process gives new files (umask).

    Raises WarehouseError naming the path when it cannot be written (permission, full disk); then
    what stood there before still stands.
    """
    place = Path(os.path.realpath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(place) as folder:
            temporary = folder / "new"
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            yield temporary
            _sync(temporary)
            _take_place(temporary, place)
    except OSError as error:
        raise WarehouseError(f"{path}: cannot be written: {error.strerror or error}") from None


@contextmanager
def atomic_write_set(main: Path, others: Sequence[Path]) -> Iterator[Path]:
    """Yield a folder to write files into; on success they take the places of an earlier set.

    main: the file that the set is about. others: all that may belong to it, in the folder of
    `main`; those that are not written are removed, as they would belong to an earlier one. A
    process that is killed in between leaves a part of one set, never parts of two. Each file keeps
    its mode, and `main` its place where it is a link; a link among the others gives way to a file.

    Raises WarehouseError naming the path when something cannot be written; an earlier set that is
    replaced by then is gone, one that is not stands.
    """
    folder = main.parent
    try:
        main.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(main) as folder:
            yield folder
            modes = {path: mode for path in (main, *others) if (mode := _mode(path)) is not None}
            for path in others:
                path.unlink(missing_ok=True)
            for path in (main, *others):
                written = folder / path.name
                if written.exists():
                    if path in modes:
                        written.chmod(modes[path])
                    _take_place(written, Path(os.path.realpath(path)))
    except WarehouseError as error:  # of a file inside: its place is where it was to go
        raise WarehouseError(str(error).replace(str(folder), str(main.parent))) from None
    except OSError as error:
        raise WarehouseError(f"{main}: cannot be written: {error.strerror or error}") from None


@contextmanager
def scratch_folder(place: Path) -> Iterator[Path]:
    """Yield a new folder beside `place`, for what will be put there, and remove it at the end.

    What processes that were killed left of such folders is removed first: they are known by that
    no process holds them. Those for other places too, as some are written once and never again.
    Raises OSError.
    """
    for left in os.scandir(place.parent):
        if _LEFT.fullmatch(left.name) and left.is_dir(follow_symlinks=False):
            _remove_if_left(Path(left.path))
    folder, held = _held_folder(place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


@contextmanager
def temporary_folder(what: str) -> Iterator[Path]:
    """Yield a new folder among the system's temporary files, and remove it at the end.

    what: is in its name, for people who look at these files. Lists and models are put there,
    so what processes that were killed left of such folders is removed first. Raises OSError.

    >>> with temporary_folder("example") as folder:
    ...     (folder / "list.csv").write_text("rank")
    4
    >>> folder.exists()
    False
    """
    with scratch_folder(Path(tempfile.gettempdir(), what)) as folder:
        yield folder


def _held_folder(place: Path) -> tuple[Path, int]:
    """Create a folder and hold it, by a descriptor that is returned and the system's lock."""
    while True:
        start = f".{place.name[:_NAME]}.whyrank-"
        folder = Path(tempfile.mkdtemp(prefix=start, dir=place.parent))
        try:
            held = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # taken for a killed process's, before it could be held
            continue
        with suppress(OSError):  # a file system without locks: then nobody removes it either
            fcntl.flock(held, fcntl.LOCK_EX)
        if folder.exists():
            return folder, held
        os.close(held)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder that no process holds."""
    with suppress(OSError):
        held = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(held)


@contextmanager
def sole_user(folder: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Be the only process, and the only thread, in a folder until the end; wait for another one.

    waiting: called once when another one is in it. The lock is the system's own, on the folder: it
    leaves nothing behind, and ends with the process that holds it, however that ends.

    Raises WarehouseError when there can be no such folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise WarehouseError(f"{folder}: cannot be used: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def check_file(path: Path) -> None:
    """Raise DataError when there is something else than a file in a file's place.

    A missing file is left to the code that opens it.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder: name one file in it")
    if path.exists() and not path.is_file():
        what = "pipe" if path.is_fifo() else "device or socket"
        raise DataError(
            f"{path}: is a {what}, and a file is read more than once: write what comes out of it "
            "to a file, and name that"
        )


def _take_place(written: Path, place: Path) -> None:
    """Put a file that is written into a place, with the mode of what was there."""
    if (mode := _mode(place)) is not None:
        written.chmod(mode)
    written.replace(place)


def _mode(path: Path) -> int | None:
    """Return a file's permissions, None where there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
