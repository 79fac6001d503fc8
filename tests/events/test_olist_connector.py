"""The Olist connector: every order once, facts at their time and not before, honest errors."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from whyrank.events.connectors.olist import OlistEvents, read_olist

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.xdist_group("olist")  # the files are read once
LOST = ("canceled", "unavailable")
STAMPS = {
    "order_purchased": "order_purchase_timestamp",
    "order_approved": "order_approved_at",
    "order_shipped": "order_delivered_carrier_date",
    "order_delivered": "order_delivered_customer_date",
}
EVENT_COLUMNS = ["event_id", "user_id", "event_time", "event_name", "value", "geo", "properties"]


@dataclass(frozen=True)
class Read:
    """One folder read by the connector, and its files read by pandas."""

    folder: Path
    result: OlistEvents
    events: pd.DataFrame
    users: pd.DataFrame

    kept: dict[str, pd.DataFrame] = field(default_factory=dict)

    def of(self, name: str) -> pd.DataFrame:
        """Return the events of a name by order_id, properties spread into columns."""
        if name not in self.kept:
            rows = self.events[self.events["event_name"] == name].reset_index(drop=True)
            spread = pd.DataFrame(json.loads(f"[{','.join(rows['properties'])}]"))
            self.kept[name] = rows.join(spread).set_index("order_id").sort_index()
        return self.kept[name]

    def file(self, name: str) -> pd.DataFrame:
        """Return a file of the folder as pandas reads it, times parsed."""
        if name not in self.kept:
            path = self.folder / name
            frame = pd.read_csv(path, encoding="utf-8-sig", dtype={"customer_zip_code_prefix": str})
            for column in frame.columns:
                if column.endswith(("_timestamp", "_date", "_at")):
                    frame[column] = pd.to_datetime(frame[column], format="ISO8601")
            self.kept[name] = frame
        return self.kept[name]

    def orders(self) -> pd.DataFrame:
        """Return orders with their person, by order_id."""
        if "orders" not in self.kept:
            people = self.file("olist_customers_dataset.csv")
            orders = self.file("olist_orders_dataset.csv")
            orders = orders.merge(people, on="customer_id", how="left")
            self.kept["orders"] = orders.set_index("order_id").sort_index()
        return self.kept["orders"]


def read(folder: Path) -> Read:
    with duckdb.connect() as con:
        result = read_olist(folder, con=con)
        events = con.execute(f"from {result.events}").df()
        return Read(folder, result, events, con.execute(f"from {result.users}").df())


@cache
def shared(name: str) -> Read:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs the public data set in {folder}, which is not here")
    return read(folder)


@pytest.fixture(params=["olist", "olist_sample"])
def real(request: pytest.FixtureRequest) -> Read:
    return shared(request.param)


@pytest.fixture
def full() -> Read:
    return shared("olist")


@pytest.fixture
def sample() -> Read:
    return shared("olist_sample")


# --- the published files, against pandas -----------------------------------------------------


def test_every_order_is_purchased_once_and_kept_unless_lost(real: Read) -> None:
    orders = real.orders()
    purchased = real.of("order_purchased")
    assert real.result.orders == len(orders)
    assert purchased.index.tolist() == orders.index.tolist()
    assert purchased["user_id"].tolist() == orders["customer_unique_id"].tolist()
    assert purchased["event_time"].tolist() == orders["order_purchase_timestamp"].tolist()
    kept = real.events[real.events["event_name"] == "order_kept"]
    good = orders[~orders["order_status"].isin(LOST)]
    assert set(kept["event_id"]) == {f"{order}:order_kept" for order in good.index}
    cancelled = real.of("order_cancelled")["status"].value_counts()
    for status in LOST:
        assert cancelled[status] == (orders["order_status"] == status).sum()


def test_an_event_per_stamp_and_no_id_twice(real: Read) -> None:
    orders = real.orders()
    assert list(real.events.columns) == EVENT_COLUMNS
    assert real.events["event_id"].is_unique
    counts = real.events["event_name"].value_counts()
    for name, stamp in STAMPS.items():
        assert counts[name] == orders[stamp].notna().sum()


def test_payments_add_up_and_the_type_is_the_one_that_paid_most(real: Read) -> None:
    payments = real.file("olist_order_payments_dataset.csv")
    purchased = real.of("order_purchased")
    assert purchased["value"].sum() == pytest.approx(payments["payment_value"].sum(), abs=0.005)
    by_order = payments.groupby("order_id")["payment_value"].sum().reindex(purchased.index)
    paid = by_order > 0
    assert np.allclose(purchased["value"][paid], by_order[paid], atol=1e-9)
    coins = payments.assign(cents=(payments["payment_value"] * 100).round())
    typed = coins.groupby(["order_id", "payment_type"])["cents"].sum().reset_index()
    typed = typed.sort_values(["cents", "payment_type"], ascending=[False, True])
    largest = typed.drop_duplicates("order_id").set_index("order_id")["payment_type"]
    assert purchased["payment_type"][paid].equals(largest.reindex(purchased.index)[paid])
    most = payments.groupby("order_id")["payment_installments"].max().reindex(purchased.index)
    assert (purchased["instalments"][paid] == most[paid]).all()
    assert purchased.loc[~paid, ["value", "payment_type", "instalments"]].isna().all(axis=None)


def test_what_was_bought_comes_with_the_shipping(real: Read) -> None:
    items = real.file("olist_order_items_dataset.csv")
    products = real.file("olist_products_dataset.csv")
    english = real.file("product_category_name_translation.csv")
    sellers = real.file("olist_sellers_dataset.csv").set_index("seller_id")["seller_state"]
    shipped = real.of("order_shipped")
    main = items.sort_values(["price", "order_item_id"], ascending=[False, True])
    main = main.drop_duplicates("order_id").merge(products, on="product_id", how="left")
    main = main.merge(english, on="product_category_name", how="left").set_index("order_id")
    main = main.reindex(shipped.index)
    category = main["product_category_name_english"].fillna(main["product_category_name"])
    sums = items.groupby("order_id")[["price", "freight_value"]].sum().reindex(shipped.index)
    share = sums["freight_value"] / (sums["price"] + sums["freight_value"])
    count = items.groupby("order_id").size().reindex(shipped.index)
    for found, expected in (
        (shipped["category"], category),
        (shipped["product_id"], main["product_id"]),
        (shipped["seller_id"], main["seller_id"]),
        (shipped["seller_state"], main["seller_id"].map(sellers)),
    ):
        assert found.fillna("-").tolist() == expected.fillna("-").tolist()
    assert np.allclose(shipped["freight_share"], share, atol=1e-6, equal_nan=True)
    assert np.allclose(shipped["price"], main["price"], equal_nan=True)
    assert np.allclose(shipped["items"], count, equal_nan=True)


def test_delivery_is_measured_on_the_stamps(real: Read) -> None:
    delivered = real.of("order_delivered")
    orders = real.orders().loc[delivered.index]
    arrived = orders["order_delivered_customer_date"]
    days = (arrived - orders["order_purchase_timestamp"]).dt.total_seconds() / 86400
    late = (arrived.dt.normalize() - orders["order_estimated_delivery_date"]).dt.days
    assert np.allclose(delivered["delivery_days"], days, atol=1e-4)
    assert delivered["late_days"].tolist() == late.tolist()


def test_people_are_as_they_were_at_their_first_order(real: Read) -> None:
    orders = real.orders().reset_index()
    first = orders.sort_values(["order_purchase_timestamp", "order_id"])
    first = first.drop_duplicates("customer_unique_id").set_index("customer_unique_id").sort_index()
    users = real.users.set_index("user_id").sort_index()
    assert users.index.tolist() == first.index.tolist()
    assert users["state"].tolist() == first["customer_state"].tolist()
    assert users["city"].tolist() == first["customer_city"].tolist()
    assert users["zip_prefix"].tolist() == first["customer_zip_code_prefix"].str.zfill(5).tolist()
    assert users["valid_from"].tolist() == first["order_purchase_timestamp"].tolist()
    assert set(users["country"]) == {"BR"}


# --- what is known when ------------------------------------------------------------------------


def test_no_event_comes_before_its_own_stamp_or_the_purchase(real: Read) -> None:
    orders = real.orders()
    for name, stamp in STAMPS.items():
        times = real.of(name)["event_time"]
        own = orders.loc[times.index]
        assert (times >= own[stamp]).all()
        assert (times >= own["order_purchase_timestamp"]).all()
        moved = times > own[stamp]
        before = own[stamp] < own["order_purchase_timestamp"]
        if name == "order_delivered":
            before |= own[stamp] < own["order_delivered_carrier_date"]
        assert moved.equals(before), "only contradictory stamps move"
    delivered, shipped = real.of("order_delivered"), real.of("order_shipped")
    both = delivered.index.intersection(shipped.index)
    assert (delivered.loc[both, "event_time"] >= shipped.loc[both, "event_time"]).all()


def test_a_cancellation_is_known_a_month_after_everything_else_about_the_order(real: Read) -> None:
    cancelled = real.of("order_cancelled")
    own = real.orders().loc[cancelled.index, [*STAMPS.values(), "order_estimated_delivery_date"]]
    assert (cancelled["event_time"] - own.max(axis=1) == pd.Timedelta(days=30)).all()


def test_the_label_event_carries_its_time_and_what_was_paid(real: Read) -> None:
    kept = real.events[real.events["event_name"] == "order_kept"]
    assert kept[["geo", "properties"]].isna().all(axis=None)
    paid = real.of("order_purchased")["value"]
    orders = kept["event_id"].str.removesuffix(":order_kept")
    assert kept["value"].tolist() == pytest.approx(paid.loc[orders].tolist(), nan_ok=True)


def test_missing_items_do_not_foretell_a_cancellation_once_shipped(full: Read) -> None:
    orders = full.orders()
    with_items = set(full.file("olist_order_items_dataset.csv")["order_id"])
    bare = ~orders.index.isin(with_items)
    lost = orders["order_status"].isin(LOST)
    assert bare[lost].mean() > 10 * bare[~lost].mean(), "among all orders they do foretell it"
    handed_over = orders["order_delivered_carrier_date"].notna()
    n, k = (handed_over & lost).sum(), (handed_over & lost & bare).sum()
    rate = bare[handed_over].mean()
    assert rate > 0
    # Exact binomial tails: neither so few nor so many that chance would be a poor explanation.
    at_most = sum(math.comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(k + 1))
    at_least = 1 - at_most + math.comb(n, k) * rate**k * (1 - rate) ** (n - k)
    assert min(at_most, at_least) > 0.025


def test_deleting_what_happened_later_changes_nothing_before(full: Read, tmp_path: Path) -> None:
    """Rewind the files: orders of later purchase go, later stamps go, later statuses go."""
    moment = pd.Timestamp("2017-10-01")
    orders = full.file("olist_orders_dataset.csv")
    orders = orders[orders["order_purchase_timestamp"] < moment].copy()
    stages = list(STAMPS.values())[1:]
    for stamp in stages:
        orders.loc[orders[stamp] >= moment, stamp] = pd.NaT
    last = orders[[*STAMPS.values(), "order_estimated_delivery_date"]].max(axis=1)
    known = orders["order_status"].isin(LOST) & (last < moment - pd.Timedelta(days=30))
    orders.loc[~known, "order_status"] = "created"
    items = full.file("olist_order_items_dataset.csv")
    gone = orders.loc[orders["order_delivered_carrier_date"].isna(), "order_id"]
    items = items[~items["order_id"].isin(gone)]
    for path in full.folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    for name, frame in (("orders", orders), ("order_items", items)):
        path = tmp_path / f"olist_{name}_dataset.csv"
        path.unlink()
        frame.to_csv(path, index=False)
    rewound = read(tmp_path).events
    before, after = (
        e[(e["event_time"] < moment) & (e["event_name"] != "order_kept")].sort_values("event_id")
        for e in (full.events, rewound)
    )
    assert len(before) > 50_000
    pd.testing.assert_frame_equal(before.reset_index(drop=True), after.reset_index(drop=True))


def test_who_could_return_and_who_does(full: Read) -> None:
    as_of, end = pd.Timestamp("2018-06-01"), pd.Timestamp("2018-07-31")
    facts = full.events[full.events["event_name"] != "order_kept"]
    known = set(facts.loc[facts["event_time"] < as_of, "user_id"])
    kept = full.events[full.events["event_name"] == "order_kept"]
    returned = set(kept.loc[kept["event_time"].between(as_of, end, inclusive="left"), "user_id"])
    assert (len(known), len(known & returned)) == (77_808, 314)


# --- reviews -------------------------------------------------------------------------------------


def test_reviews_are_known_once_answered(sample: Read) -> None:
    reviews = sample.file("olist_order_reviews_dataset.csv").merge(
        sample.orders()["order_purchase_timestamp"], left_on="order_id", right_index=True
    )
    reviews["id"] = reviews["order_id"] + ":review:" + reviews["review_id"]
    expected = reviews.set_index("id").sort_index()
    found = sample.events[sample.events["event_name"] == "review"].set_index("event_id")
    found = found.sort_index()
    times = expected[["review_answer_timestamp", "order_purchase_timestamp"]].max(axis=1)
    assert found.index.tolist() == expected.index.tolist()
    assert found["event_time"].tolist() == times.tolist()
    assert found["value"].tolist() == expected["review_score"].tolist()
    assert (found["event_time"] >= expected["review_creation_date"]).all()


def test_without_reviews_everything_else_is_the_same(sample: Read, tmp_path: Path) -> None:
    for path in sample.folder.iterdir():
        if path.name not in ("olist_order_reviews_dataset.csv", "olist_geolocation_dataset.csv"):
            (tmp_path / path.name).symlink_to(path)
    bare = read(tmp_path)
    assert bare.result.absent == ("olist_order_reviews_dataset.csv",)
    assert sample.result.absent == ()
    others = sample.events[sample.events["event_name"] != "review"]
    pd.testing.assert_frame_equal(
        bare.events.sort_values("event_id").reset_index(drop=True),
        others.sort_values("event_id").reset_index(drop=True),
    )
