"""Fitted models on disk: every kind by name, each in its library's own safe format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import DataError
from ..scorer import Floats
from .encoding import Matrix
from .fitted import LightgbmModel, LinearModel, Model, SklearnModel, XgboostModel
from .purchases import PurchaseModel
from .recency import RecencyModel


@dataclass(frozen=True)
class ScaledModel:
    """A model that reads columns with nulls filled and scaled, as SMOTE needs them."""

    fill: Floats
    center: Floats
    scale: Floats
    model: Model

    def scaled(self, matrix: Matrix) -> Matrix:
        """Return the matrix that the model inside reads."""
        filled = np.where(np.isnan(matrix), self.fill, matrix)
        return ((filled - self.center) / self.scale).astype(np.float32)

    def margin(self, matrix: Matrix) -> Floats:
        """Return log-odds, shape (n,)."""
        return self.model.margin(self.scaled(matrix))

    def contributions(self, matrix: Matrix) -> tuple[Floats, float] | None:
        """Return the model's contributions: scaling is column by column."""
        return self.model.contributions(self.scaled(matrix))

    def save(self, folder: Path) -> None:
        """Write scaling.json and the model inside, in a folder of its own."""
        raw = {key: getattr(self, key).tolist() for key in ("fill", "center", "scale")}
        (folder / "scaling.json").write_text(json.dumps(raw), encoding="utf-8")
        inside = folder / "scaled"
        inside.mkdir()
        save_model(self.model, inside)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read scaling.json and the model inside."""
        raw = json.loads((folder / "scaling.json").read_text(encoding="utf-8"))
        fill, center, scale = (np.array(raw[key]) for key in ("fill", "center", "scale"))
        return cls(fill, center, scale, load_model(folder / "scaled"))


KINDS: dict[str, Any] = {
    "xgboost": XgboostModel,
    "lightgbm": LightgbmModel,
    "linear": LinearModel,
    "sklearn": SklearnModel,
    "scaled": ScaledModel,
    "purchases": PurchaseModel,
    "recency": RecencyModel,
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
