"""Estimates of the media dataset's planted effects, from its log alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tests.support.media_log import DAY, PLAY, PURCHASE, Log, mean_of, near

Planted = dict[str, Any]
WAVES = [["US", "IN"], ["GB", "BR"], ["DE", "FR"]]
NEVER = ["JP", "ES"]


def outcomes(log: Log) -> tuple[pd.DataFrame, Any]:
    """The experiment's metrics of each user from the log alone, and whose window is whole."""
    exposed = log.since_start("exposure_time")
    low, high = exposed, exposed + 14 * DAY
    sold = log.within(PURCHASE, low, high)
    again = (log.time >= low[log.user] + 7 * DAY) & (log.time < high[log.user])
    found = pd.DataFrame(
        {
            "plays": log.per_user(log.within(PLAY, low, high)),
            "converted": log.per_user(sold) > 0,
            "revenue": log.per_user(sold, log.value),
            "retained": log.per_user(again) > 0,
        }
    ).astype(float)
    end = (log.made.end - log.made.start).days * DAY
    return found, high <= end


def check_effects_in_metric_units(log: Log, planted: Planted) -> None:
    """Difference of the arms' means, of each metric, against the effect in the truth."""
    found, whole = outcomes(log)
    treated = log.truth["arm"].to_numpy() == "treatment"
    for metric, effects in planted["experiment"]["effects"].items():
        (one, one_error), (other, other_error) = (
            mean_of(found[metric][whole & arm]) for arm in (treated, ~treated)
        )
        error = np.hypot(one_error, other_error)
        near(one - other, effects["all"]["effect"], error, metric)
        assert effects["all"]["users"] == whole.sum()


def propensity(log: Log, planted: Planted) -> tuple[Any, Any]:
    """The chance of adopting by the planted model and what the log shows, and who was offered."""
    model, launch = planted["adoption"]["model"], planted["adoption"]["launch"]["day"]
    history = log.per_user(log.first & (log.day < launch) & (log.day >= launch - 28))
    logit = model["intercept"] + model["log_visits"] * np.log1p(history)
    for column in ("device_type", "acquisition_channel"):
        logit = logit + log.users[column].map(model[column]).to_numpy()
    return 1 / (1 + np.exp(-logit)), history


def adoption_effects(log: Log, planted: Planted) -> dict[str, tuple[float, float]]:
    """Naive and weighted estimates of the mean effect on plays, each with a standard error."""
    chance, history = propensity(log, planted)
    offered = history > 0
    first = planted["adoption"]["launch"]["day"] + 1
    plays = log.per_user(log.within(PLAY, first * DAY, (first + 28) * DAY))[offered]
    adopted, chance = log.truth["adopted_time"].notna().to_numpy()[offered], chance[offered]
    one, other = (mean_of(plays[arm]) for arm in (adopted, ~adopted))
    weight = np.where(adopted, 1 / chance, 1 / (1 - chance))
    means = [np.average(plays[arm], weights=weight[arm]) for arm in (adopted, ~adopted)]
    # the influence of each user on the two weighted means
    part = weight * np.where(adopted, plays - means[0], means[1] - plays)
    return {
        "naive": (one[0] - other[0], float(np.hypot(one[1], other[1]))),
        "weighted": (means[0] - means[1], float(part.std() / np.sqrt(len(part)))),
    }
