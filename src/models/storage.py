"""Fitted models on disk: every kind by name, each in its library's own safe format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import DataError, WhyrankError
from .blend import BlendModel
from .fitted import LightgbmModel, LinearModel, Model, SklearnModel, XgboostModel
from .points import PointsModel
from .purchases import PurchaseModel
from .recency import RecencyModel

KINDS: dict[str, Any] = {
    "xgboost": XgboostModel,
    "lightgbm": LightgbmModel,
    "linear": LinearModel,
    "sklearn": SklearnModel,
    "purchases": PurchaseModel,
    "recency": RecencyModel,
    "blend": BlendModel,
    "points": PointsModel,
}


def save_model(model: Model, folder: Path) -> None:
    """Write a model and its kind to an existing folder."""
    kind = next(kind for kind, known in KINDS.items() if isinstance(model, known))
    (folder / "kind.txt").write_text(kind, encoding="utf-8")
    model.save(folder)


def load_model(folder: Path) -> Model:
    """Read what `save_model` wrote; raises DataError when it is not there or of an unknown kind."""
    try:
        kind = (folder / "kind.txt").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise DataError(f"{folder}: holds no saved model: {error.strerror}") from None
    if kind not in KINDS:
        raise DataError(f"{folder}: kind {kind!r} is not one of {', '.join(KINDS)}")
    model: Model = KINDS[kind].load(folder)
    return model


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
