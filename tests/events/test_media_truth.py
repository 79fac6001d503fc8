"""What was planted in the media world is found in its log, and a wrong world is found out.

Each check takes a log and what is to be found in it. The right world must pass every check; one
world in which everything was planted otherwise must fail each (`test_a_wrong_world_…`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.support.media_effects import (
    NEVER,
    WAVES,
    Planted,
    adoption_effects,
    check_effects_in_metric_units,
    propensity,
)
from tests.support.media_log import (
    CART,
    DAY,
    MOST_CHANCE,
    NAMES,
    PLAY,
    PURCHASE,
    TAIL,
    Log,
    likely,
    log_ratio_of,
    mean_of,
    near,
    ratio_of,
    read_log,
    scores,
)
from whyrank.events.synthetic.media import parameters
from whyrank.events.synthetic.media.world import generate_media

pytestmark = pytest.mark.xdist_group("media")


def quiet(log: Log, planted: Planted) -> Any:
    """Events before anything acts: before the adoption's launch, the first of all."""
    return log.day < planted["adoption"]["launch"]["day"]


# --- people and their visits -------------------------------------------------------------------


def check_visits_are_negative_binomial(log: Log, planted: Planted) -> None:
    """Visits of the first 30 days, of users there all along, by country, as counts."""
    days, nb = planted["adoption"]["launch"]["day"], planted["visits"]["negative_binomial"]
    signup_day = (log.users["signup_time"] - pd.Timestamp(log.made.start, tz="UTC")).dt.days
    there = (signup_day < 0) & (signup_day + log.truth["lifetime_days"] > days)
    visits = log.per_user(log.first & quiet(log, planted))
    weekdays = np.array(planted["seasonality"]["weekdays"])
    factors = weekdays[(log.made.start.weekday() + np.arange(days)) % 7].sum()
    edges = np.array([0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 50])
    expected = np.zeros(len(edges))
    for country, about in planted["users"]["country"].items():
        mean = planted["visits"]["per_day"] * about["visit_factor"] * factors
        mine = there & (log.users["country"] == country)
        near(visits[mine].mean(), mean, np.sqrt((mean + mean**2 / nb["size"]) / mine.sum()))
        below = stats.nbinom.cdf(edges[1:] - 1, nb["size"], nb["size"] / (nb["size"] + mean))
        expected += mine.sum() * np.diff(np.concatenate([[0], below, [1]]))
    observed, _ = np.histogram(visits[there], [*edges, np.inf])
    likely(observed, expected, what="visits")


def check_days_and_hours(log: Log, planted: Planted) -> None:
    """Visits by weekday, given each user's activity and stay: Poisson; first ones by hour."""
    start, days = log.made.start, log.made.end.toordinal() - log.made.start.toordinal()
    signup_day = (log.users["signup_time"] - pd.Timestamp(start, tz="UTC")).dt.days.to_numpy()
    day = np.arange(days)
    there = (day > signup_day[:, None]) & (
        day < signup_day[:, None] + log.truth["lifetime_days"].to_numpy()[:, None]
    )
    countries = planted["users"]["country"]
    level = log.users["country"].map({c: about["visit_factor"] for c, about in countries.items()})
    rate = planted["visits"]["per_day"] * level * log.truth["activity"]
    weekday = (start.weekday() + day) % 7
    expected = (rate.to_numpy() @ there) * np.array(planted["seasonality"]["weekdays"])[weekday]
    seen = log.first & (log.day > signup_day[log.user])
    observed = np.bincount(log.day[seen], minlength=days)
    likely(
        np.bincount(weekday, observed), np.bincount(weekday, expected), fitted=-1, what="weekdays"
    )
    # a user's only visit of a day has not been moved to make room
    user_day = log.user[log.first] * days + log.day[log.first]
    alone = np.isin(user_day, user_day[np.bincount(user_day)[user_day] == 1])
    offset = log.users["country"].map({c: a["utc_offset_hours"] for c, a in countries.items()})
    local = log.time[log.first] / (DAY / 24) + offset.to_numpy()[log.user[log.first]]
    hours = np.bincount((local[alone] % 24).astype(int), minlength=24)
    likely(hours, np.array(planted["seasonality"]["hours"]) * hours.sum(), what="hours")


def check_events_form_the_chain(log: Log, planted: Planted) -> None:
    """Each row of the transition matrix, from visits on which nothing acts."""
    matrix = np.array(planted["chain"]["transitions"])
    end = len(NAMES)
    chosen = quiet(log, planted)
    last = np.append(log.first[1:], True)
    after = np.where(last, end, np.append(log.name[1:], end))
    starts = np.bincount(log.name[log.first & chosen], minlength=end)
    rows = {0: np.append(starts, 0)}
    for state in range(end):
        rows[state + 1] = np.bincount(after[chosen & (log.name == state)], minlength=end + 1)
    buy = matrix[CART + 1, PURCHASE + 1]
    for row, counts in rows.items():
        chance, observed = matrix[row, 1:].copy(), counts.copy()
        if row == CART + 1:  # people differ in how they buy: judged by users, below
            chance[PURCHASE], observed[PURCHASE] = 0, 0
            chance /= 1 - buy
        assert (observed[chance == 0] == 0).all(), f"impossible steps from row {row}"
        likely(observed[chance > 0], (chance * observed.sum())[chance > 0], what=f"row {row}")
    carts = log.per_user(chosen & (log.name == CART))
    sold = log.per_user(chosen & (log.name == PURCHASE))
    share, error = ratio_of(sold, carts)
    near(share, buy, error, "buys")


def check_events_of_a_visit(log: Log, planted: Planted) -> None:
    """Events of each kind a visit on which nothing acts, against the fundamental matrix."""
    chosen = quiet(log, planted)
    visits = log.per_user(log.first & chosen)
    for at, name in enumerate(NAMES):
        found, error = ratio_of(log.per_user(chosen & (log.name == at)), visits)
        near(found, planted["chain"]["events_per_visit"][name], error, name)


def check_values(log: Log, planted: Planted) -> None:
    """Logarithms of seconds before the drift and of prices: normal, mean and spread."""
    before = log.day < planted["drift"]["start"]["day"]
    for kind, chosen in (
        ("play_seconds", before & (log.name == PLAY)),
        ("price", log.name == PURCHASE),
    ):
        about, x = planted["values"][kind], np.log(np.maximum(log.value[chosen], 0.01))
        error = about["sigma"] / np.sqrt(len(x))
        near(x.mean(), np.log(about["median"]), error, f"median {kind}")
        near(x.std(), about["sigma"], error / np.sqrt(2), f"spread of {kind}")


def check_lifetimes(log: Log, planted: Planted) -> None:
    """Lifetimes on the scale of the cumulative hazard are exponential, by covariates."""
    churn = planted["churn"]
    ratio = churn["log_hazard_ratio"]
    new = (log.users["signup_time"] >= pd.Timestamp(log.made.start, tz="UTC")).to_numpy()
    life = log.truth["lifetime_days"].to_numpy()
    early = np.minimum(life, churn["early_days"])
    hazard = churn["early"] * early + churn["late"] * (life - early)
    for channel, by_channel in ratio["acquisition_channel"].items():
        for device, by_device in ratio["device_type"].items():
            mine = new & (log.users["acquisition_channel"] == channel)
            mine &= log.users["device_type"] == device
            mean = np.exp(-by_channel - by_device)
            near(hazard[mine].mean(), mean, mean / np.sqrt(mine.sum()), f"{channel} on {device}")


def check_retention(log: Log, planted: Planted) -> None:
    """Share of new users with an event on day k after their signup day, against the curve."""
    start = pd.Timestamp(log.made.start, tz="UTC")
    signup_day = (log.users["signup_time"] - start).dt.days.to_numpy()
    days = (log.made.end - log.made.start).days
    seen = np.zeros((len(signup_day), days), bool)
    seen[log.user, log.day] = True
    curve = planted["retention"]["curve"]
    new = np.flatnonzero(signup_day >= 0)
    assert seen[new, signup_day[new]].all()
    assert curve[0] == 1
    for k in (1, 3, 7, 14, 28, 45, 60):
        users = new[signup_day[new] + k < days]
        share = seen[users, signup_day[users] + k].mean()
        near(share, curve[k], np.sqrt(curve[k] * (1 - curve[k]) / len(users)), f"day {k}")


# --- the experiment ----------------------------------------------------------------------------


def check_treated_plays(log: Log, planted: Planted) -> None:
    """Runs of plays of the treated against the control's, in visits of the exposed."""
    treated = log.truth["arm"].to_numpy() == "treatment"
    plays, runs = log.runs(log.variant >= 0)
    (high, high_error), (low, low_error) = (
        log_ratio_of(plays[arm], runs[arm]) for arm in (treated, ~treated)
    )
    expected = np.log(planted["experiment"]["play_factor"])
    near(high - low, expected, np.hypot(high_error, low_error), "plays")


def check_treated_buys(log: Log, planted: Planted) -> None:
    """Purchases a cart of the treated against the control's, by device of the user."""
    treated = log.truth["arm"].to_numpy() == "treatment"
    carts = log.per_user((log.variant >= 0) & (log.name == CART))
    sold = log.per_user((log.variant >= 0) & (log.name == PURCHASE))
    for device, factor in planted["experiment"]["buy_factor"].items():
        mine = (log.users["device_type"] == device).to_numpy()
        (high, high_error), (low, low_error) = (
            log_ratio_of(sold[arm & mine], carts[arm & mine]) for arm in (treated, ~treated)
        )
        near(high - low, np.log(factor), np.hypot(high_error, low_error), f"buys on {device}")


# --- adoption, roll-out, drift -----------------------------------------------------------------


def check_adoption_follows_its_model(log: Log, planted: Planted) -> None:
    """The model's score equations: adopters less their chances, weighted by each covariate."""
    chance, history = propensity(log, planted)
    adopted = log.truth["adopted_time"].notna().to_numpy()
    offered = history > 0
    assert not adopted[~offered].any()
    assert np.array_equal(log.truth["visits_before_launch"], history)
    covariates = {"all": np.ones(len(chance)), "visits": np.log1p(history)}
    for column in ("device_type", "acquisition_channel"):
        covariates |= {v: (log.users[column] == v).to_numpy() for v in log.users[column].unique()}
    for name, values in covariates.items():
        x = values[offered].astype(float)
        error = np.sqrt((x**2 * chance[offered] * (1 - chance[offered])).sum())
        near((x * (adopted - chance)[offered]).sum(), 0, error, f"adoption by {name}")


def check_adoption_effect(log: Log, planted: Planted) -> None:
    """Weighting by the chance of adopting recovers the mean effect on plays."""
    found, error = adoption_effects(log, planted)["weighted"]
    near(found, planted["adoption"]["effects"]["offered"]["effect"], error, "adoption")


def check_adopted_runs(log: Log, planted: Planted) -> None:
    """Runs of adopters before and after adopting, with neither other effect at work."""
    adopted_at = log.since_start("adopted_time")
    alone = (log.variant < 1) & (log.time < log.since_start("rollout_time")[log.user])
    mine = alone & np.isfinite(adopted_at)[log.user]
    after = log.time >= adopted_at[log.user]
    (high, high_error), (low, low_error) = (
        log_ratio_of(*log.runs(mine & when)) for when in (after, ~after)
    )
    expected = np.log(planted["adoption"]["play_factor"])
    near(high - low, expected, np.hypot(high_error, low_error), "adopted plays")


def check_rollout(log: Log, planted: Planted) -> None:
    """Differences in differences of log run lengths, each wave against the countries without."""
    adopted = np.isfinite(log.since_start("adopted_time"))[log.user]
    alone = ~adopted & (log.variant < 1)
    country = log.users["country"].to_numpy()[log.user]
    for wave, countries in zip(planted["rollout"]["waves"], WAVES, strict=True):
        assert wave["countries"] == countries
        after = log.day >= wave["start"]["day"]
        cells = [
            log_ratio_of(*log.runs(alone & np.isin(country, where) & when))
            for where in (countries, NEVER)
            for when in (after, ~after)
        ]
        effect = (cells[0][0] - cells[1][0]) - (cells[2][0] - cells[3][0])
        error = np.sqrt(sum(cell[1] ** 2 for cell in cells))
        near(effect, np.log(planted["rollout"]["play_factor"]), error, f"wave {countries}")


def check_drift(log: Log, planted: Planted) -> None:
    """Seconds of plays before and after the day, and within each side; channels of signups."""
    day = planted["drift"]["start"]["day"]
    play = log.name == PLAY
    seconds = np.log(np.maximum(log.value, 0.1))
    start, end = 0, (log.made.end - log.made.start).days
    factor = planted["drift"]["play_seconds_factor"]
    for low, middle, high, expected in (
        (start, day // 2, day, 1), (start, day, end, factor), (day, (day + end) // 2, end, 1)
    ):  # fmt: skip
        before = mean_of(seconds[play & (log.day >= low) & (log.day < middle)])
        after = mean_of(seconds[play & (log.day >= middle) & (log.day < high)])
        error = np.hypot(before[1], after[1])
        near(after[0] - before[0], np.log(expected), error, f"seconds about day {middle}")
    signup = (log.users["signup_time"] - pd.Timestamp(log.made.start, tz="UTC")).dt.days
    for side, when in (("before", signup < day), ("after", signup >= day)):
        shares = planted["drift"]["signup_channels"][side]
        counts = log.users.loc[when, "acquisition_channel"].value_counts()[list(shares)]
        likely(counts, np.array(list(shares.values())) * when.sum(), what=f"channels {side}")


Check = Callable[[Log, Planted], None]
CHECKS: list[Check] = [
    check_visits_are_negative_binomial,
    check_days_and_hours,
    check_events_form_the_chain,
    check_events_of_a_visit,
    check_values,
    check_lifetimes,
    check_retention,
    check_treated_plays,
    check_treated_buys,
    check_adoption_follows_its_model,
    check_adoption_effect,
    check_adopted_runs,
    check_rollout,
    check_drift,
]


@pytest.mark.parametrize("check", [*CHECKS, check_effects_in_metric_units])
def test_what_was_planted_is_found(check: Check, media_log: Log) -> None:
    check(media_log, media_log.planted)


# what each check must notice when it is planted so instead, by itself
WRONG: dict[str, tuple[object, Check]] = {
    "ACTIVITY_SHAPE": (1.2, check_visits_are_negative_binomial),
    "WEEKDAYS": (np.ones(7), check_days_and_hours),
    "PLAY_AGAIN": (0.58, check_events_form_the_chain),
    "START_CHANCE": (np.array([0.6, 0.4, 0, 0, 0, 0]), check_events_of_a_visit),
    "PRICE": (17.0, check_values),
    "EARLY_HAZARD": (0.045, check_lifetimes),
    "VISITS_PER_DAY": (0.35, check_retention),
    "TREATED_PLAYS": (1.0, check_treated_plays),
    "TREATED_BUYS": (1.0, check_treated_buys),
    "ADOPTION_LOG_VISITS": (0.6, check_adoption_follows_its_model),
    "ADOPTED_PLAYS": (1.0, check_adopted_runs),
    "ROLLED_PLAYS": (1.0, check_rollout),
    "DRIFTED_SECONDS": (1.0, check_drift),
    "DRIFTED_CHANNEL_SHARE": (parameters.CHANNEL_SHARE, check_drift),
}


def world_with(folder: Path, **planted: object) -> Log:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in planted.items():
            patch.setattr(parameters, name, value)
        return read_log(generate_media(folder / "log.parquet", users=20_000, seed=11))


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A world in which what each check looks for was planted otherwise, or not at all."""
    otherwise = {name: value for name, (value, _) in WRONG.items()}
    return world_with(tmp_path_factory.mktemp("wrong"), **otherwise)


@pytest.mark.parametrize("check", CHECKS)
def test_a_wrong_world_is_found_out(check: Check, wrong: Log, media_log: Log) -> None:
    with pytest.raises(AssertionError, match=r"standard errors|chance of"):
        check(wrong, media_log.planted)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(WRONG))
def test_each_wrong_parameter_is_found_out_alone(name: str, tmp_path: Path, media_log: Log) -> None:
    value, check = WRONG[name]
    with pytest.raises(AssertionError, match=r"standard errors|chance of"):
        check(world_with(tmp_path, **{name: value}), media_log.planted)


def test_chances_of_a_false_alarm_stay_small(media_log: Log) -> None:
    """All comparisons of the right world, at their chance each, together."""
    before = len(scores)
    for check in (*CHECKS, check_effects_in_metric_units):
        check(media_log, media_log.planted)
    assert 50 < len(scores) - before < MOST_CHANCE / TAIL


@pytest.mark.slow
def test_bands_are_as_wide_as_they_say(tmp_path: Path) -> None:
    """Over twelve other worlds all comparisons together are standard normal, so five is five."""
    before = len(scores)
    for seed in range(100, 112):
        log = read_log(generate_media(tmp_path / "log.parquet", users=20_000, seed=seed))
        for check in (*CHECKS, check_effects_in_metric_units):
            check(log, log.planted)
    found = np.array(scores[before:])
    assert stats.kstest(found, "norm").pvalue > TAIL
    assert abs(found.std() - 1) < 5 / np.sqrt(2 * len(found))
