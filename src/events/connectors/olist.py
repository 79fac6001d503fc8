"""Read the Olist Brazilian e-commerce data set, its files as they are, into events and users.

A person is a `customer_unique_id`; times are taken as UTC as they stand. An event carries only
what the shop knew at its time; that is what the rules below are for.

- order_purchased, at the purchase; value: the total paid, in reais; order_id, payment_type (the
  one that paid most; ties by name), instalments (the most), estimated_delivery (date promised).
- order_approved, at the approval of the payment; order_id.
- order_shipped, at the handing over to the carrier; order_id, category, seller_id and seller_state
  (of the dearest item; ties by item number), product_id and price of the same, items (how many),
  freight_share (of price and freight).
- order_delivered, at the delivery; order_id, delivery_days (since the purchase), late_days (whole
  days after the date promised; negative is early).
- order_cancelled, when it is surely known (below); order_id, status (canceled or unavailable).
- review, at the customer's answer; value: the score, 1 to 5; order_id.
- order_kept, at the purchase: what was paid; for labels only (below).

Every row of the orders file gives exactly one order_purchased. What an event could betray:

- **Status.** The file holds each order's final status, which nobody knew earlier. Two events use
  it. `order_kept` marks the orders that were neither cancelled nor unavailable, at the time of
  purchase, so that a target can ask for one; it knows the future and carries nothing else, and a
  spec must declare it `label_only`.
- **Cancellation.** No file says when an order was cancelled. Some are cancelled after they were
  shipped, so even a missed delivery date does not tell. An order_cancelled comes 30 days after
  the latest of the date promised and the order's own stamps: late on purpose, because a
  cancellation known too early is a leak and one known too late only a small loss. For scale, the
  shop asks for a review two days after the date promised if nothing has arrived, cancelled or not
  (the median for every status but delivered).
- **Items.** Orders without items are mostly cancelled or unavailable ones (767 of the 1,234 have
  none), so what comes from items is told with order_shipped. Of the orders shipped, none of the 75
  later cancelled lacks its items against 1.2% overall, which chance gives two times in five. In
  the copy at hand items are missing from 1,195 delivered orders but from only 1 of the 1,107 still
  under way at the end: their absence says a little about arriving, not about cancelling. Do not
  make a feature of it.
- **Payments.** Three orders, all cancelled later, hold one payment of type not_defined and amount
  zero. It is no payment: value, type and instalments are null, as for the one delivered order
  without any row. So few that a null there still says something; do not ask for it.
- **Reviews.** The score exists once the customer answers; the creation date is that of the
  invitation, a median of 38 hours earlier (in the sample). So the answer's time counts.

Stamps out of order (of 99,441 orders): handed over before the purchase 166, before the approval
1,359; delivered before handed over 23, before the approval 61; approved or delivered before the
purchase none. An event's time is its stamp, with two exceptions that only ever delay: nothing
comes before the purchase, when the order did not exist (so too 58 answers of the sample), and no
delivery before the handing over that it presupposes. An approval may come late (bank slips do),
and stays. What delivery_days and late_days measure is taken from the stamps as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ...errors import DataError
from .olist_files import FILES, File, absent_files, in_a_line, staging_sql
from .olist_sql import STEPS


@dataclass(frozen=True)
class OlistEvents:
    """What read_olist left on the connection.

    events, users: names of temporary tables. orders: how many rows the orders file has, and so
    how many order_purchased there are. absent: the optional files that the folder does not hold.
    """

    events: str
    users: str
    orders: int
    absent: tuple[str, ...]


def read_olist(folder: Path, *, con: duckdb.DuckDBPyConnection) -> OlistEvents:
    """Turn the data set's CSV files in `folder` into the tables olist_events and olist_users.

    olist_events: event_id, user_id, event_name, geo (the customer's state) and properties (a JSON
    object) as text, event_time as timestamp (UTC), value as double; the module's table lists the
    events. olist_users: user_id, valid_from (time of the first order), country, state, city and
    zip_prefix as given with the first order. Both are temporary, and replaced if they exist.

    Orders, customers, items and payments are required. Optional: olist_products_dataset.csv gives
    the category, product_category_name_translation.csv its English name (else it stays
    Portuguese), olist_sellers_dataset.csv the seller's state, olist_order_reviews_dataset.csv the
    reviews. olist_geolocation_dataset.csv is not read: a customer's state and city come with the
    customer. A purchase without a time, or of an unknown customer, comes out with that field
    null, for ingest to put in quarantine.

    Raises DataError naming the file and what is wrong with it: absent, a column absent or twice,
    a value that is no number or time, bytes that are no UTF-8.

    >>> read_olist(Path("no-such-folder"), con=duckdb.connect())
    Traceback (most recent call last):
    whyrank.errors.DataError: no-such-folder: there is no such folder; name the one that holds \
olist_orders_dataset.csv and the data set's other files
    """
    absent = absent_files(folder)
    staged: list[str] = []
    try:
        for table, file in FILES.items():
            staged.append(table)
            _stage(con, folder, table, file)
        found = con.execute("select count(*) from staged_orders").fetchone()
        for table, sql in STEPS.items():
            staged.append(table)
            con.execute(sql)
    finally:
        _drop(con, (table for table in staged if table.startswith("staged_")))
    return OlistEvents("olist_events", "olist_users", int(found[0]) if found else 0, absent)


def _stage(con: duckdb.DuckDBPyConnection, folder: Path, table: str, file: File) -> None:
    try:
        con.execute(staging_sql(folder, table, file))
    except duckdb.Error as error:
        raise DataError(f"{folder / file.name}: cannot be read: {in_a_line(error)}") from error


def _drop(con: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> None:
    for table in tables:
        # In a caller's transaction, an error has taken the tables away already.
        with suppress(duckdb.TransactionException):
            con.execute(f"drop table if exists temp.{table}")
