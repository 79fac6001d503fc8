"""BG/NBD: repeat purchases expected from counts and times alone (see `models.purchases`)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ...types import Floats
from ..catalogue import Imbalance
from ..encoding import Encoding, Matrix
from ..purchases import expected_purchases, purchase_histories
from .base import Fitted, Kind, Params, Training


@dataclass(frozen=True)
class PurchaseModel:
    """BG/NBD over three columns of a feature matrix; the raw score is the log of what is expected.

    columns: places of repeats, days since the first and days since the last purchase.
    """

    columns: tuple[int, int, int]
    horizon: float
    params: tuple[float, float, float, float]

    def raw_score(self, matrix: Matrix) -> Floats:
        """Return the logarithm of purchases expected within the horizon, shape (n,)."""
        x, t_x, age = purchase_histories(matrix, self.columns)
        expected = expected_purchases(x, t_x, age, self.horizon, self.params)
        return np.log(np.maximum(expected, 1e-12))

    def contributions(self, matrix: Matrix) -> None:
        """Return None: the formula is no sum of features."""
        del matrix

    def save(self, folder: Path) -> None:
        """Write purchases.json."""
        (folder / "purchases.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read purchases.json."""
        raw = json.loads((folder / "purchases.json").read_text(encoding="utf-8"))
        return cls(tuple(raw["columns"]), float(raw["horizon"]), tuple(raw["params"]))


class BgNbdKind(Kind):
    """BG/NBD on the three features that the spec names as `training.purchases`."""

    name = "bg_nbd"
    models = {"purchases": PurchaseModel}
    libraries = (("scipy",),)

    def fit(self, training: Training, imbalance: Imbalance, params: Params | None) -> Fitted:
        """Fit on the users of the latest date."""
        from ..purchase_fits import BgNbd

        del imbalance, params
        encoding = Encoding(training.plan.purchases or ())
        matrix = encoding.matrix(training.data.table)[training.data.latest]
        columns = (0, 1, 2)
        horizon = float(training.plan.about.horizon_days)
        fitted = BgNbd(horizon).fit(np.column_stack(purchase_histories(matrix, columns)))
        found = (fitted.r_, fitted.alpha_, fitted.a_, fitted.b_)
        return Fitted(encoding, PurchaseModel(columns, horizon, found))
