"""The Olist connector on small folders: what each file adds, ties, contradictions, errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from whyrank.errors import DataError
from whyrank.events.connectors.olist import OlistEvents, read_olist


@dataclass(frozen=True)
class Read:
    """What the connector made of a folder, rows sorted by their keys."""

    result: OlistEvents
    events: pd.DataFrame
    users: pd.DataFrame

    def of(self, name: str) -> pd.DataFrame:
        """Return the events of a name by order_id, properties spread into columns."""
        rows = self.events[self.events["event_name"] == name].reset_index(drop=True)
        spread = pd.DataFrame([json.loads(text) for text in rows["properties"]])
        return rows.join(spread).set_index("order_id").sort_index()

    def named(self, *names: str) -> pd.DataFrame:
        """Return the events of some names."""
        return self.events[self.events["event_name"].isin(names)].reset_index(drop=True)


def read(folder: Path) -> Read:
    with duckdb.connect() as con:
        result = read_olist(folder, con=con)
        events = con.execute(f"from {result.events} order by event_id").df()
        return Read(result, events, con.execute(f"from {result.users} order by user_id").df())


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
    found = read(
        write(tmp_path, orders=[order("a")], items=[item("a")], payments=[payment("a", 40)])
    )
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
    write(
        tmp_path,
        orders=orders,
        payments=[payment("a", 0, "not_defined"), payment("c", 0, "voucher")],
    )
    found = read(tmp_path).of("order_purchased")
    assert found.loc[["a", "b"], ["value", "payment_type", "instalments"]].isna().to_numpy().all()
    assert found.loc["c", "value"] == 0
    assert found.loc["c", "payment_type"] == "voucher"


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
    assert found.users[["user_id", "state", "city", "zip_prefix"]].to_numpy().tolist() == [
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
    assert purchased["event_time"].isna().tolist() == [True, False]
    assert purchased["user_id"].isna().tolist() == [False, True]
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
            frames.append(con.execute("from olist_events order by event_id").df())
            tables = con.execute("select table_name from duckdb_tables() order by 1").fetchall()
            assert tables == [("olist_events",), ("olist_users",)]
    pd.testing.assert_frame_equal(frames[0], frames[1])


cents = st.integers(0, 10_000).map(lambda n: n / 100)
kinds = st.sampled_from(["boleto", "credit_card", "voucher", "debit_card"])


@settings(
    max_examples=examples(10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), kinds, cents), max_size=12),
    st.lists(st.tuples(st.sampled_from("abc"), cents, cents), max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_changes_nothing(
    tmp_path: Path,
    payments: list[tuple[str, str, float]],
    items: list[tuple[str, float, float]],
    random: Random,
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
        random.shuffle(rows)
    shuffled = read(write(tmp_path, **files)).events
    pd.testing.assert_frame_equal(plain, shuffled)
    total = sum(value for _, _, value in payments)
    purchased = plain[plain["event_name"] == "order_purchased"]
    assert purchased["value"].sum() == pytest.approx(total, abs=1e-9)


def test_the_final_status_is_told_by_two_events_only(tmp_path: Path) -> None:
    kept = read(write(tmp_path / "kept", orders=[order("a", order_status="delivered")]))
    lost = read(write(tmp_path / "lost", orders=[order("a", order_status="canceled")]))
    others = ("order_purchased", "order_approved", "order_shipped", "order_delivered")
    pd.testing.assert_frame_equal(kept.named(*others), lost.named(*others))
    assert set(kept.events["event_name"]) == {*others, "order_kept"}
    assert set(lost.events["event_name"]) == {*others, "order_cancelled"}


def test_a_purchase_does_not_tell_that_items_are_missing(tmp_path: Path) -> None:
    bare = read(write(tmp_path / "bare", orders=[order("a")], items=[]))
    full = read(write(tmp_path / "full", orders=[order("a")], items=[item("a")]))
    early = ("order_purchased", "order_approved")
    pd.testing.assert_frame_equal(bare.named(*early), full.named(*early))
    assert bare.of("order_shipped").loc["a", ["category", "items"]].isna().all()


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
    assert f"{path}: is not a folder" in refused(path)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_file_that_is_absent_is_named_with_its_folder(tmp_path: Path, name: str) -> None:
    (write(tmp_path, orders=[order("a")]) / name).unlink()
    message = refused(tmp_path)
    assert name in message
    assert str(tmp_path) in message


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
    assert str(path) in message
    assert repr(column) in message


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
    assert str(path) in message
    assert says.lower() in message.lower()


def test_an_amount_that_is_no_number_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, orders=[order("a")], payments=[payment("a", 77)])
    path = path / "olist_order_payments_dataset.csv"
    path.write_text(path.read_text().replace("77", "lots"))
    message = refused(tmp_path)
    for part in (str(path), "lots", "Line: 2"):
        assert part in message


def test_an_error_inside_a_transaction_is_told_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, orders=[order("a", order_approved_at="soon")])
    with duckdb.connect() as con:
        con.execute("begin")
        with pytest.raises(DataError, match="soon"):
            read_olist(path, con=con)
