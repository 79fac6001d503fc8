"""Fitted models on disk: every kind by name, each in its library's own safe format.

A blend is here too, as its files are its members'.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import DataError, WhyrankError
from ..types import Floats
from .encoding import Matrix
from .fitted import LightgbmModel, LinearModel, Model, SklearnModel, XgboostModel
from .points import PointsModel
from .purchases import PurchaseModel
from .recency import RecencyModel


@dataclass(frozen=True)
class BlendModel:
    """The mean of models that read the same matrix.

    Each member's contributions add up to its raw score, so their means add up to the mean raw
    score: a blend says why as exactly as its members do, which a mean of ranks cannot.
    """

    members: tuple[Model, ...]

    def raw_score(self, matrix: Matrix) -> Floats:
        """Return log-odds, shape (n,)."""
        found: Floats = np.mean([member.raw_score(matrix) for member in self.members], axis=0)
        return found

    def contributions(self, matrix: Matrix) -> tuple[Floats, float] | None:
        """Return what each column added, (n, k), and the base; None where a member has none."""
        found = [member.contributions(matrix) for member in self.members]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return None
        values: Floats = np.mean([values for values, _ in known], axis=0)
        return values, float(np.mean([base for _, base in known]))

    def save(self, folder: Path) -> None:
        """Write each member to a numbered folder of its own."""
        for place, member in enumerate(self.members):
            inside = folder / f"member-{place}"
            inside.mkdir()
            save_model(member, inside)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read every member, in order."""
        return cls(tuple(load_model(inside) for inside in sorted(folder.glob("member-*"))))


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
