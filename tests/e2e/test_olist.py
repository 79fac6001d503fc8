"""Olist, real input, end to end by the one documented command."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.support import processes

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("olist")]


@pytest.fixture(scope="module")
def run(olist_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("olist")
    words = ("demo", "--spec", "olist", "--input", str(olist_folder), "--folder", str(folder),
             "--warehouse", f"duckdb:///{folder}/w.duckdb")  # fmt: skip
    done = processes.whyrank(words, folder, os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout, folder


def metric(text: str, name: str) -> float:
    found = re.search(rf"^ +{name} +([0-9.]+) ", text, re.MULTILINE)
    assert found, text
    return float(found[1])


def test_the_scorecard_foresees_returns_and_not_too_well(run: tuple[str, Path]) -> None:
    text, _ = run
    assert "77,808 users, 314 positive" in text
    assert metric(text, "roc_auc") >= 0.61
    assert metric(text, "lift_at_10pct") >= 2.1
    # Above these, something from after the date has leaked in.
    assert metric(text, "roc_auc") <= 0.70
    assert metric(text, "lift_at_10pct") <= 3.5


def test_every_row_of_the_data_set_is_accounted_for(
    run: tuple[str, Path], olist_folder: Path
) -> None:
    text, _ = run
    orders = pd.read_csv(olist_folder / "olist_orders_dataset.csv")
    customers = pd.read_csv(olist_folder / "olist_customers_dataset.csv")
    people = customers["customer_unique_id"].nunique()
    kept = (~orders["order_status"].isin(["canceled", "unavailable"])).sum()
    events = (
        2 * len(orders)  # each is purchased, and kept or cancelled
        + orders["order_approved_at"].notna().sum()
        + orders["order_delivered_carrier_date"].notna().sum()
        + orders["order_delivered_customer_date"].notna().sum()
    )
    assert kept < len(orders)
    assert f"{people:,} read = {people:,} accepted" in text
    assert f"{events:,} read = {events:,} accepted + 0 duplicate + 0 quarantined" in text


def test_features_equal_pandas_on_the_files(run: tuple[str, Path], olist_folder: Path) -> None:
    _, folder = run
    rows = pd.read_csv(folder / "user_features.csv").set_index("user_id")
    orders = pd.read_csv(
        olist_folder / "olist_orders_dataset.csv", parse_dates=["order_purchase_timestamp"]
    )
    customers = pd.read_csv(olist_folder / "olist_customers_dataset.csv")
    paid = pd.read_csv(olist_folder / "olist_order_payments_dataset.csv")
    as_of = pd.Timestamp("2018-06-01")
    known = orders.merge(customers, on="customer_id")
    known = known[known["order_purchase_timestamp"] < as_of].sort_values("order_purchase_timestamp")
    by_person = known.groupby("customer_unique_id")
    assert len(rows) == 77_808 == by_person.ngroups
    assert (rows["orders"] == by_person.size()[rows.index]).all()
    last = by_person["order_purchase_timestamp"].max()[rows.index]
    # Whole UTC days: an order of the day before is 0 days ago.
    assert (rows["days_since_last_order"] == (as_of - last.dt.normalize()).dt.days - 1).all()
    gaps = by_person["order_purchase_timestamp"].diff()
    trips = (~(gaps < pd.Timedelta(days=1))).groupby(known["customer_unique_id"]).sum()
    assert (rows["trips"] == trips[rows.index]).all()
    value = paid.groupby("order_id")["payment_value"].sum()
    spent = known.assign(v=known["order_id"].map(value)).groupby("customer_unique_id")["v"].sum()
    assert (rows["monetary"] - spent[rows.index]).abs().max() < 0.005


def test_the_preferred_payment_is_that_of_most_orders(
    run: tuple[str, Path], olist_folder: Path
) -> None:
    _, folder = run
    rows = pd.read_csv(folder / "user_features.csv").set_index("user_id")
    orders = pd.read_csv(
        olist_folder / "olist_orders_dataset.csv", parse_dates=["order_purchase_timestamp"]
    )
    customers = pd.read_csv(olist_folder / "olist_customers_dataset.csv")
    paid = pd.read_csv(olist_folder / "olist_order_payments_dataset.csv")
    paid = paid[~((paid["payment_type"] == "not_defined") & (paid["payment_value"] == 0))]
    by_type = paid.groupby(["order_id", "payment_type"], as_index=False)["payment_value"].sum()
    ordered = by_type.sort_values(["payment_value", "payment_type"], ascending=[False, True])
    of_order = ordered.drop_duplicates("order_id").set_index("order_id")["payment_type"]
    known = orders.merge(customers, on="customer_id").assign(
        day=lambda o: o["order_purchase_timestamp"].dt.date,
        paid=lambda o: o["order_id"].map(of_order),
    )
    known = known[known["order_purchase_timestamp"] < pd.Timestamp("2018-06-01")]
    counted = known.groupby(["customer_unique_id", "paid"], as_index=False).agg(
        orders=("day", "size"), last=("day", "max")
    )
    best = counted.sort_values(["orders", "last", "paid"]).drop_duplicates(
        "customer_unique_id", keep="last"
    )
    expected = best.set_index("customer_unique_id")["paid"].reindex(rows.index)
    assert expected.nunique() == 4
    pd.testing.assert_series_equal(rows["preferred_payment"], expected, check_names=False)
