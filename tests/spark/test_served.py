"""A registered model as a function of a Spark frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from whyrank.tracking import fetch_scorer, registered
from whyrank.tracking.client import using

from .worlds import Learned

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark-learned")]


def test_a_version_is_a_function_of_what_is_published(
    learned: Learned, shared: SparkSession
) -> None:
    """Every user of a snapshot gets from the workers what a frame of pandas gives here."""
    from pyspark.sql import functions

    store, backtest = learned.stores["here"], learned.trained["here"].backtest
    path = str(backtest.published.snapshot(backtest.folds[-1].cutoff))
    found = fetch_scorer(store, learned.spec.name, "xgboost")
    assert found is not None
    uri = f"models:/{registered(learned.spec.name)}/{found[1]}"
    frame = shared.read.parquet(f"file://{path}").repartition(2)
    assert "bigint" in dict(frame.dtypes).values()
    with using(store) as ml:
        here = ml.pyfunc.load_model(uri).predict(frame.toPandas(), params={"user_id": True})
        told = ml.pyfunc.spark_udf(shared, uri, env_manager="local")
        given = functions.struct(*[functions.col(name) for name in frame.columns])
        scored = frame.select("user_id", told(given).alias("told")).select("user_id", "told.*")
        there = scored.toPandas().set_index("user_id").loc[here["user_id"]]
    assert len(there) == len(here) > 100
    assert list(there.columns) == [name for name in here.columns if name != "user_id"]
    for name in there.columns:
        one, other = there[name].to_numpy(), here[name].to_numpy()
        if one.dtype.kind == "f":
            assert np.allclose(one, other), name
        else:
            assert one.tolist() == other.tolist(), name
    assert here["reasons"].any()
