"""A fitted model in a folder, with the name of its class: what is written is read as the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..errors import DataError, WhyrankError
from .fitted import Model

_FILE = "kind.txt"


def save_as(models: Mapping[str, type[Model]], model: Model, folder: Path) -> None:
    """Write a model and the name of its class to an existing folder."""
    name = next(name for name, known in models.items() if type(model) is known)
    (folder / _FILE).write_text(name, encoding="utf-8")
    model.save(folder)


def load_as(models: Mapping[str, type[Model]], folder: Path) -> Model:
    """Read what `save_as` wrote; raises DataError when it is not there or of an unknown class."""
    try:
        name = (folder / _FILE).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise DataError(f"{folder}: holds no saved model: {error.strerror}") from None
    if name not in models:
        raise DataError(f"{folder}: kind {name!r} is not one of {', '.join(models)}")
    return models[name].load(folder)


@contextmanager
def read_whole(folder: Path) -> Iterator[None]:
    """Turn whatever a damaged file of a saved scorer raises into a DataError of one line.

    Each library has its own errors for that, and a file that is JSON all the same may lack a key.
    """
    try:
        yield
    except WhyrankError:
        raise
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        raise DataError(
            f"{folder}: a saved scorer is damaged ({type(error).__name__}: {first}): take it from "
            "a backup, or remove it and run `whyrank train` again"
        ) from error
