"""The registered models as others load them: frames of published features in, scores out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from tests.support.shops import Shop
from whyrank.errors import DataError
from whyrank.pipeline.score import score
from whyrank.scorer import signed
from whyrank.tracking import fetch_scorer, registered
from whyrank.tracking.client import using
from whyrank.warehouse.publish import read_published

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("train")]


@pytest.fixture(scope="module")
def model(shop: Shop) -> PyFuncModel:
    """The registered xgboost, loaded as anybody loads a model of MLflow's."""
    with using(shop.store) as ml:
        return ml.pyfunc.load_model(f"models:/{registered('shop')}/{version_of(shop, 'xgboost')}")


def version_of(shop: Shop, name: str) -> int:
    found = fetch_scorer(shop.store, "shop", name)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def snapshot(shop: Shop) -> pd.DataFrame:
    """The features as they are published, whole numbers as whole numbers."""
    published = read_published(shop.warehouse, "shop")
    frame = pd.read_parquet(published.snapshot(published.as_of_dates[-1]))
    assert frame["orders"].dtype == frame["visits"].dtype == "int64"
    return frame


def test_a_version_takes_what_is_published_and_gives_what_score_writes(
    shop: Shop, model: PyFuncModel, snapshot: pd.DataFrame, tmp_path: Path
) -> None:
    found = model.predict(snapshot, params={"user_id": True}).set_index("user_id")
    for name, column in (("xgboost", "score"), ("scorecard", "points")):
        made = score(
            shop.spec, shop.warehouse, store=shop.store, scorer=name, everyone=True,
            out=tmp_path / f"{name}.csv",
        )  # fmt: skip
        written = pd.read_parquet(made.all_scores).set_index("user_id")["score"]
        assert len(written) == len(found) == len(snapshot)
        assert np.allclose(found[column], written.loc[found.index])
    listed = {user.user_id: user for user in made.users}
    for user_id, row in found.loc[list(listed)].iterrows():
        told = [each for each in json.loads(row["reasons_json"]) if each["by"] == "scorecard"]
        said = [str(reason) for reason in listed[str(user_id)].reasons]
        assert [f"{each['text']}, {signed(each['amount'])}" for each in told] == said
        assert {each["unit"] for each in told} == {"points"}
        assert sum(each["amount"] for each in told) == pytest.approx(row["points"], abs=0.011)
    assert not found["flags"].any()


def test_a_version_leaves_reasons_out_when_it_is_told_to(
    model: PyFuncModel, snapshot: pd.DataFrame
) -> None:
    few = snapshot.head(20)
    whole, short = model.predict(few), model.predict(few, params={"reasons": False})
    assert whole["reasons"].all()
    assert set(short["reasons"]) == {""}
    assert set(short["reasons_json"]) == {"[]"}
    rest = ["score", "label", "probability", "points", "flags"]
    assert whole[rest].equals(short[rest])
    assert list(short.columns) == list(whole.columns)


def test_a_version_flags_what_cannot_be_and_names_the_column_that_is_not_there(
    model: PyFuncModel, snapshot: pd.DataFrame
) -> None:
    few = snapshot.head(3).copy()
    few["orders"], few["days_since_last"] = [-3, 2, 2], [4, -1, 5]
    assert model.predict(few)["flags"].tolist() == [
        "orders = -3 is below 0", "days_since_last = -1 is below 0", "",
    ]  # fmt: skip
    nothing = pd.DataFrame({name: [None] for name in snapshot.columns})
    assert model.predict(nothing)["flags"].tolist() == ["every feature is null"]
    few["visits"] = ["1", "many", "2"]
    for frame, said in (
        (snapshot.drop(columns="visits"), "'visits'"),
        (snapshot[["orders"]], "'repeats'"),
        (few, "'visits': 'many' is not a number"),
    ):
        with pytest.raises(DataError, match=said) as refused:
            model.predict(frame)
        assert len(str(refused.value)) < 100
    with pytest.raises(DataError, match="'user_id'"):
        model.predict(snapshot.drop(columns="user_id"), params={"user_id": True})
