"""A media world read back from its files, as arrays, and the bands it is judged by.

A band is five standard errors on either side, or a chi-square tail of the same chance: 5.7e-7 a
comparison for a world that is as it says. Fewer than 174 comparisons (those of test_media_truth.py
are counted there, test_media_effects.py makes a dozen) keep all of them together below 1e-4.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import stats

from whyrank.events.synthetic.world import Generated

NAMES = ["view", "search", "play", "add_to_cart", "purchase", "like"]
VIEW, SEARCH, PLAY, CART, PURCHASE, LIKE = range(6)
DEVICES = ["mobile", "desktop", "tv"]
DAY = 86_400_000_000
Z = 5.0
TAIL = 2 * stats.norm.sf(Z)
MOST_CHANCE = 1e-4

scores: list[float] = []  # of all comparisons in this process: standard normal, if all is right


@dataclass(frozen=True)
class Log:
    """Events by user, visit and time; `users` and `truth` in the order of users, from 0.

    `time` is microseconds since the first day; `name` a position in NAMES, `variant` -1 for none.
    """

    made: Generated
    planted: dict[str, Any]
    users: pd.DataFrame
    truth: pd.DataFrame
    user: NDArray[np.int64]
    visit: NDArray[np.int64]
    time: NDArray[np.int64]
    name: NDArray[np.int64]
    value: NDArray[np.float64]
    variant: NDArray[np.int64]

    @cached_property
    def day(self) -> NDArray[np.int64]:
        return self.time // DAY

    @cached_property
    def first(self) -> NDArray[np.bool_]:
        """Whether an event begins a visit."""
        return np.diff(self.visit, prepend=-1) != 0

    @cached_property
    def plays(self) -> NDArray[np.intp]:
        """Where the plays are."""
        return np.flatnonzero(self.name == PLAY)

    @cached_property
    def begins_run(self) -> NDArray[np.bool_]:
        """Whether each of `plays` begins a run: not straight after another play of the visit."""
        return self.first[self.plays] | (self.name[self.plays - 1] != PLAY)

    def runs(self, chosen: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Plays of each user, and runs of plays, among the chosen events."""
        kept = chosen[self.plays]
        user, n = self.user[self.plays[kept]], len(self.truth)
        return np.bincount(user, minlength=n), np.bincount(user, self.begins_run[kept], n)

    def since_start(self, column: str) -> NDArray[np.float64]:
        """A time of the truth in microseconds since the first day; infinite where null."""
        start = pd.Timestamp(self.made.start, tz="UTC")
        delta = (self.truth[column] - start) / pd.Timedelta(1, "us")
        return delta.fillna(np.inf).to_numpy()

    def per_user(self, chosen: NDArray[np.bool_], weight: Any = None) -> NDArray[np.float64]:
        """Count (or sum the weight of) the chosen events of each user."""
        given = np.ones(len(self.user)) if weight is None else weight
        return np.bincount(self.user[chosen], given[chosen], minlength=len(self.truth))

    def within(self, name: int, low: Any, high: Any) -> NDArray[np.bool_]:
        """Whether an event has this name and lies in its user's [low, high), microseconds."""
        at_low, at_high = (np.broadcast_to(x, len(self.truth))[self.user] for x in (low, high))
        return (self.name == name) & (self.time >= at_low) & (self.time < at_high)


def read_log(made: Generated) -> Log:
    """Read a world that was written as Parquet."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        names = ", ".join(f"'{name}'" for name in NAMES)
        found = con.execute(f"""
            select cast(user_id[2:] as bigint) - 1 as user, cast(session_id[2:] as bigint) as visit,
                epoch_us(event_time) - epoch_us(date '{made.start}'::timestamp) as time,
                list_position([{names}], event_name) - 1 as name, value,
                case variant when 'control' then 0 when 'treatment' then 1 else -1 end as variant
            from read_parquet('{made.events}')
        """).fetchnumpy()
    # visits are numbered by user and time; stable, for the log is in order of time
    order = np.argsort(np.asarray(found["visit"]), kind="stable")
    columns = {name: np.asarray(column)[order] for name, column in found.items()}
    columns["value"] = np.ma.filled(found["value"], np.nan)[order]
    for name in ("user", "visit", "time", "name", "variant"):
        columns[name] = columns[name].astype(np.int64)
    assert made.world is not None
    users = pq.read_table(made.users).to_pandas()
    return Log(
        made,
        json.loads(Path(made.world).read_text()),
        users.drop_duplicates("user_id").reset_index(drop=True),
        pq.read_table(made.truth).to_pandas(),
        **columns,
    )


def near(found: float, expected: float, error: float, what: str = "") -> None:
    """Assert that a figure is within five standard errors of what was planted."""
    scores.append((found - expected) / error)
    assert abs(found - expected) < Z * error, (
        f"{what}: {found:.5g} is {abs(found - expected) / error:.1f} standard errors from "
        f"{expected:.5g}"
    )


def likely(observed: Any, expected: Any, *, fitted: int = 0, what: str = "") -> None:
    """Assert by chi-square that counts are as expected; fitted -1: totals may differ by chance."""
    observed, expected = np.asarray(observed, float), np.asarray(expected, float)
    assert expected.min() > 5, f"{what}: a count of {expected.min():.1f} is expected; pool some"
    statistic = ((observed - expected) ** 2 / expected).sum()
    chance = stats.chi2.sf(statistic, len(observed) - 1 - fitted)
    scores.append(float(stats.norm.isf(chance)))
    assert chance > TAIL, f"{what}: a chance of {chance:.1e}: {observed} against {expected}"


def mean_of(x: Any) -> tuple[float, float]:
    """The mean and its standard error."""
    x = np.asarray(x, float)
    return float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x)))


def ratio_of(top: Any, bottom: Any) -> tuple[float, float]:
    """A ratio of sums over users and its standard error, users being the independent units."""
    ratio = top.sum() / bottom.sum()
    return float(ratio), float(np.sqrt(((top - ratio * bottom) ** 2).sum()) / bottom.sum())


def log_ratio_of(top: Any, bottom: Any) -> tuple[float, float]:
    """The logarithm of a ratio of sums over users and its standard error (delta method)."""
    ratio, error = ratio_of(top, bottom)
    return float(np.log(ratio)), error / ratio
