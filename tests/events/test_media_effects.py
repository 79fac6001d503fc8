"""The effects in the media world are what they are said to be: by worlds without them, by design.

A world made again from the same seed with one effect switched off (or on for all) is the
counterfactual itself: its log, not the generator's word, must show what the truth of the first
world says each user would have done.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.media_effects import (
    NEVER,
    WAVES,
    adoption_effects,
    check_effects_in_metric_units,
    outcomes,
)
from tests.support.media_log import DAY, PLAY, Log, mean_of, near, read_log
from whyrank.events.synthetic.media import parameters
from whyrank.events.synthetic.media.world import generate_media

pytestmark = pytest.mark.xdist_group("media")
METRICS = ("plays", "converted", "revenue", "retained")
Make = Callable[..., Log]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Make a world of two blocks, with parameters of its own if any are given."""

    def made(**changed: object) -> Log:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in changed.items():
                patch.setattr(parameters, name, value)
            out = tmp_path_factory.mktemp("worlds") / "log.parquet"
            return read_log(generate_media(out, users=6000, seed=5, days=75))

    return made


@pytest.fixture(scope="module")
def factual(make: Make) -> Log:
    return make()


# --- potential outcomes ------------------------------------------------------------------------


def same(found: object, expected: object, whole: object) -> None:
    """Both are equal to the cent wherever the window is whole, and unknown where it is not."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert np.array_equal(~np.isnan(expected), whole)
    assert np.abs(found - expected)[whole].max() < 1e-6
    assert whole.sum() > 2000


def test_the_log_shows_the_outcome_of_the_arm(factual: Log) -> None:
    found, whole = outcomes(factual)
    treated = factual.truth["arm"] == "treatment"
    for metric in METRICS:
        one, other = (factual.truth[f"{metric}_{arm}"] for arm in ("treatment", "control"))
        same(found[metric], np.where(treated, one, other), whole)


@pytest.mark.parametrize(("share", "arm"), [(0.0, "control"), (1.0, "treatment")])
def test_a_world_of_one_arm_shows_that_arm_of_everybody(
    share: float, arm: str, make: Make, factual: Log
) -> None:
    other = make(TREATED_SHARE=share)
    found, whole = outcomes(other)
    for metric in METRICS:
        same(found[metric], factual.truth[f"{metric}_{arm}"], whole)
    # and nothing but plays, purchases and the cart before a purchase has moved
    base, moved = (log.name[~np.isin(log.name, [2, 3, 4])] for log in (factual, other))
    assert np.array_equal(base, moved)


def test_retention_is_the_same_in_both_arms_of_everybody(factual: Log) -> None:
    one, other = (factual.truth[f"retained_{arm}"] for arm in ("treatment", "control"))
    pd.testing.assert_series_equal(one, other, check_names=False)
    assert 0.3 < one.mean() < 0.9


def test_a_world_in_which_nobody_adopts(make: Make, factual: Log) -> None:
    plain = make(ADOPTION_INTERCEPT=-100.0)
    assert plain.truth["adopted_time"].isna().all()
    first = (75 // 3 + 1) * DAY
    offered = (factual.truth["visits_before_launch"] > 0).to_numpy()
    for log, other in ((plain, "unadopted"), (make(ADOPTION_INTERCEPT=100.0), "adopted")):
        plays = log.per_user(log.within(PLAY, first, first + 28 * DAY))
        same(plays, factual.truth[f"plays_{other}"], offered)


def test_a_world_without_the_rollout(make: Make, factual: Log) -> None:
    never = make(COUNTRY_WAVE=np.full(8, parameters.NEVER))
    low = factual.since_start("rollout_time")
    whole = low + 14 * DAY <= 75 * DAY
    for log, word in ((never, "without"), (factual, "with")):
        plays = log.per_user(log.within(PLAY, low, low + 14 * DAY))
        same(plays, factual.truth[f"plays_{word}_rollout"], whole)


def test_the_planted_effects_are_the_means_of_the_truth(factual: Log) -> None:
    truth, effects = factual.truth, factual.planted["experiment"]["effects"]
    device = factual.users["device_type"]
    for metric in METRICS:
        gain = truth[f"{metric}_treatment"] - truth[f"{metric}_control"]
        for segment, told in effects[metric].items():
            mine = gain if segment == "all" else gain[device == segment]
            assert told["users"] == mine.notna().sum()
            assert told["effect"] == pytest.approx(mine.mean(), abs=1e-9)
            error = mine.std(ddof=0) / np.sqrt(mine.notna().sum())
            assert told["error"] == pytest.approx(error, abs=1e-6)
        assert (effects[metric]["tv"]["effect"] == 0) == (metric != "plays")
    assert effects["retained"]["all"]["effect"] == 0
    gain = truth["plays_adopted"] - truth["plays_unadopted"]
    told = factual.planted["adoption"]["effects"]
    assert told["offered"]["effect"] == pytest.approx(gain.mean(), abs=1e-9)
    adopters = truth["adopted_time"].notna()
    assert told["adopters"]["effect"] == pytest.approx(gain[adopters].mean(), abs=1e-9)
    gain = truth["plays_with_rollout"] - truth["plays_without_rollout"]
    for wave in factual.planted["rollout"]["waves"]:
        mine = factual.users["country"].isin(wave["countries"])
        mine &= factual.users["signup_time"] < pd.Timestamp(wave["start"]["date"], tz="UTC")
        assert wave["effect"]["effect"] == pytest.approx(gain[mine].mean(), abs=1e-9)


# --- designs -----------------------------------------------------------------------------------


def test_exposure_is_the_first_visit_and_tags_every_event_from_then_on(media_log: Log) -> None:
    exposed_at = media_log.since_start("exposure_time")
    begins = media_log.planted["experiment"]["start"]["day"] * DAY
    first = np.full(len(exposed_at), np.inf)
    after = media_log.first & (media_log.time >= begins)
    np.minimum.at(first, media_log.user[after], media_log.time[after])
    assert np.array_equal(first, exposed_at)
    treated = (media_log.truth["arm"] == "treatment").to_numpy()
    tagged = media_log.time >= exposed_at[media_log.user]
    assert np.array_equal(media_log.variant, np.where(tagged, treated[media_log.user], -1))
    counts = media_log.planted["experiment"]["exposed"]
    assert counts["exposed"] == np.isfinite(exposed_at).sum()
    assert counts["treatment"] == (np.isfinite(exposed_at) & treated).sum()


def test_arms_are_balanced_on_everything_before(media_log: Log) -> None:
    exposed_at = media_log.since_start("exposure_time")
    exposed = np.isfinite(exposed_at)
    treated = (media_log.truth["arm"] == "treatment").to_numpy()[exposed]
    near(treated.mean(), 0.5, 0.5 / np.sqrt(len(treated)), "arms")
    history = media_log.per_user(
        media_log.within(PLAY, np.where(exposed, exposed_at, 0) - 28 * DAY, exposed_at)
    )
    before = {"plays": history, "activity": media_log.truth["activity"],
              "adopted": media_log.truth["adopted_time"].notna(),
              "phone": media_log.users["device_type"] == "mobile",
              "paid": media_log.users["acquisition_channel"] == "paid_social",
              "rolled out": media_log.users["country"].isin(WAVES[0])}  # fmt: skip
    for name, values in before.items():
        x = np.asarray(values, float)[exposed]
        (one, one_error), (other, other_error) = (mean_of(x[a]) for a in (treated, ~treated))
        near(one - other, 0, np.hypot(one_error, other_error), name)


def test_what_came_before_predicts_the_outcome(media_log: Log) -> None:
    """Correlation of plays, 28 days before and 14 after: in [0.5, 0.8] by five of its errors."""
    exposed_at = media_log.since_start("exposure_time")
    found, whole = outcomes(media_log)
    low = np.where(whole, exposed_at, 0) - 28 * DAY
    before = media_log.per_user(media_log.within(PLAY, low, exposed_at))
    old = whole & (media_log.users["signup_time"] < pd.Timestamp("2026-01-18", tz="UTC"))
    for who in (whole, old):
        rho = np.corrcoef(before[who], found["plays"][who])[0, 1]
        error = 5 / np.sqrt(who.sum() - 3)
        assert np.tanh(np.arctanh(rho) - error) > 0.5
        assert np.tanh(np.arctanh(rho) + error) < 0.8
    # so the effect is known better once what came before is taken out
    treated = (media_log.truth["arm"] == "treatment").to_numpy()
    plays = found["plays"].to_numpy()
    slope = np.cov(before[old], plays[old])[0, 1] / before[old].var(ddof=1)
    raw, adjusted = (
        np.hypot(*(mean_of(y[old & arm])[1] for arm in (treated, ~treated)))
        for y in (plays, plays - slope * before)
    )
    assert adjusted < 0.8 * raw


def test_comparing_adopters_without_weights_is_wrong(media_log: Log) -> None:
    truth = media_log.planted["adoption"]["effects"]["offered"]["effect"]
    estimates = adoption_effects(media_log, media_log.planted)
    naive, error = estimates["naive"]
    assert naive - truth > 5 * error
    chance = media_log.truth["propensity"].dropna()
    assert (chance.quantile(0.01), chance.quantile(0.99)) > (0.05, 0.05)
    assert chance.max() < 0.97


def test_waves_are_parallel_before_the_rollout(media_log: Log) -> None:
    """Plays a user in levels: the change from early to late weeks, each wave and never."""
    rollout = media_log.planted["rollout"]
    middle, end = 18, rollout["waves"][0]["start"]["day"]
    old = (media_log.users["signup_time"] < pd.Timestamp("2026-01-01", tz="UTC")).to_numpy()
    change = media_log.per_user(media_log.within(PLAY, middle * DAY, end * DAY))
    change -= media_log.per_user(media_log.within(PLAY, 0, middle * DAY))
    where = media_log.users["country"]
    groups = {"never": NEVER} | {f"wave {n}": names for n, names in enumerate(WAVES)}
    there = {name: (where.isin(names) & old).to_numpy() for name, names in groups.items()}
    base, base_error = mean_of(change[there.pop("never")])
    for name, mine in there.items():
        found, error = mean_of(change[mine])
        near(found, base, np.hypot(error, base_error), name)


@pytest.mark.slow
def test_effects_in_metric_units_at_size(tmp_path: Path) -> None:
    """Two hundred thousand users: the arms' difference finds plays, conversion and revenue."""
    log = read_log(generate_media(tmp_path / "log.parquet", users=200_000, seed=3))
    check_effects_in_metric_units(log, log.planted)
    found, whole = outcomes(log)
    treated = (log.truth["arm"] == "treatment").to_numpy()
    for metric in ("plays", "converted", "revenue"):
        one, other = (mean_of(found[metric][whole & arm]) for arm in (treated, ~treated))
        assert one[0] - other[0] > 5 * np.hypot(one[1], other[1]), metric
