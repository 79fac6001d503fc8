"""What may stand in a feature: types of every origin, nulls of every kind, nothing infinite."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.support.tables import data, plan
from whyrank.errors import DataError
from whyrank.models.candidates import Trainer
from whyrank.models.encoding import Encoding
from whyrank.models.kinds import CLASSIFIERS
from whyrank.models.kinds.base import TrainingData
from whyrank.published.snapshot import Snapshot
from whyrank.serving import Served
from whyrank.spec.model import Spec

QUICK = {
    "forest": {"n_estimators": 5},
    "boosting": {"max_iter": 5},
    "xgboost": {"n_estimators": 5},
    "lightgbm": {"n_estimators": 5},
}
NUMBERS = ("pricing_views", "account_balance")


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer(plan(), data(1000))


def asked(**changes: list[Any]) -> Snapshot:
    known: dict[str, Any] = {"views": [3.0] * 3, "days": [7.0] * 3, "noise": [0.5] * 3}
    return Snapshot(pa.table({**known, "device": ["web"] * 3, **changes}))


@pytest.mark.parametrize("name", [*CLASSIFIERS, "logistic_smote", "recency"])
def test_an_infinite_value_is_refused_and_a_huge_one_is_not(name: str, trainer: Trainer) -> None:
    scorer = trainer.fit(name, QUICK.get(name))
    column = "days" if name == "recency" else "noise"
    for infinite in (np.inf, -np.inf):
        table = asked(**{column: [1.0, infinite, 2.0]})
        with pytest.raises(DataError, match=f"'{column}': {infinite} in row 1: must be a finite"):
            scorer.score(table)
        if scorer.explains:
            with pytest.raises(DataError, match=f"'{column}': {infinite} in row 1"):
                scorer.contributions(table)
    table = asked(**{column: [1e39, -1e300, None]})
    raw_score = scorer.raw_score(table)
    assert np.isfinite(raw_score).all()
    if scorer.explains:
        found = scorer.contributions(table)
        values, base = np.asarray(found.values), found.base
        away = np.abs(values.sum(axis=1) + base - raw_score)
        assert (away <= 1e-5 * np.maximum(1, np.abs(values).sum(axis=1))).all()


def test_nothing_is_learnt_from_an_infinite_value() -> None:
    known = data(400)
    table = known.table._table  # type: ignore[attr-defined]
    noise = np.where(np.arange(400) == 17, np.inf, 0.0)
    spoilt = Snapshot(table.set_column(table.column_names.index("noise"), "noise", [noise]))
    trainer = Trainer(plan(), TrainingData(spoilt, known.labels, known.users, known.latest))
    with pytest.raises(DataError, match="'noise': inf in row 17"):
        trainer.fit("logistic")


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([True, False, None]), [1.0, 0.0, np.nan]),
        (pa.array([1, -2, None], pa.int8()), [1.0, -2.0, np.nan]),
        (pa.array([2**40, 0, None], pa.int64()), [2.0**40, 0.0, np.nan]),
        (pa.array([1.5, None, np.nan], pa.float64()), [1.5, np.nan, np.nan]),
        (pa.array([1.5, None, 2.0], pa.float32()), [1.5, np.nan, 2.0]),
        (pa.array([Decimal("1.25"), None, Decimal(3)]), [1.25, np.nan, 3.0]),
        (pa.array(["1.5", None, "-2"]), [1.5, np.nan, -2.0]),
        (pa.nulls(3), [np.nan] * 3),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_columns_of_a_snapshot(column: pa.Array, expected: list[float]) -> None:
    found = Encoding(("x",)).matrix(Snapshot(pa.table({"x": column})))
    assert np.array_equal(found[:, 0], np.array(expected, dtype=np.float32), equal_nan=True)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([datetime(2026, 1, 1, tzinfo=UTC)]),
        pa.array([date(2026, 1, 1)]),
        pa.array([timedelta(days=1)]),
        pa.array(["many"]),
        pa.array([[1.0]]),
    ],
    ids=lambda value: str(value.type),
)
def test_columns_that_are_no_numbers(column: pa.Array) -> None:
    with pytest.raises(DataError, match="'x': must hold numbers"):
        Encoding(("x",)).matrix(Snapshot(pa.table({"x": column})))


@pytest.fixture(scope="module")
def served(saas: Spec) -> Served:
    """A scorer of two numbers of the saas spec."""
    rng = np.random.default_rng(0)
    table = Snapshot(pa.table({name: rng.poisson(3, 600) for name in NUMBERS}))
    views = table.numeric(NUMBERS[0])
    labels = rng.random(600) < 1 / (1 + np.exp(2 - 0.5 * views))
    learnt = TrainingData(table, labels, np.arange(600), np.ones(600, dtype=bool))
    small = replace(plan(), numeric=NUMBERS, categorical=())
    return Served(saas, Trainer(small, learnt).fit("xgboost", {"n_estimators": 5}))


@pytest.mark.parametrize(
    "views",
    [
        pd.Series([True, False], dtype="bool"),
        pd.Series([1, 0], dtype="int8"),
        pd.Series([1, 0], dtype="int64"),
        pd.Series([1, 0], dtype="uint64"),
        pd.Series([1, 0], dtype="float32"),
        pd.Series([1, None], dtype="float64"),
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1.0, None], dtype="Float64"),
        pd.Series([True, None], dtype="boolean"),
        pd.Series([Decimal(1), None], dtype="object"),
        pd.Series(["1", "0"], dtype="object"),
        pd.Series(["1.0", None], dtype="string"),
        pd.Series([1, pd.NA], dtype="object"),
        pd.Series([1, np.nan], dtype="object"),
        pd.Series([1, None], dtype="object"),
        pd.Series([1, pd.NaT], dtype="object"),
        pd.Series([None, None], dtype="object"),
        pd.Series([1, 0], dtype="category"),
        pd.Series([1, None], dtype=pd.ArrowDtype(pa.int32())),
        pd.Series([Decimal(1), None], dtype=pd.ArrowDtype(pa.decimal128(9, 2))),
    ],
    ids=lambda values: f"{values.dtype} {values.tolist()}",
)
def test_columns_of_a_frame(served: Served, views: pd.Series[Any]) -> None:
    plain = [None if missing else float(v) for v, missing in zip(views, views.isna(), strict=True)]
    frame = pd.DataFrame({"pricing_views": plain, "account_balance": 3.0}, dtype="float64")
    expected = served.predict(frame)
    frame["pricing_views"] = views
    assert served.predict(frame).equals(expected)
    assert np.isfinite(expected["probability"]).all()


@pytest.mark.parametrize(
    ("views", "said"),
    [
        (pd.Series(["many", "1"]), "'many' is not a number"),
        (pd.Series(["", "1"]), "'' is not a number"),
        (pd.Series([1 + 2j, 1]), r"\(1\+2j\) is not a number"),
        (pd.Series([1 + 2j, 1], dtype="object"), r"\(1\+2j\) is not a number"),
        (pd.Series([datetime(2026, 1, 1), None]), "is not a number"),
        (pd.Series([date(2026, 1, 1), None]), "is not a number"),
        (pd.Series([timedelta(days=1), None]), "is not a number"),
        (pd.Series([None, None], dtype="datetime64[ns]"), "is not a number"),
        (
            pd.Series([datetime(2026, 1, 1), None], dtype=pd.ArrowDtype(pa.timestamp("us"))),
            "is not a number",
        ),
        (pd.Series([[1.0], 2.0]), r"\[1\.0\] is not a number"),
        (pd.Series([np.inf, 1.0]), "'pricing_views': inf in row 0: must be a finite number"),
        (pd.Series(["-inf", "1"]), "'pricing_views': -inf in row 0: must be a finite number"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.dtype} {value.tolist()}",
)
def test_columns_of_a_frame_that_are_no_numbers(
    served: Served, views: pd.Series[Any], said: str
) -> None:
    frame = pd.DataFrame({"pricing_views": views, "account_balance": 3.0})
    with pytest.raises(DataError, match=said) as caught:
        served.predict(frame)
    assert "pricing_views" in str(caught.value)
    assert "\n" not in str(caught.value)
