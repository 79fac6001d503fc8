"""The Olist connector: every order once, facts at their time and not before, honest errors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whyrank.errors import DataError
from whyrank.events.connectors import CONNECTORS
from whyrank.events.connectors.olist import OlistEvents, read_olist

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
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

    def of(self, name: str) -> pd.DataFrame:
        """Return the events of a name by order_id, properties spread into columns."""
        rows = self.events[self.events["event_name"] == name].reset_index(drop=True)
        spread = pd.DataFrame([json.loads(text) for text in rows["properties"]])
        return rows.join(spread).set_index("order_id").sort_index()

    def file(self, name: str) -> pd.DataFrame:
        """Return a file of the folder as pandas reads it, times parsed."""
        frame = pd.read_csv(
            self.folder / name, encoding="utf-8-sig", dtype={"customer_zip_code_prefix": str}
        )
        for column in frame.columns:
            if column.endswith(("_timestamp", "_date", "_at")):
                frame[column] = pd.to_datetime(frame[column])
        return frame

    def orders(self) -> pd.DataFrame:
        """Return orders with their person, by order_id."""
        people = self.file("olist_customers_dataset.csv")
        orders = self.file("olist_orders_dataset.csv").merge(people, on="customer_id", how="left")
        return orders.set_index("order_id").sort_index()


def read(folder: Path) -> Read:
    with duckdb.connect() as con:
        result = read_olist(folder, con=con)
        events = con.execute(f"from {result.events}").df()
        return Read(folder, result, events, con.execute(f"from {result.users}").df())


def shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs the public data set in {folder}, which is not here")
    return folder


@pytest.fixture(scope="module", params=["olist", "olist_sample"])
def real(request: pytest.FixtureRequest) -> Read:
    return read(shared(request.param))


@pytest.fixture(scope="module")
def full() -> Read:
    return read(shared("olist"))


@pytest.fixture(scope="module")
def sample() -> Read:
    return read(shared("olist_sample"))


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
    typed = payments.assign(cents=(payments["payment_value"] * 100).round())
    typed = typed.groupby(["order_id", "payment_type"], as_index=False)["cents"].sum()
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
        (shipped["seller_id"], main["seller_id"]),
        (shipped["seller_state"], main["seller_id"].map(sellers)),
    ):
        assert found.fillna("-").tolist() == expected.fillna("-").tolist()
    assert np.allclose(shipped["freight_share"], share, atol=1e-6, equal_nan=True)
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


def test_the_final_status_is_told_by_two_events_only(tmp_path: Path) -> None:
    told = {"order_cancelled", "order_kept"}
    kept = read(write(tmp_path / "kept", orders=[order("a", order_status="delivered")]))
    lost = read(write(tmp_path / "lost", orders=[order("a", order_status="canceled")]))
    rest = [r.events[~r.events["event_name"].isin(told)] for r in (kept, lost)]
    assert rest[0].sort_values("event_id").reset_index(drop=True).equals(
        rest[1].sort_values("event_id").reset_index(drop=True)
    )
    assert told & set(kept.events["event_name"]) == {"order_kept"}
    assert told & set(lost.events["event_name"]) == {"order_cancelled"}


def test_the_label_event_carries_nothing_but_its_time(real: Read) -> None:
    kept = real.events[real.events["event_name"] == "order_kept"]
    assert kept[["value", "geo", "properties"]].isna().all(axis=None)


def test_a_purchase_does_not_tell_that_items_are_missing(tmp_path: Path) -> None:
    bare = read(write(tmp_path / "bare", orders=[order("a")], items=[]))
    full = read(write(tmp_path / "full", orders=[order("a")], items=[item("a")]))
    early = ["order_purchased", "order_approved"]
    pairs = [r.events[r.events["event_name"].isin(early)] for r in (bare, full)]
    assert pairs[0].sort_values("event_id").values.tolist() == (
        pairs[1].sort_values("event_id").values.tolist()
    )
    assert bare.of("order_shipped").loc["a", ["category", "items"]].isna().all()


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


@pytest.mark.parametrize("as_of", ["2017-12-01", "2018-06-01"])
def test_deleting_what_happened_later_changes_nothing_before(
    full: Read, tmp_path: Path, as_of: str
) -> None:
    """Rewind the files: orders of later purchase go, later stamps go, later statuses go."""
    moment = pd.Timestamp(as_of)
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
    features = (pair[pair["event_name"] != "order_kept"] for pair in (full.events, rewound))
    before, after = (e[e["event_time"] < moment].sort_values("event_id") for e in features)
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


# --- small folders -------------------------------------------------------------------------------

Row = Mapping[str, object]
HEADERS: dict[str, tuple[str, ...]] = {
    "olist_orders_dataset.csv": (
        "order_id", "customer_id", "order_status", "order_purchase_timestamp",
        "order_approved_at", "order_delivered_carrier_date", "order_delivered_customer_date",
        "order_estimated_delivery_date",
    ),
    "olist_customers_dataset.csv": (
        "customer_id", "customer_unique_id", "customer_zip_code_prefix", "customer_city",
        "customer_state",
    ),
    "olist_order_items_dataset.csv": (
        "order_id", "order_item_id", "product_id", "seller_id", "price", "freight_value",
    ),
    "olist_order_payments_dataset.csv": (
        "order_id", "payment_sequential", "payment_type", "payment_installments", "payment_value",
    ),
}  # fmt: skip
REQUIRED = tuple(HEADERS)


def order(name: str, **changes: object) -> Row:
    return {
        "order_id": name,
        "customer_id": "c1",
        "order_status": "delivered",
        "order_purchase_timestamp": "2018-01-01 10:00:00",
        "order_approved_at": "2018-01-01 11:00:00",
        "order_delivered_carrier_date": "2018-01-03 10:00:00",
        "order_delivered_customer_date": "2018-01-09 22:00:00",
        "order_estimated_delivery_date": "2018-01-20 00:00:00",
        **changes,
    }


def customer(name: str, person: str, **changes: object) -> Row:
    return {
        "customer_id": name,
        "customer_unique_id": person,
        "customer_zip_code_prefix": "01310",
        "customer_city": "sao paulo",
        "customer_state": "SP",
        **changes,
    }


def item(name: str, number: int = 1, **changes: object) -> Row:
    return {
        "order_id": name,
        "order_item_id": number,
        "product_id": "p1",
        "seller_id": "s1",
        "price": 30.0,
        "freight_value": 10.0,
        **changes,
    }


def payment(name: str, value: float, kind: str = "boleto", instalments: int = 1) -> Row:
    return {
        "order_id": name,
        "payment_sequential": 1,
        "payment_type": kind,
        "payment_installments": instalments,
        "payment_value": value,
    }


def write(
    folder: Path,
    *,
    orders: Sequence[Row],
    customers: Sequence[Row] = (customer("c1", "ana"),),
    items: Sequence[Row] = (),
    payments: Sequence[Row] = (),
) -> Path:
    """Write the four required files of a data set."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = (orders, customers, items, payments)
    for (name, header), table in zip(HEADERS.items(), rows, strict=True):
        pd.DataFrame(list(table), columns=list(header)).to_csv(folder / name, index=False)
    return folder


def test_a_folder_of_the_required_files_alone(tmp_path: Path) -> None:
    found = read(write(tmp_path, orders=[order("a")], items=[item("a")], payments=[payment("a", 40)]))
    assert found.result.absent == (
        "olist_products_dataset.csv",
        "olist_sellers_dataset.csv",
        "product_category_name_translation.csv",
        "olist_order_reviews_dataset.csv",
    )
    shipped = found.of("order_shipped").loc["a"]
    assert (shipped["seller_id"], shipped["items"], shipped["freight_share"]) == ("s1", 1, 0.25)
    assert shipped[["category", "seller_state"]].isna().all()


def test_optional_files_add_their_facts_and_a_byte_order_mark_is_no_name(tmp_path: Path) -> None:
    write(tmp_path, orders=[order("a"), order("b")], items=[item("a"), item("b", product_id="p2")])
    mark = "\ufeff"
    (tmp_path / "olist_products_dataset.csv").write_text(
        f"{mark}product_id,product_category_name\np1,brinquedos\np2,sem_nome\n", encoding="utf-8"
    )
    category = tmp_path / "olist_sellers_dataset.csv"
    category.write_text(f'{mark}"seller_id","seller_state"\r\ns1,MG\r\n', encoding="utf-8")
    assert read(tmp_path).of("order_shipped")["category"].tolist() == ["brinquedos", "sem_nome"]
    (tmp_path / "product_category_name_translation.csv").write_text(
        f"{mark}product_category_name,product_category_name_english\nbrinquedos,toys\n",
        encoding="utf-8",
    )
    shipped = read(tmp_path).of("order_shipped")
    assert shipped["category"].tolist() == ["toys", "sem_nome"], "untranslated keeps its name"
    assert shipped["seller_state"].tolist() == ["MG", "MG"]


@pytest.mark.parametrize("name", REQUIRED)
def test_a_byte_order_mark_on_any_required_file_changes_nothing(tmp_path: Path, name: str) -> None:
    write(tmp_path, orders=[order("a")], items=[item("a")], payments=[payment("a", 40)])
    plain = read(tmp_path).events
    path = tmp_path / name
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(read(tmp_path).events, plain)


def test_ties_between_payments_and_between_items_go_by_name_and_number(tmp_path: Path) -> None:
    write(
        tmp_path,
        orders=[order("a")],
        items=[
            item("a", 3, seller_id="cheap", price=5),
            item("a", 2, seller_id="second", price=60),
            item("a", 1, seller_id="first", price=60),
        ],
        payments=[
            payment("a", 20, "voucher", 1),
            payment("a", 20, "voucher", 1),
            payment("a", 40, "credit_card", 7),
            payment("a", 39, "boleto", 1),
        ],
    )
    found = read(tmp_path)
    assert found.of("order_shipped").loc["a", "seller_id"] == "first"
    bought = found.of("order_purchased").loc["a"]
    assert (bought["payment_type"], bought["instalments"]) == ("credit_card", 7)
    assert bought["value"] == 119


def test_a_payment_of_no_type_and_nothing_is_like_no_payment(tmp_path: Path) -> None:
    orders = [order("a"), order("b"), order("c")]
    write(tmp_path, orders=orders, payments=[payment("a", 0, "not_defined"), payment("c", 0, "voucher")])
    found = read(tmp_path).of("order_purchased")
    assert found.loc[["a", "b"], ["value", "payment_type", "instalments"]].isna().all(axis=None)
    assert found.loc["c", ["value", "payment_type"]].tolist() == [0, "voucher"]


def test_contradictory_stamps_only_delay(tmp_path: Path) -> None:
    early, shipped = "2017-12-30 08:00:00", "2018-01-10 08:00:00"
    write(
        tmp_path,
        orders=[
            order("a", order_approved_at=early, order_delivered_carrier_date=early),
            order("b", order_delivered_carrier_date=shipped),
        ],
    )
    times = read(tmp_path).events.set_index("event_id")["event_time"].astype(str)
    assert times["a:order_approved"] == times["a:order_shipped"] == "2018-01-01 10:00:00"
    assert times["b:order_shipped"] == times["b:order_delivered"] == shipped


def test_a_person_who_moved_stays_where_they_first_ordered(tmp_path: Path) -> None:
    write(
        tmp_path,
        orders=[
            order("a", customer_id="c2", order_purchase_timestamp="2018-03-01 00:00:00"),
            order("b", customer_id="c1"),
        ],
        customers=[
            customer("c1", "ana", customer_zip_code_prefix="1310"),
            customer("c2", "ana", customer_state="RJ", customer_city="niteroi"),
        ],
    )
    found = read(tmp_path)
    assert found.users[["user_id", "state", "city", "zip_prefix"]].values.tolist() == [
        ["ana", "SP", "sao paulo", "01310"]
    ]
    assert found.of("order_purchased")["geo"].tolist() == ["RJ", "SP"]


def test_an_order_that_cannot_be_dated_or_owned_still_comes_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        orders=[order("a", order_purchase_timestamp=""), order("b", customer_id="nobody")],
    )
    found = read(tmp_path)
    purchased = found.of("order_purchased")
    assert found.result.orders == len(purchased) == 2
    assert pd.isna(purchased.loc["a", "event_time"]) and pd.isna(purchased.loc["b", "user_id"])
    assert found.users.empty


def test_a_customer_listed_twice_multiplies_nothing(tmp_path: Path) -> None:
    twice = [customer("c1", "ana"), customer("c1", "ana")]
    write(tmp_path, orders=[order("a")], customers=twice)
    assert read(tmp_path).events["event_id"].is_unique


def test_reading_twice_gives_the_same_and_leaves_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "one[1]*", orders=[order("a")])
    with duckdb.connect() as con:
        frames = []
        for _ in range(2):
            read_olist(tmp_path / "one[1]*", con=con)
            frames.append(con.execute("from olist_events").df())
            tables = con.execute("select table_name from duckdb_tables() order by 1").fetchall()
            assert tables == [("olist_events",), ("olist_users",)]
    pd.testing.assert_frame_equal(*frames)


cents = st.integers(0, 10_000).map(lambda n: n / 100)
kinds = st.sampled_from(["boleto", "credit_card", "voucher", "debit_card"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("abc"), kinds, cents), max_size=12),
    st.lists(st.tuples(st.sampled_from("abc"), cents, cents), max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_changes_nothing(
    tmp_path: Path,
    payments: list[tuple[str, str, float]],
    items: list[tuple[str, float, float]],
    random: object,
) -> None:
    files = {
        "orders": [order(name) for name in "abc"],
        "items": [
            item(name, i, seller_id=f"s{i}", price=price, freight_value=freight)
            for i, (name, price, freight) in enumerate(items)
        ],
        "payments": [payment(name, value, kind) for name, kind, value in payments],
    }
    plain = read(write(tmp_path, **files)).events
    for rows in files.values():
        random.shuffle(rows)  # type: ignore[attr-defined]
    shuffled = read(write(tmp_path, **files)).events
    key = "event_id"
    pd.testing.assert_frame_equal(
        *(e.sort_values(key).reset_index(drop=True) for e in (plain, shuffled))
    )
    total = sum(value for _, _, value in payments)
    assert plain["value"].sum() == pytest.approx(total, abs=1e-9)


# --- errors ------------------------------------------------------------------------------------


def refused(folder: Path) -> str:
    with duckdb.connect() as con:
        with pytest.raises(DataError) as caught:
            read_olist(folder, con=con)
        assert con.execute("select count(*) from duckdb_tables()").fetchone() == (0,)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_no_folder_and_no_folder_but_a_file(tmp_path: Path) -> None:
    assert "there is no such folder" in refused(tmp_path / "absent")
    path = tmp_path / "file"
    path.touch()
    assert str(path) in refused(path) and "is not a folder" in refused(path)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_file_that_is_absent_is_named_with_its_folder(tmp_path: Path, name: str) -> None:
    (write(tmp_path, orders=[order("a")]) / name).unlink()
    message = refused(tmp_path)
    assert name in message and str(tmp_path) in message


@pytest.mark.parametrize(
    ("name", "column"), [(name, column) for name in REQUIRED for column in HEADERS[name]]
)
def test_a_column_that_is_absent_is_named_with_its_file(
    tmp_path: Path, name: str, column: str
) -> None:
    path = write(tmp_path, orders=[order("a")]) / name
    header, _, rest = path.read_text().partition("\n")
    path.write_text(header.replace(column, "x" * len(column), 1) + "\n" + rest)
    if column == "payment_sequential":
        assert len(read(tmp_path).of("order_purchased")) == 1, "a column that is not needed"
        return
    message = refused(tmp_path)
    assert str(path) in message and repr(column) in message


def edited(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _: b"", "is empty"),
        (edited(b"customer_id", b"order_id"), "twice"),
        (edited(b"2018-01-01 10", b"yesterday 10"), '"order_purchase_timestamp"'),
        (edited(b"delivered,", b"d\xe9livr\xe9,"), "utf-8"),
        (edited(b"delivered,", b"delivered,,,"), "Line: 2"),
        (lambda _: b"\xff\xfeo\x00", "utf-8"),
    ],
    ids=["empty", "column twice", "no time", "latin-1", "too many fields", "utf-16"],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, change: Callable[[bytes], bytes], says: str
) -> None:
    path = write(tmp_path, orders=[order("a")]) / "olist_orders_dataset.csv"
    path.write_bytes(change(path.read_bytes()))
    message = refused(tmp_path)
    assert str(path) in message and says.lower() in message.lower()


def test_an_amount_that_is_no_number_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, orders=[order("a")], payments=[payment("a", 77)])
    path = path / "olist_order_payments_dataset.csv"
    path.write_text(path.read_text().replace("77", "lots"))
    message = refused(tmp_path)
    assert str(path) in message and "lots" in message and "Line: 2" in message


def test_an_error_inside_a_transaction_is_told_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, orders=[order("a", order_approved_at="soon")])
    with duckdb.connect() as con:
        con.execute("begin")
        with pytest.raises(DataError, match="soon"):
            read_olist(path, con=con)


def test_the_registry_names_functions_that_exist() -> None:
    import importlib

    for where in CONNECTORS.values():
        module, _, name = where.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
