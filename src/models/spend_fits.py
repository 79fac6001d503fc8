"""Fit the three ways to expect spend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from ..types import Floats
from .candidates import Trainer
from .encoding import Encoding
from .kinds.base import FitSpec, TrainingData
from .kinds.trees import threads_for
from .kinds.xgboost import XgboostModel
from .learned import LearnedScorer
from .purchases import purchase_histories
from .spend import SPEND_METHODS, SpendScorer

_POWER = 1.2  # between Poisson (1) and gamma (2): compound sums of few amounts
_CLIP = 0.95  # quantile of amounts beyond which a few orders would tell the tale
_TREES = 200


def fit_spend(
    name: str,
    plan: FitSpec,
    data: TrainingData,
    spend: Floats,
    *,
    trainer: Trainer,
    probabilities: tuple[LearnedScorer, ...],
    value: str,
) -> SpendScorer:
    """Fit one of SPEND_METHODS; spend: what each row of the training data came to, shape (n,).

    probabilities: calibrated scorers, for the hurdle. value: the feature of a purchase's mean
    worth.

    Raises DataError when nobody spent anything.
    """
    if not (spend > 0).any():
        raise DataError("nobody spent anything in the training snapshots: spend cannot be learnt")
    horizon = float(plan.about.horizon_days)
    if name == "tweedie":
        return _tweedie(plan, data, spend, trainer, horizon)
    if name == "hurdle":
        if not probabilities:
            raise DataError("the hurdle needs scorers with calibrated probabilities")
        return _hurdle(data, spend, probabilities, value, horizon)
    return _purchases(plan, data, value, horizon)


def spend_methods_of(plan: FitSpec) -> list[str]:
    """Return the ways that a plan has the features for."""
    return [name for name in SPEND_METHODS if name != "bg_nbd" or plan.purchases is not None]


def _tweedie(
    plan: FitSpec, data: TrainingData, spend: Floats, trainer: Trainer, horizon: float
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
        n_jobs=threads_for(len(matrix)),
        monotone_constraints=plan.monotone(),
    ).fit(matrix, _clipped(spend))
    return SpendScorer("tweedie", encoding, horizon, model=XgboostModel(fitted.get_booster()))


def _hurdle(
    data: TrainingData,
    spend: Floats,
    probabilities: tuple[LearnedScorer, ...],
    value: str,
    horizon: float,
) -> SpendScorer:
    encoding = Encoding((value,))
    own = encoding.matrix(data.table)[:, 0].astype(np.float64)
    clip = float(np.nanquantile(own, _CLIP))
    bought = spend > 0
    known = np.nan_to_num(np.minimum(own[bought], clip))
    paid = _clipped(spend)[bought]
    away = known - known.mean()
    slope = float((away * paid).sum() / max(float((away**2).sum()), 1e-12))
    slope = min(max(slope, 0.0), 1.0)
    start = float(paid.mean() - slope * known.mean())
    return SpendScorer(
        "hurdle", encoding, horizon, probabilities=probabilities, worth=(start, slope, clip)
    )


def _clipped(spend: Floats) -> Floats:
    """Return spend, the highest amounts of those who bought cut off; totals are set right later."""
    clipped: Floats = np.minimum(spend, np.quantile(spend[spend > 0], _CLIP))
    return clipped


def _purchases(plan: FitSpec, data: TrainingData, value: str, horizon: float) -> SpendScorer:
    from .purchase_fits import BgNbd, GammaGamma

    encoding = Encoding((*(plan.purchases or ()), value))
    matrix = encoding.matrix(data.table)[data.latest]
    x, t_x, age = purchase_histories(matrix, (0, 1, 2))
    rates = BgNbd(horizon).fit(np.column_stack([x, t_x, age]))
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


def select_spend_method(ginis: Sequence[tuple[str, float]]) -> str:
    """Return the name with the highest Gini; the first of equals."""
    return max(ginis, key=lambda pair: pair[1])[0]
