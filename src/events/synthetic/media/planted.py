"""The ground truth of a dataset as one JSON document: every parameter, every effect, in units."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..world import World
from . import parameters as p
from .chain import event_chances, expected_events
from .effects import NEVER
from .outcomes import Block, Outcomes, Pair
from .retention import retention_curve

METRICS = {
    "plays": f"plays within {p.OUTCOME_DAYS} days after exposure",
    "converted": f"any purchase within {p.OUTCOME_DAYS} days after exposure",
    "revenue": f"sum of purchase value within {p.OUTCOME_DAYS} days after exposure",
    "retained": (
        f"any event from day {p.RETAINED_FROM_DAY} to {p.OUTCOME_DAYS} after exposure, half open"
    ),
}


class Planted:
    """Gathers the effects in this dataset, block by block, and writes them with the parameters."""

    def __init__(self, world: World) -> None:
        self.world, self.timeline = world, p.Timeline.of(world.days)
        self._sums: dict[tuple[str, ...], NDArray[np.float64]] = {}
        self._counts: dict[str, int] = {}

    def add(self, block: Block, outcomes: Outcomes) -> None:
        """Add a block's users to the sums."""
        people, effects = block.people, block.effects
        exposed = effects.exposed_at < NEVER
        self._count("exposed", exposed)
        for arm, name in enumerate(p.VARIANTS):
            self._count(name, exposed & (people.arm == arm))
        for metric in METRICS:
            pair = getattr(outcomes, metric)
            self._sum(("experiment", metric, "all"), pair)
            for device, name in enumerate(p.DEVICES):
                self._sum(("experiment", metric, name), pair, people.device == device)
        adopters = effects.adopted_at < NEVER
        self._count("offered", ~np.isnan(effects.propensity))
        self._count("adopters", adopters)
        self._sum(("adoption", "everybody"), outcomes.adoption)
        self._sum(("adoption", "adopters"), outcomes.adoption, adopters)
        wave = p.COUNTRY_WAVE[people.country]
        for number in range(len(self.timeline.waves)):
            there = (wave == number) & (people.signup_day < self.timeline.waves[number])
            self._sum(("rollout", str(number)), outcomes.rollout, there)

    def _count(self, name: str, which: NDArray[np.bool_]) -> None:
        self._counts[name] = self._counts.get(name, 0) + int(which.sum())

    def _sum(
        self, key: tuple[str, ...], pair: Pair, which: NDArray[np.bool_] | bool = True
    ) -> None:
        chosen = ~np.isnan(pair[0]) & which
        without, with_it = pair[0][chosen], pair[1][chosen]
        gain = with_it - without
        found = np.array([chosen.sum(), without.sum(), with_it.sum(), (gain**2).sum()])
        self._sums[key] = self._sums.get(key, np.zeros(len(found))) + found

    def _effect(self, *key: str) -> dict[str, Any]:
        """Return the means without and with the effect and their difference; null without users.

        The error is that of this dataset's mean effect as an estimate of the mean over all such.
        """
        n, without, with_it, squares = self._sums[key]
        if n == 0:
            return {"users": 0, **dict.fromkeys(("without", "with", "effect", "error"))}
        effect = (with_it - without) / n
        return {
            "users": int(n),
            "without": without / n,
            "with": with_it / n,
            "effect": effect,
            "error": float(np.sqrt(max(squares / n - effect**2, 0.0) / n)),
        }

    def write(self, path: Path, *, events: int) -> None:
        """Write the document."""
        document = {
            "spec": "media",
            "arguments": {**asdict(self.world), "start": self.world.start.isoformat()},
            "events": events,
            "users": _users(),
            "seasonality": _seasonality(),
            "visits": _visits(),
            "chain": _chain(),
            "values": _values(),
            "churn": _churn(),
            "retention": self._retention(),
            "experiment": self._experiment(),
            "adoption": self._adoption(),
            "rollout": self._rollout(),
            "drift": self._drift(),
        }
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def _retention(self) -> dict[str, Any]:
        return {
            "is": "expected share with an event on day k after the UTC day of the signup, over "
            "users who sign up in the log and whose day k lies in it; where there are none, "
            "over all who sign up in it",
            "curve": retention_curve(self.world.start, self.timeline).tolist(),
        }

    def _day(self, day: int) -> dict[str, Any]:
        at: date = self.world.start + timedelta(days=day)
        return {"day": day, "date": at.isoformat()}

    def _experiment(self) -> dict[str, Any]:
        return {
            "experiment_id": p.EXPERIMENT_ID,
            "start": self._day(self.timeline.experiment),
            "assignment": {"control": 1 - p.TREATED_SHARE, "treatment": p.TREATED_SHARE},
            "unit": "user, independently; exposed at the first visit on or after the start, and "
            "tagged on every event from then on; treated from then to the end of the log",
            "exposed": {name: self._counts[name] for name in ("exposed", *p.VARIANTS)},
            "planted": {
                "plays": f"mean plays of a visit times {p.TREATED_PLAYS}, for everybody",
                "converted": "probability of a purchase after add_to_cart times "
                f"{p.TREATED_BUYS} where device_type is {p.TREATED_BUYERS}, unchanged elsewhere",
                "revenue": "follows the purchases; prices unchanged",
                "retained": "null, exactly",
            },
            "play_factor": p.TREATED_PLAYS,
            "buy_factor": {d: p.TREATED_BUYS if d == p.TREATED_BUYERS else 1.0 for d in p.DEVICES},
            "null_metrics": ["retained"],
            "windows": METRICS,
            "effects_are": "means over exposed users whose window lies in the log, of each user's "
            "outcome under treatment less that under control, both drawn by the same random "
            "numbers; the per-user truth holds both; `error` is the standard error of this mean as "
            "an estimate of the same in all datasets of these parameters",
            "effects": {
                metric: {
                    segment: self._effect("experiment", metric, segment)
                    for segment in ("all", *p.DEVICES)
                }
                for metric in METRICS
            },
        }

    def _adoption(self) -> dict[str, Any]:
        return {
            "attribute": "uses_playlists",
            "launch": self._day(self.timeline.adoption),
            "model": {
                "form": "logit P(adopt) = intercept + log_visits * ln(1 + visits of the "
                f"{p.ADOPTION_HISTORY_DAYS} days before the launch) + device_type + "
                "acquisition_channel; only for users with such a visit; decided on the day of the "
                "launch, whether they come back or not",
                "intercept": p.ADOPTION_INTERCEPT,
                "log_visits": p.ADOPTION_LOG_VISITS,
                "device_type": _by(p.DEVICES, p.DEVICE_ADOPTION),
                "acquisition_channel": _by(p.CHANNELS, p.CHANNEL_ADOPTION),
            },
            "offered": self._counts["offered"],
            "adopters": self._counts["adopters"],
            "play_factor": p.ADOPTED_PLAYS,
            "outcome": f"plays in the {p.ADOPTION_OUTCOME_DAYS} days from the day after the launch",
            "effects": {
                "offered": self._effect("adoption", "everybody"),
                "adopters": self._effect("adoption", "adopters"),
            },
        }

    def _rollout(self) -> dict[str, Any]:
        waves = [
            {
                "countries": [
                    c for c, w in zip(p.COUNTRIES, p.COUNTRY_WAVE, strict=True) if w == n
                ],
                "start": self._day(day),
                "effect": self._effect("rollout", str(n)),
            }
            for n, day in enumerate(self.timeline.waves)
        ]
        never = [c for c, w in zip(p.COUNTRIES, p.COUNTRY_WAVE, strict=True) if w == p.NEVER]
        return {
            "play_factor": p.ROLLED_PLAYS,
            "waves": waves,
            "never": never,
            "outcome": f"plays in the {p.ROLLOUT_OUTCOME_DAYS} days from the country's day, of "
            "users who had signed up before it",
            "parallel_trends": "countries differ by a constant factor on visits, so trends are "
            "parallel in logarithms; each wave pairs two countries of equal share whose factors "
            "average 1, so waves are parallel in levels too",
        }

    def _drift(self) -> dict[str, Any]:
        return {
            "start": self._day(self.timeline.drift),
            "play_seconds_factor": p.DRIFTED_SECONDS,
            "signup_channels": {
                "before": _by(p.CHANNELS, p.CHANNEL_SHARE),
                "after": _by(p.CHANNELS, p.DRIFTED_CHANNEL_SHARE),
            },
        }


def _by(names: tuple[str, ...], values: Any) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _users() -> dict[str, Any]:
    return {
        "signed_up_before_the_log": p.ALREADY_HERE,
        "lead_days": p.LEAD_DAYS,
        "country": {
            name: {
                "share": p.COUNTRY_SHARE[at],
                "visit_factor": float(p.COUNTRY_LEVEL[at]),
                "utc_offset_hours": float(p.UTC_OFFSET_HOURS[at]),
            }
            for at, name in enumerate(p.COUNTRIES)
        },
        "device_type": _by(p.DEVICES, p.DEVICE_SHARE),
        "acquisition_channel": _by(p.CHANNELS, p.CHANNEL_SHARE),
        "activity": {"gamma_shape": p.ACTIVITY_SHAPE, "mean": 1.0},
        "buy_chance": {"form": "most * Beta(a, b)", "most": p.BUY_MOST, "beta": p.BUY_SHAPE},
    }


def _seasonality() -> dict[str, Any]:
    return {
        "weekdays": p.WEEKDAYS.tolist(),
        "weekdays_are": "factors on visits by UTC weekday, Monday first, mean 1",
        "hours": (p.HOURS / p.HOURS.sum()).tolist(),
        "hours_are": "share of visits that begin in each local hour (UTC plus the country's "
        "offset), before visits closer than 31 minutes are moved apart within their day",
    }


def _visits() -> dict[str, Any]:
    return {
        "per_day": p.VISITS_PER_DAY,
        "negative_binomial": {
            "of": "a user's number of visits (sessions) over any set of days after the signup day "
            "on which the user is there, in a country, whatever the other covariates",
            "size": p.ACTIVITY_SHAPE,
            "mean": "per_day * country's visit_factor * sum of the days' weekday factors",
        },
        "on_the_signup_day": 1,
    }


def _chain() -> dict[str, Any]:
    states = ["start", *p.EVENT_NAMES, "end"]
    inside = event_chances()
    rows = [[0.0, *p.START_CHANCE.tolist(), 0.0]]
    rows += [[0.0, *row] for row in inside.tolist()]
    rows.append([0.0] * (len(states) - 1) + [1.0])
    return {
        "states": states,
        "transitions": rows,
        "events_per_visit": _by(p.EVENT_NAMES, expected_events()),
        "holds": "exactly, to first order, within a visit on which nothing acts; add_to_cart to "
        "purchase is the mean over people",
        "under_a_play_factor": "play to play is 1 - (1 - p) / factor and the rest of that row "
        "shrinks in proportion; factors of what acts multiply",
        "under_a_buy_factor": "add_to_cart to purchase is multiplied and the rest of that row "
        "shrinks in proportion",
    }


def _values() -> dict[str, Any]:
    return {
        "form": "log-normal: median, standard deviation of the logarithm, largest",
        "play_seconds": {"median": p.PLAY_SECONDS, "sigma": p.PLAY_SIGMA, "most": p.PLAY_MOST},
        "price": {"median": p.PRICE, "sigma": p.PRICE_SIGMA},
        "step_seconds": {
            "form": "least plus exponential of this mean, at most `most`; of a whole run of plays, "
            "and of add_to_cart with its purchase; plays of a run share it evenly",
            "mean": _by(p.EVENT_NAMES, p.STEP_SECONDS),
            "least": p.STEP_LEAST,
            "most": p.STEP_MOST,
        },
    }


def _churn() -> dict[str, Any]:
    return {
        "form": "P(there on day t after the signup day) = exp(-H(t) * exp(channel + device)), H "
        "rising by `early` a day to day `early_days` and by `late` a day from then on",
        "early_days": p.EARLY_DAYS,
        "early": p.EARLY_HAZARD,
        "late": p.LATE_HAZARD,
        "log_hazard_ratio": {
            "acquisition_channel": _by(p.CHANNELS, p.CHANNEL_LOG_HAZARD),
            "device_type": _by(p.DEVICES, p.DEVICE_LOG_HAZARD),
        },
        "before_the_log": "users who signed up before the log are those still there on its first "
        "day; their lifetimes are drawn given that",
    }
