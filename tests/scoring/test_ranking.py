"""The exported ranking: contract, order, inert cells, atomic writes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.csv_rows import csv_rows
from whyrank.errors import WarehouseError
from whyrank.files import atomic_write
from whyrank.scorer import Attribution, FeatureValue, LogOddsTotal, ModelReason, Reason
from whyrank.scoring.ranking import (
    LEADING,
    RankedUser,
    band_codes,
    escape_formula,
    order_by_score,
    write_all_scores,
    write_propensities,
    write_top_users,
)
from whyrank.scoring.reasons_csv import write_reasons
from whyrank.spec.scorecard import BandsSpec

BANDS = BandsSpec(medium=30, high=60)
STAMPS = {"as_of": "2026-04-01", "run_id": "r", "scorer": "scorecard", "spec_version": "1+x"}


@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_order_is_by_score_then_by_place(scores: list[int]) -> None:
    found = order_by_score(np.array(scores, dtype=np.int64)).tolist()
    assert found == sorted(range(len(scores)), key=lambda i: (-scores[i], i))


def test_all_scores_hold_everyone_once_best_first(tmp_path: Path) -> None:
    scores = np.array([3000, 10_000, 2999, 6000, 3000])
    ids = pa.chunked_array([["a", "b"], ["c", "d", "e"]])
    write_all_scores(
        tmp_path / "all.parquet", ids, order_by_score(scores),
        score=scores / 100, codes=band_codes(scores, BANDS),
        extra_columns={"probability": scores / 1e5},
    )  # fmt: skip
    rows = pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert [(r["rank"], r["user_id"], r["score"], r["label"]) for r in rows] == [
        (1, "b", 100.0, "high"),
        (2, "d", 60.0, "high"),
        (3, "a", 30.0, "medium"),
        (4, "e", 30.0, "medium"),
        (5, "c", 29.99, "low"),
    ]
    assert [r["probability"] for r in rows] == [0.1, 0.06, 0.03, 0.03, 0.02999]


def test_the_csv_keeps_the_contract_and_formulas_are_inert(tmp_path: Path) -> None:
    users = [
        RankedUser(
            1,
            "=cmd|' /C calc'!A0",
            97.25,
            "high",
            (Reason("a", '-1 said, "so"', 61.5),),
            61.5,
            probability=0.0125,
            model_reasons=(
                ModelReason("b", "=b 3", -0.5, raises=False),
                ModelReason("c", "came twice", 1.5, raises=True),
            ),
            agreement=-0.25,
            model=LogOddsTotal(base=-5.25, log_odds=-4.25),
        ),
        RankedUser(2, "ünï", 10.0, "low", (), 10.0),
    ]
    details = {"ünï": {"email": "@SUM(A1)", "owner": None}}
    out = tmp_path / "deep" / "top.csv"
    write_top_users(out, users, stamps=STAMPS, details=details, pass_through=["email", "owner"])
    rows = csv_rows(out)
    assert list(rows[0]) == [
        *LEADING[:2], "user_key", *LEADING[2:], "email", "owner", "assignment",
    ]  # fmt: skip
    assert [row["user_key"] for row in rows] == ["", "ünï"]  # what could run is in no cell
    assert rows[0]["user_id"] == "'=cmd|' /C calc'!A0"
    assert rows[0]["scorecard_reasons"] == '\'-1 said, "so", +61.5'
    assert rows[1]["email"] == "'@SUM(A1)"
    assert [row["score"] for row in rows] == ["97.25", "10.00"]
    assert [row["scorecard_score"] for row in rows] == ["61.50", "10.00"]
    beside = [(row["probability"], row["model_reasons"], row["agreement"]) for row in rows]
    said = "raises: came twice | lowers: =b 3"
    assert beside == [("0.012500", said, "-0.250"), ("", "", "")]
    assert [row["base_log_odds"] for row in rows] == ["-5.250000000", ""]
    assert [row["log_odds"] for row in rows] == ["-4.250000000", ""]
    assert {row["run_id"] for row in rows} == {"r"}


def test_reasons_are_data_with_a_column_for_everything(tmp_path: Path) -> None:
    """A group with a number and a text, a yes, what is not known, and a cap of no feature."""
    inside = (
        FeatureValue("views", 3, "views", 5.0, 0.75),
        FeatureValue("place", "=ES", "country", None, -0.25),
    )
    lines = (
        Attribution("group", "w", 5.0, "saw 3", 0.5, stable=True, raises=True, features=inside),
        Attribution(
            "paid", "w", None, "", -1.0, stable=False, raises=False,
            features=(FeatureValue("paid", value=True, unit="flag", points=None, log_odds=-1.0),),
        ),
        Attribution(
            "days", "w", 0.0, "", None, stable=False,
            features=(FeatureValue("days", float("nan"), "days", 0.0, None),),
        ),
        Attribution("cap", "capped", -1.5, "capped", None, stable=False),
    )  # fmt: skip
    user = RankedUser(
        1, "ana", 99.0, "high", (), 3.5, attributions=lines, model=LogOddsTotal(1.0, 0.5),
        card=LogOddsTotal(-2.0, -1.3), point_log_odds=0.2,
    )  # fmt: skip
    write_reasons(tmp_path / "reasons.csv", [user], stamps={"as_of": "2026-04-01"}, model="xgb")
    rows = csv_rows(tmp_path / "reasons.csv")
    said = [(r["part"], r["feature"], r["value"], r["text_value"], r["unit"]) for r in rows]
    assert said == [
        ("group", "views", "3", "", "views"),
        ("group", "place", "", "'=ES", "country"),
        ("paid", "paid", "1", "", "flag"),
        ("days", "days", "", "", "days"),
        ("cap", "", "", "", ""),
    ]
    numbers = [(r["points"], r["points_log_odds"], r["log_odds"]) for r in rows]
    assert numbers == [
        ("5.00", "1.000000000", "0.750000000"),
        ("", "", "-0.250000000"),
        ("", "", "-1.000000000"),
        ("0.00", "0.000000000", ""),
        ("-1.50", "-0.300000000", ""),
    ]
    flags = [(r["is_model_reason"], r["is_points_reason"], r["direction"]) for r in rows]
    group = ("yes", "yes", "raises")
    assert flags == [group, group, ("no", "", "lowers"), ("", "no", ""), ("", "yes", "")]
    assert {r["model_probability"] for r in rows} == {f"{1 / (1 + np.exp(-0.5)):.9f}"}


def test_no_id_in_the_list_of_chances_starts_a_formula(tmp_path: Path) -> None:
    ids = ["=1+1", "  @SUM(A1)", "-2", "\tx", "ana", "a=b"]
    write_propensities(
        tmp_path / "chances.csv", pa.chunked_array([ids]), np.arange(len(ids)),
        probability=np.full(len(ids), 0.5), expected_spend=None,
        codes=np.zeros(len(ids), dtype=np.int64), stamps={"scorer": "=x"},
    )  # fmt: skip
    rows = csv_rows(tmp_path / "chances.csv")
    assert [row["user_id"] for row in rows] == [escape_formula(text) for text in ids]
    assert [row["user_key"] for row in rows] == ["", "", "-2", "", "ana", "a=b"]
    assert {row["scorer"] for row in rows} == {"'=x"}


@given(st.text(max_size=20))
def test_no_cell_starts_a_formula(text: str) -> None:
    made = escape_formula(text)
    assert not made.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert made.replace("'", "") == text.replace("'", "")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "file.txt"
    out.write_text("before")
    with pytest.raises(ZeroDivisionError), atomic_write(out) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert out.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_a_ranking_that_cannot_be_written_to_its_end_leaves_the_one_before(tmp_path: Path) -> None:
    out = tmp_path / "top.csv"
    user = RankedUser(1, "ana", 10.0, "low", (), 10.0)
    write_top_users(out, [user], stamps=STAMPS, details={}, pass_through=[])
    before = out.read_bytes()
    nobody: RankedUser = None  # type: ignore[assignment]
    for write in (
        partial(write_top_users, details={}, pass_through=[]),
        partial(write_reasons, model="xgboost"),
    ):
        with pytest.raises(AttributeError):
            write(out, [replace(user, user_id="bo"), nobody], stamps=STAMPS)
        assert out.read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["top.csv"]


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(WarehouseError, match=r"file/top\.csv: cannot be written"),
        atomic_write(tmp_path / "file" / "top.csv"),
    ):
        pass
