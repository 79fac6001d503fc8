"""Training and scoring on a cluster: the same kind of scorer, the same ranks, from all users."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import t as student_t

from tests.support.csv_rows import csv_rows
from whyrank.models.candidates import Trainer
from whyrank.models.encoding import fit_encoding
from whyrank.models.kinds.base import TrainingData
from whyrank.pipeline.score import explain, score
from whyrank.published.sample import in_sample
from whyrank.published.snapshot import Snapshot
from whyrank.tracking import promote
from whyrank.training.datasets import read_labelled, stack
from whyrank.training.spark import _target_encoding, half_of
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.engines.spark.warehouse import SparkWarehouse

from .worlds import Learned

pytestmark = [
    pytest.mark.spark,
    pytest.mark.xdist_group("spark-learned"),
    pytest.mark.usefixtures("shared"),
]


def test_all_users_were_learned_from_and_a_sample_was_compared(learned: Learned) -> None:
    here, there = learned.scorer("here"), learned.scorer("there")
    assert there.about.users == here.about.users
    assert there.about.positives == here.about.positives
    assert there.encoding.numeric == here.encoding.numeric
    for one, other in zip(here.encoding.target_encoded, there.encoding.target_encoded, strict=True):
        assert other.worth == pytest.approx(one.worth)
        assert other.other == pytest.approx(one.other)
    bound = learned.trained["there"].backtest.published.info.sampled_below
    test = learned.trained["here"].backtest.folds[-1].cutoff
    here_snapshot = learned.trained["here"].backtest.published.snapshot(test)
    with duckdb.connect() as con:
        expected = con.execute(
            f"select user_id from '{here_snapshot}' where in_population and "
            f"{in_sample('user_id', bound)} order by user_id"
        ).fetchall()
    part = read_labelled(learned.spec, learned.trained["there"].backtest, test)
    assert [(user,) for user in part.table.user_ids.to_pylist()] == expected
    assert 0 < len(expected) < here.about.users


def test_every_leakage_check_passes_on_the_sample(learned: Learned) -> None:
    assert [s.name for s in learned.trained["there"].leakage_checks if not s.passed] == []
    assert len(learned.trained["there"].leakage_checks) == 6


def test_what_texts_are_worth_is_what_the_encoder_of_one_machine_says() -> None:
    rng = np.random.default_rng(5)
    n = 900
    texts = rng.choice(["web", "app", ""], n, p=[0.6, 0.3, 0.1])
    labels = rng.random(n) < np.where(texts == "web", 0.1, 0.3)
    column = pa.array([text or None for text in texts])
    table = Snapshot(pa.table({"device": column}))
    encoding, _ = fit_encoding(table, labels, np.arange(n), numeric=(), categorical=("device",))
    tally = [
        (text, part, int(inside.sum()), int(labels[inside].sum()))
        for text in ("web", "app", "")
        for part in range(5)
        if (inside := (texts == text) & (np.arange(n) % 5 == part)).any()
    ]
    found = _target_encoding("device", tally)
    assert found.worth == pytest.approx(encoding.target_encoded[0].worth)
    assert found.other == pytest.approx(encoding.target_encoded[0].other)


def test_the_same_users_come_first_within_what_a_seed_changes(learned: Learned) -> None:
    """The overlap of the top tenth, and the correlation of ranks, with ten fits of other seeds.

    How alike one more seed is to those ten is foretold by how alike each of them is to the rest
    (a t interval that one of 2,000 falls below). All encode texts by the same five parts of users,
    whose choice alone changes ranks more than seeds do. Half of the users give a fit that falls
    out: the interval is narrow enough to tell.
    """
    backtest = learned.trained["here"].backtest
    fold = backtest.folds[-1]
    read = [read_labelled(learned.spec, backtest, day) for day in fold.train]
    data, table = stack(read), read_labelled(learned.spec, backtest, fold.cutoff).table
    users = pa.chunked_array([chunk for each in read for chunk in each.table.user_ids.chunks])
    data = replace(data, users=parts_there(learned.there, users))

    def fitted(seed: int, data: TrainingData) -> np.ndarray:
        plan = replace(backtest.plan, about=replace(backtest.plan.about, seed=seed))
        return Trainer(plan, data).fit("xgboost").raw_score(table)

    seeds = [fitted(seed, data) for seed in range(10)]
    n = len(seeds)
    pairs = np.array([[alike(one, other) for one in seeds] for other in seeds])  # 1 with itself
    rest = (pairs.sum(axis=0) - 1.0) / (n - 1)
    width = student_t.ppf(1 - 1 / 2000, n - 1) * rest.std(axis=0, ddof=1) * np.sqrt(1 + 1 / n)
    lowest = rest.mean(axis=0) - width

    def found(raw_score: np.ndarray) -> np.ndarray:
        return np.mean([alike(raw_score, seed) for seed in seeds], axis=0)

    there = found(learned.scorer("there").raw_score(table))
    assert (there >= lowest).all(), (there, lowest, rest)
    half = half_of(users) == 0
    halved = TrainingData(
        stack([each.take(half_of(each.table.user_ids) == 0) for each in read]).table,
        data.labels[half], data.users[half], data.latest[half],
    )  # fmt: skip
    assert (found(fitted(0, halved)) < lowest).all()


def parts_there(warehouse: Warehouse, users: pa.ChunkedArray) -> np.ndarray:
    """Return the part by which each user's texts are encoded on the cluster, by Spark itself."""
    assert isinstance(warehouse, SparkWarehouse)
    with warehouse.session() as session:
        listed = session.createDataFrame([(user,) for user in set(users.to_pylist())], "u string")
        part = dict(listed.selectExpr("u", "pmod(xxhash64(u), 5)").collect())
    return np.array([part[user] for user in users.to_pylist()])


def alike(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the share of the top tenth in common, and the correlation of ranks."""
    ranks = [np.argsort(np.argsort(-each, kind="stable"), kind="stable") for each in (one, other)]
    tenth = len(one) // 10
    common = float(((ranks[0] < tenth) & (ranks[1] < tenth)).sum()) / tenth
    return common, float(np.corrcoef(ranks[0], ranks[1])[0, 1])


@pytest.mark.parametrize(
    ("trained", "name"),
    [
        ("here", "xgboost"),
        ("there", "xgboost"),
        ("here", "recency"),  # days, which many users share
        ("there", "scorecard"),  # points alone
        ("here", "champion"),  # the scorecard, with probabilities and a learned scorer beside it
    ],
)
def test_a_given_scorer_ranks_and_scores_the_same_on_both(
    learned: Learned, tmp_path: Path, trained: str, name: str
) -> None:
    store, day = learned.stores[trained], learned.trained["here"].backtest.folds[-1].cutoff
    if name == "champion":
        promote(store, learned.spec.name, learned.trained[trained].run, "scorecard")
    found, told = {}, {}
    for place, warehouse in (("here", learned.here), ("there", learned.there)):
        out = tmp_path / place / "top_users.csv"
        found[place] = score(
            learned.spec, warehouse, as_of=day, top=15, out=out, scorer=name, store=store
        )
        user = found["here"].users[4].user_id
        told[place] = explain(learned.spec, warehouse, user, as_of=day, scorer=name, store=store)
    here, there = found["here"], found["there"]
    assert here.scorer == there.scorer
    assert (name == "scorecard") == (here.propensities is None)
    assert check_same(tmp_path, here.all_scores, there.all_scores) == here.population
    assert (here.labels, here.population) == (there.labels, there.population)
    if name in {"xgboost", "champion"}:
        lines = (tmp_path / "there" / "reasons.csv").read_text().splitlines()
        assert len(lines) > 15 * len(learned.spec.scorecard.terms) / 2
    # The usual points are told by other users, as the driver reads a sample.
    one, other = (replace(told[place].user, agreement=None) for place in ("here", "there"))
    assert one == other
    assert told["here"].population == told["there"].population
    assert told["here"].features == told["there"].features


def check_same(folder: Path, one: Path, other: Path) -> int:
    """Compare everybody's scores and probabilities, and the listed users' rows; return how many
    stand.
    """
    listed = "rank, user_id, score, label"
    with duckdb.connect() as con:
        here = con.execute(f"describe from '{one}'").fetchall()
        if "probability" in {row[0] for row in here}:
            listed += ", probability, scorecard_score"
        rows = [
            con.execute(f"select {listed} from '{path}' order by rank").fetchall()
            for path in (one, other / "*.parquet")
        ]
        assert rows[0] == rows[1]
        if "probability" in listed:
            probabilities = folder / "here" / "user_propensity_scores.csv"
            spent = [
                con.execute(
                    "select user_id, round(try_cast(expected_spend as double), 2), decile "
                    f"from '{path}' order by 1"
                ).fetchall()
                for path in (probabilities, other / "*.parquet")
            ]
            assert spent[0] == spent[1]
    for name in ("top_users.csv", "reasons.csv", "disagreements.csv"):
        both = [folder / place / name for place in ("here", "there")]
        assert both[0].exists() == both[1].exists()
        if both[0].exists():
            lists = [csv_rows(path) for path in both]
            for row in (*lists[0], *lists[1]):
                row.pop("agreement", None)  # by the usual points
                row.pop("run_id", None)
            assert lists[0] == lists[1]
            assert len(lists[0]) == 15 or name == "reasons.csv"
    return len(rows[0])
