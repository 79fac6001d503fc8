"""Trainings on what shops really have: refunds, weeks without anybody, buyers who mostly return."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.pictures import no_pictures
from tests.support.purchases import SPEC
from whyrank.errors import DataError
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.pipeline.train import Training, train
from whyrank.spec.load import parse_spec
from whyrank.spec.model import Spec
from whyrank.tracking import open_store
from whyrank.warehouse.open import open_warehouse

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("odd-logs")]
START, CUTOFF, USERS = datetime(2024, 1, 1), date(2024, 5, 1), 400
FROM, TO = pd.Timestamp(CUTOFF), pd.Timestamp(CUTOFF) + timedelta(days=30)


def orders(seed: int, *, again: float) -> pd.DataFrame:
    """Orders of 150 days: a first one each, and in each month a share of users orders again."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 60, USERS)
    rows = [(f"c{user}", START + timedelta(days=int(day)), 20.0) for user, day in enumerate(first)]
    for month in range(5):
        for user in np.flatnonzero((rng.random(USERS) < again) & (first < 30 * month)):
            day = timedelta(days=30 * month + int(rng.integers(0, 30)), hours=1)
            rows.append((f"c{user}", START + day, float(rng.integers(5, 90))))
    rows.append(("last", START + timedelta(days=151), 20.0))
    return pd.DataFrame(rows, columns=["user_id", "event_time", "value"])


def trained(
    log: pd.DataFrame, folder: Path, candidates: list[str], text: str = SPEC
) -> tuple[Training, list[str], Spec]:
    """Load the log, build, and train with one fold; return what was said as well."""
    log.assign(event_name="order", device="web").to_csv(folder / "orders.csv", index=False)
    spec = parse_spec(text.replace('name = "shop"', 'name = "odd"', 1), "odd.toml")
    warehouse = open_warehouse(f"duckdb:///{folder}/w.duckdb")
    ingest(spec, warehouse, events=folder / "orders.csv")
    build(spec, warehouse)
    said: list[str] = []
    with no_pictures():
        made = train(
            spec, warehouse, open_store(home=folder / "mlflow"),
            as_of=CUTOFF, folds=1, candidates=candidates, n_boot=40, log=said.append,
        )  # fmt: skip
    return made, said, spec


def test_refunds_that_exceed_purchases_are_a_spend_of_nothing(tmp_path: Path) -> None:
    """A refund is an order with a minus, of more than was ordered in that month.

    The month before the cutoff is the outcome of two folds, and is said once.
    """
    log = orders(1, again=0.2)
    april = log[(log["event_time"] >= FROM - timedelta(days=30)) & (log["event_time"] < FROM)]
    may = log[(log["event_time"] >= FROM) & (log["event_time"] < TO)]
    counts = {date(2024, 4, 1): (april, 4), CUTOFF: (may, 7)}
    sent_back = pd.concat(
        [month.drop_duplicates("user_id").iloc[:users] for month, users in counts.values()]
    )
    refunds = sent_back.assign(
        value=-500.0, event_time=sent_back["event_time"] + timedelta(minutes=1)
    )
    made, said, _ = trained(pd.concat([log, refunds]), tmp_path, ["logistic"])
    assert made.comparison.last_fold.keys() >= {"scorecard", "logistic"}
    lines = sorted(line for line in said if "refunds" in line)
    assert [line.partition(" users")[0] for line in lines] == [
        f"as of {day}: the refunds of {users}" for day, (_, users) in counts.items()
    ]


def test_snapshots_in_which_nobody_is_in_the_population_are_left_out(tmp_path: Path) -> None:
    """Leads of campaigns: the population is who ordered in the last days, and in spring nobody."""
    log = orders(2, again=0.6)
    quiet = (log["event_time"] >= datetime(2024, 2, 20)) & (
        log["event_time"] < datetime(2024, 3, 10)
    )
    text = SPEC.replace('where = "orders > 0"', 'where = "since_last < 7"')
    text = text.replace('every = "30d"', 'every = "14d"')
    made, said, spec = trained(log[~quiet], tmp_path, ["logistic"], text)
    (fold,) = made.backtest.folds
    every = timedelta(days=int(spec.training.snapshot_every.removesuffix("d")))
    asked = [CUTOFF - timedelta(days=30) - every * n for n in range(spec.training.snapshots)]
    nobody = [day for day in asked if date(2024, 2, 28) <= day <= date(2024, 3, 10)]
    assert nobody
    assert fold.train == tuple(sorted(set(asked) - set(nobody)))
    (line,) = [line for line in said if "nobody was in the population" in line]
    named = {date.fromisoformat(text) for text in line.rpartition(": ")[2].split(", ")}
    assert named >= set(nobody)  # others are those of the calibration fold
    assert all(date(2024, 2, 28) <= day <= date(2024, 3, 10) for day in named)


def test_a_fold_without_anybody_to_learn_from_is_refused_before_anything_is_fitted(
    tmp_path: Path,
) -> None:
    log = orders(3, again=0.3)
    late = log[log["event_time"] >= datetime(2024, 4, 15)]
    early = log[log["event_time"] < datetime(2024, 1, 5)]
    text = SPEC.replace('where = "orders > 0"', 'where = "since_last < 7"')
    with pytest.raises(DataError, match="nobody was in the population as of 2024-0"):
        trained(pd.concat([early, late]), tmp_path, ["logistic"], text)


@pytest.mark.parametrize(("again", "kept"), [(0.6, False), (0.05, True)])
def test_oversampling_that_would_add_nothing_is_not_compared(
    tmp_path: Path, again: float, kept: bool
) -> None:
    made, said, _ = trained(orders(4, again=again), tmp_path, ["logistic", "logistic_smote"])
    assert ("logistic_smote" in made.comparison.last_fold) == kept
    lines = [line for line in said if "is left out: SMOTE adds positives up to 0.2" in line]
    assert len(lines) == 1 - kept
    assert {pair.first for pair in made.comparison.matched_pairs} == (
        {"logistic_smote"} if kept else set()
    )
