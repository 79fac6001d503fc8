"""Expected spend within the horizon, three ways; spend_fits fits them.

tweedie     XGBoost with the Tweedie deviance: many zeros, few large amounts, in one model
hurdle      probability of the target (the geometric mean of several classifiers' calibrated ones)
            times what a purchase is worth: the user's own mean, clipped and shrunk toward
            everybody's by least squares on those who bought
bg_nbd      purchases expected (BG/NBD) times the worth of one (Gamma-Gamma)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from ..errors import DataError
from ..scorer import FeatureTable
from ..types import Floats
from .encoding import Encoding
from .kinds.xgboost import XgboostModel
from .learned import LearnedScorer
from .model_files import read_whole
from .purchases import expected_purchases, expected_value, purchase_histories

SPEND_METHODS = ("tweedie", "hurdle", "bg_nbd")


@dataclass(frozen=True)
class SpendScorer:
    """Expected spend of users, in the unit of the outcomes' value.

    encoding: the columns read. model: the Tweedie booster. probabilities: the scorers whose
    calibrated probabilities, their geometric mean, are the hurdle. worth: intercept, slope and clip
    of a purchase's worth. purchases: the parameters of BG/NBD (r, alpha, a, b) and Gamma-Gamma (p,
    q, v, overall). factor: what totals were off on an earlier test.
    """

    name: str
    encoding: Encoding
    horizon: float
    factor: float = 1.0
    model: XgboostModel | None = None
    probabilities: tuple[LearnedScorer, ...] = ()
    worth: tuple[float, float, float] = (0.0, 0.0, 0.0)
    purchases: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    @property
    def features(self) -> tuple[str, ...]:
        """The features it reads."""
        also = (name for scorer in self.probabilities for name in scorer.features)
        return tuple(dict.fromkeys((*self.encoding.names, *also)))

    def expected(self, table: FeatureTable) -> Floats:
        """Return expected spend within the horizon, shape (n,), never below zero."""
        matrix = self.encoding.matrix(table)
        if self.model is not None:
            return self.factor * np.exp(self.model.raw_score(matrix))
        if self.probabilities:
            start, slope, clip = self.worth
            own = np.nan_to_num(np.minimum(matrix[:, -1].astype(np.float64), clip), nan=0.0)
            worth = np.maximum(start + slope * own, 0.0)
            logs = [np.log(scorer.probability(table)) for scorer in self.probabilities]
            probability: Floats = np.exp(np.mean(logs, axis=0))
            return self.factor * probability * worth
        x, t_x, age = purchase_histories(matrix, (0, 1, 2))
        rates, amounts = self.purchases
        count = expected_purchases(
            x, t_x, age, self.horizon, (rates[0], rates[1], rates[2], rates[3])
        )
        value = np.nan_to_num(matrix[:, 3].astype(np.float64))
        worth = expected_value(x + 1, value, (amounts[0], amounts[1], amounts[2]), amounts[3])
        return self.factor * count * worth

    def recalibrated(self, predicted: Floats, actual: Floats) -> SpendScorer:
        """Return the same scorer, its totals those of an earlier test; as it is without spend."""
        if predicted.sum() <= 0 or actual.sum() <= 0:
            return self
        return replace(self, factor=self.factor * float(actual.sum() / predicted.sum()))

    def save(self, folder: Path) -> None:
        """Write spend.json and what the scorer is made of to a new folder."""
        folder.mkdir(parents=True)
        raw = {
            "name": self.name,
            "encoding": self.encoding.to_dict(),
            "horizon": self.horizon,
            "factor": self.factor,
            "chances": [scorer.name for scorer in self.probabilities],
            "worth": list(self.worth),
            "purchases": [list(part) for part in self.purchases],
        }
        (folder / "spend.json").write_text(json.dumps(raw), encoding="utf-8")
        if self.model is not None:
            (folder / "model").mkdir()
            self.model.save(folder / "model")
        for scorer in self.probabilities:
            scorer.save(folder / "chances" / scorer.name)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; raises DataError when it is not there."""
        with read_whole(folder):
            try:
                raw = json.loads((folder / "spend.json").read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise DataError(f"{folder}: holds no saved spend scorer: {error}") from None
            rates, amounts = raw["purchases"]
            worth = raw["worth"]
            return cls(
                name=raw["name"],
                encoding=Encoding.from_dict(raw["encoding"]),
                horizon=raw["horizon"],
                factor=raw["factor"],
                model=XgboostModel.load(folder / "model") if (folder / "model").exists() else None,
                probabilities=tuple(
                    LearnedScorer.load(folder / "chances" / n) for n in raw["chances"]
                ),
                worth=(worth[0], worth[1], worth[2]),
                purchases=(tuple(rates), tuple(amounts)),
            )
