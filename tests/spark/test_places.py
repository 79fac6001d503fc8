"""Places in a ranking that is spread over many parts, against the same in memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from whyrank.ranking.disagreements import _share_below
from whyrank.ranking.distributed_rank import shares_below, with_ranks
from whyrank.training.spark import HALF, _tallies, half_of
from whyrank.warehouse.engines.spark.session import SparkConnection, slots

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark-parity")]
N = 5000


@pytest.fixture(scope="module")
def users() -> pd.DataFrame:
    """Users in no order, many with the same key."""
    rng = np.random.default_rng(11)
    return pd.DataFrame(
        {
            "user_id": [f"u{n:05d}" for n in rng.permutation(N)],
            "hundredths": rng.choice([0, 1200, 1201, 9999, 10_000], N).astype(np.int32),
            "raw_score": np.round(rng.normal(size=N), 2),
        }
    )


@pytest.mark.parametrize("key", ["raw_score", "hundredths"])
def test_places_are_those_of_one_sort(
    spark: SparkConnection, users: pd.DataFrame, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a key is that of more users than a part holds: hundredths have five values."""
    monkeypatch.setattr("whyrank.ranking.distributed_rank.ROWS_PER_PARTITION", N // 7)
    made = with_ranks(spark.session.createDataFrame(users), key)
    parts = made.rdd.mapPartitions(lambda rows: [sum(1 for _ in rows)]).collect()
    assert len(parts) == 8
    assert max(parts) < N / 6  # a fifth of users have one key
    found = made.toPandas().sort_values("place")
    expected = users.sort_values([key, "user_id"], ascending=[False, True])
    assert found["place"].tolist() == list(range(1, N + 1))
    assert found["user_id"].tolist() == expected["user_id"].tolist()
    assert found["decile"].tolist() == [place * 10 // N + 1 for place in range(N)]
    assert found["below"].tolist() == _share_below(expected[key].to_numpy()).tolist()


def test_rare_texts_are_counted_together(
    spark: SparkConnection, users: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two most frequent by themselves, null as an empty text; the rest as one without name."""
    monkeypatch.setattr("whyrank.training.spark.MOST_TEXTS", 2)
    rng = np.random.default_rng(12)
    texts = {
        "text": (["web", "app", "mail", None], [0.5, 0.1, 0.15, 0.25], {"web", ""}),
        "place": (["", "x", "y"], [0.2, 0.5, 0.3], {"x", "y"}),  # called as the tally's own column
    }
    rows = users.assign(_part=np.arange(N) % 5, label=rng.integers(0, 2, N))
    for name, (values, shares, _) in texts.items():
        rows[name] = rng.choice(np.array(values, dtype=object), N, p=shares)
    frame = spark.session.createDataFrame(rows[[*texts, "_part", "label"]])
    counts, tallies = _tallies(frame, list(texts))
    assert counts == (N, int(rows["label"].sum()))
    for name, (_, _, kept) in texts.items():
        said = rows[name].fillna("")
        grouped = rows["label"].groupby([said.where(said.isin(kept), "rest"), rows["_part"]])
        expected = [
            (None if text == "rest" else text, part, len(labels), int(labels.sum()))
            for (text, part), labels in grouped
        ]
        assert sorted(tallies[name], key=str) == sorted(expected, key=str)
        assert len(tallies[name]) == 15
    assert _tallies(frame, []) == (counts, {})


def test_shares_below_a_point(spark: SparkConnection, users: pd.DataFrame) -> None:
    shares = np.array(shares_below(spark.session.createDataFrame(users)))
    points = users["hundredths"].to_numpy().astype(np.int64)
    assert shares[points].tolist() == pytest.approx(_share_below(points).tolist(), abs=1e-12)


def test_the_cluster_deals_users_to_halves_as_the_driver_does(
    spark: SparkConnection, users: pd.DataFrame
) -> None:
    found = spark.session.createDataFrame(users).selectExpr("user_id", f"{HALF} as half").toPandas()
    expected = half_of(pa.chunked_array([found["user_id"].tolist()]))
    assert found["half"].tolist() == expected.tolist()
    # Within five standard deviations of half of them.
    assert abs(int(expected.sum()) - N / 2) < 5 * np.sqrt(N / 4)


def test_slots_are_the_cores_of_the_workers(spark: SparkConnection) -> None:
    assert slots(spark.session) == 2
