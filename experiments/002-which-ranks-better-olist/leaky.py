"""Readings of the Olist data set that let the answer in, beside one that does not.

    python experiments/002-which-ranks-better-olist/leaky.py FOLDER

The reference project reports a ROC AUC of 0.71 and a lift of 2.88 without saying how it split its
data. Each reading below is one that is met in notebooks on this data set. None of it is part of
whyrank: the figures are here so that 0.71 is not mistaken for something to be reached.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE, RandomOverSampler
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

SEED = 0
SPLIT = pd.Timestamp("2018-06-01")
HORIZON = pd.Timedelta(days=60)
AVERAGES = [
    "paid", "instalments", "items", "price", "freight", "delivery_days", "late_days",
    "category", "state",
]  # fmt: skip


def read_orders(folder: Path) -> pd.DataFrame:
    """Return one row per order: the person, the time, and what an order is described by."""
    orders = pd.read_csv(
        folder / "olist_orders_dataset.csv",
        parse_dates=[
            "order_purchase_timestamp",
            "order_delivered_customer_date",
            "order_estimated_delivery_date",
        ],
    )
    people = pd.read_csv(folder / "olist_customers_dataset.csv")
    payments = pd.read_csv(folder / "olist_order_payments_dataset.csv")
    items = pd.read_csv(folder / "olist_order_items_dataset.csv")
    products = pd.read_csv(folder / "olist_products_dataset.csv")
    items = items.merge(products[["product_id", "product_category_name"]], how="left")
    paid = payments.groupby("order_id").agg(
        paid=("payment_value", "sum"), instalments=("payment_installments", "max")
    )
    filled = items.sort_values("price", ascending=False).groupby("order_id").agg(
        items=("price", "size"), price=("price", "mean"), freight=("freight_value", "mean"),
        category=("product_category_name", "first"),
    )  # fmt: skip
    found = orders.merge(people).merge(paid, on="order_id", how="left")
    found = found.merge(filled, on="order_id", how="left")
    purchased = found["order_purchase_timestamp"]
    delivered = found["order_delivered_customer_date"]
    promised = found["order_estimated_delivery_date"]
    return pd.DataFrame(
        {
            "user": found["customer_unique_id"],
            "time": purchased,
            "kept": ~found["order_status"].isin(["canceled", "unavailable"]),
            "delivery_days": (delivered - purchased).dt.total_seconds() / 86_400,
            "late_days": (delivered - promised).dt.days,
            "category": found["category"].astype("category").cat.codes,
            "state": found["customer_state"].astype("category").cat.codes,
            **{name: found[name] for name in ("paid", "instalments", "items", "price", "freight")},
        }
    )


def by_user(orders: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """Return each person's averages, how many orders, and days from the last one to `until`."""
    groups = orders.sort_values("time").groupby("user")
    found = groups[[n for n in AVERAGES if n not in {"category", "state"}]].mean()
    found[["category", "state"]] = groups[["category", "state"]].last()
    found["spent"] = groups["paid"].sum()
    found["orders"] = groups.size()
    found["recency"] = (until - groups["time"].max()).dt.days
    return found


def figures(labels: np.ndarray, probabilities: np.ndarray) -> str:
    """Return ROC AUC and lift at 10%, written."""
    top = np.argsort(-probabilities, kind="stable")[: round(0.1 * len(labels))]
    lift = labels[top].mean() / labels.mean()
    return f"{roc_auc_score(labels, probabilities):9.3f} {lift:9.2f}"


def models() -> dict[str, object]:
    """Return the models that such notebooks use, as they come."""
    forest = RandomForestClassifier(
        100, min_samples_leaf=5, class_weight="balanced", n_jobs=-1, random_state=SEED
    )
    boosted = XGBClassifier(
        n_estimators=200, max_depth=5, learning_rate=0.1, subsample=0.8, random_state=SEED
    )
    straight = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)
    )
    return {"logistic": straight, "forest": forest, "xgboost": boosted}


def tell(
    what: str, train: tuple[pd.DataFrame, np.ndarray], test: tuple[pd.DataFrame, np.ndarray]
) -> None:
    """Fit every model and print a line for each."""
    for name, model in models().items():
        model.fit(train[0].fillna(-1), train[1])  # type: ignore[attr-defined]
        probabilities = model.predict_proba(test[0].fillna(-1))[:, 1]  # type: ignore[attr-defined]
        print(f"{what:<68} {name:<8} {figures(test[1], probabilities)}", flush=True)


def halves(
    table: pd.DataFrame, labels: np.ndarray
) -> tuple[tuple[pd.DataFrame, np.ndarray], tuple[pd.DataFrame, np.ndarray]]:
    """Split rows at random, four fifths to train on."""
    left, right, a, b = train_test_split(
        table, labels, test_size=0.2, random_state=SEED, stratify=labels
    )
    return (left, a), (right, b)


def oversampled(what: str, table: pd.DataFrame, labels: np.ndarray) -> None:
    """Oversample everything, split only then: copies of one person stand on both sides."""
    for name, sampler in (
        ("copies", RandomOverSampler(sampling_strategy=0.2, random_state=SEED)),
        ("SMOTE", SMOTE(sampling_strategy=0.2, random_state=SEED)),
    ):
        more, came = sampler.fit_resample(table.fillna(-1), labels)
        tell(f"{what}; {name} before the split", *halves(more, np.asarray(came)))


def main(arguments: Sequence[str]) -> None:
    """Print every reading."""
    orders = read_orders(Path(arguments[0]))
    print(f"{'reading':<68} {'model':<8} {'ROC AUC':>9} {'lift 10%':>9}")
    whole = by_user(orders, orders["time"].max())
    ever = (whole["orders"] > 1).to_numpy()
    for what, columns in (
        ("averages of the whole history; ever more than one order", AVERAGES),
        ("the same and recency", [*AVERAGES, "recency"]),
        ("the same and the total spent", [*AVERAGES, "recency", "spent"]),
    ):
        tell(f"{what}; random split", *halves(whole[columns], ever))
    oversampled("averages, ever more than one order", whole[AVERAGES], ever)
    past = by_user(orders[orders["time"] < SPLIT], SPLIT)
    after = orders[orders["kept"] & (orders["time"] >= SPLIT) & (orders["time"] < SPLIT + HORIZON)]
    returned = past.index.isin(after["user"])
    columns = [*AVERAGES, "recency", "orders"]
    tell(
        "known before 2018-06-01; back within 60 days; random split",
        *halves(past[columns], returned),
    )
    oversampled("known before 2018-06-01; back within 60 days", past[columns], returned)
    earlier = SPLIT - HORIZON
    known = by_user(orders[orders["time"] < earlier], earlier)
    then = orders[orders["kept"] & (orders["time"] >= earlier) & (orders["time"] < SPLIT)]
    tell(
        "no leak: learnt 60 days earlier, tested from 2018-06-01",
        (known[columns], known.index.isin(then["user"])),
        (past[columns], returned),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
