"""Expected spend within the horizon: three ways, each recalibrated on an earlier test.

tweedie     XGBoost with the Tweedie deviance: many zeros, few large amounts, in one model
hurdle      chance of the target times what a purchase is worth: the user's own mean, clipped and
            shrunk toward everybody's by least squares on those who bought
bg_nbd      purchases expected (BG/NBD) times the worth of one (Gamma-Gamma)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from ..errors import DataError
from ..scorer import FeatureTable, Floats
from .candidates import Plan, Trainer, TrainingData
from .encoding import Encoding
from .fitted import XgboostModel
from .learned import LearnedScorer
from .purchases import expected_purchases, expected_value, histories_of

SPENDERS = ("tweedie", "hurdle", "bg_nbd")
_POWER = 1.5  # between Poisson (1) and gamma (2): compound sums of few amounts
_CLIP = 0.99  # of own means among users: beyond it one order would tell the tale
_TREES = 200


@dataclass(frozen=True)
class SpendScorer:
    """Expected spend of users, in the unit of the outcomes' value.

    encoding: the columns read. model: the Tweedie booster. chance: the scorer whose calibrated
    chance is the hurdle. worth: intercept, slope and clip of a purchase's worth. purchases: the
    parameters of BG/NBD (r, alpha, a, b) and Gamma-Gamma (p, q, v, overall). factor: what totals
    were off on an earlier test.
    """

    name: str
    encoding: Encoding
    horizon: float
    factor: float = 1.0
    model: XgboostModel | None = None
    chance: LearnedScorer | None = None
    worth: tuple[float, float, float] = (0.0, 0.0, 0.0)
    purchases: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    @property
    def features(self) -> tuple[str, ...]:
        """The features it reads."""
        also = self.chance.features if self.chance else ()
        return tuple(dict.fromkeys((*self.encoding.names, *also)))

    def expected(self, table: FeatureTable) -> Floats:
        """Return expected spend within the horizon, shape (n,), never below zero."""
        matrix = self.encoding.matrix(table)
        if self.model is not None:
            return self.factor * np.exp(self.model.margin(matrix))
        if self.chance is not None:
            start, slope, clip = self.worth
            own = np.nan_to_num(np.minimum(matrix[:, -1].astype(np.float64), clip), nan=0.0)
            worth = np.maximum(start + slope * own, 0.0)
            return self.factor * self.chance.probability(table) * worth
        x, t_x, age = histories_of(matrix, (0, 1, 2))
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
            "worth": list(self.worth),
            "purchases": [list(part) for part in self.purchases],
        }
        (folder / "spend.json").write_text(json.dumps(raw), encoding="utf-8")
        if self.model is not None:
            (folder / "model").mkdir()
            self.model.save(folder / "model")
        if self.chance is not None:
            self.chance.save(folder / "chance")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; raises DataError when it is not there."""
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
            chance=LearnedScorer.load(folder / "chance") if (folder / "chance").exists() else None,
            worth=(worth[0], worth[1], worth[2]),
            purchases=(tuple(rates), tuple(amounts)),
        )


def fit_spend(
    name: str,
    plan: Plan,
    data: TrainingData,
    spend: Floats,
    *,
    trainer: Trainer,
    chance: LearnedScorer | None,
    value: str,
) -> SpendScorer:
    """Fit one of SPENDERS; spend: what each row of the training data came to, shape (n,).

    chance: a calibrated scorer, for the hurdle. value: the feature of a purchase's mean worth.

    Raises DataError when nobody spent anything.
    """
    if not (spend > 0).any():
        raise DataError("nobody spent anything in the training snapshots: spend cannot be learnt")
    horizon = float(plan.about.horizon_days)
    if name == "tweedie":
        return _tweedie(plan, data, spend, trainer, horizon)
    if name == "hurdle":
        if chance is None:
            raise DataError("the hurdle needs a scorer with calibrated chances")
        return _hurdle(data, spend, chance, value, horizon)
    return _purchases(plan, data, value, horizon)


def spenders_of(plan: Plan) -> list[str]:
    """Return the ways that a plan has the features for."""
    return [name for name in SPENDERS if name != "bg_nbd" or plan.purchases is not None]


def _tweedie(
    plan: Plan, data: TrainingData, spend: Floats, trainer: Trainer, horizon: float
) -> SpendScorer:
    from xgboost import XGBRegressor

    del data
    encoding, matrix = trainer.matrix()
    fitted = XGBRegressor(
        objective="reg:tweedie",
        tweedie_variance_power=_POWER,
        n_estimators=_TREES,
        max_depth=3,
        learning_rate=0.05,
        subsample=0.7,
        colsample_bytree=0.5,
        min_child_weight=20,
        reg_lambda=10,
        tree_method="hist",
        random_state=plan.about.seed,
    ).fit(matrix, spend)
    return SpendScorer("tweedie", encoding, horizon, model=XgboostModel(fitted.get_booster()))


def _hurdle(
    data: TrainingData, spend: Floats, chance: LearnedScorer, value: str, horizon: float
) -> SpendScorer:
    encoding = Encoding((value,))
    own = encoding.matrix(data.table)[:, 0].astype(np.float64)
    clip = float(np.nanquantile(own, _CLIP))
    bought = spend > 0
    known = np.nan_to_num(np.minimum(own[bought], clip))
    paid = np.minimum(spend[bought], np.quantile(spend[bought], _CLIP))
    away = known - known.mean()
    slope = float((away * paid).sum() / max(float((away**2).sum()), 1e-12))
    slope = min(max(slope, 0.0), 1.0)
    start = float(paid.mean() - slope * known.mean())
    return SpendScorer("hurdle", encoding, horizon, chance=chance, worth=(start, slope, clip))


def _purchases(plan: Plan, data: TrainingData, value: str, horizon: float) -> SpendScorer:
    from .purchase_fits import BetaGeometric, GammaGamma

    encoding = Encoding((*(plan.purchases or ()), value))
    matrix = encoding.matrix(data.table)[data.latest]
    x, t_x, age = histories_of(matrix, (0, 1, 2))
    rates = BetaGeometric(horizon).fit(np.column_stack([x, t_x, age]))
    mean = matrix[:, 3].astype(np.float64)
    known = mean > 0
    amounts = GammaGamma().fit(np.column_stack([x[known] + 1, mean[known]]))
    return SpendScorer(
        "bg_nbd",
        encoding,
        horizon,
        purchases=(
            (rates.r_, rates.alpha_, rates.a_, rates.b_),
            (amounts.p_, amounts.q_, amounts.v_, amounts.overall_),
        ),
    )


def choose_spender(ginis: Sequence[tuple[str, float]]) -> str:
    """Return the name with the highest Gini; the first of equals."""
    return max(ginis, key=lambda pair: pair[1])[0]
