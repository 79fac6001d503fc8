"""Olist's published files: which columns are read, which files may be absent, and how they load.

Nothing is guessed: every column is named and typed, so that a value that does not fit is an error
that names its line, not a column that silently becomes text.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ...database import quote_path
from ...errors import DataError
from ...spec.expressions import quote_name, quote_text
from ...spec.references import suggest

_TEXT, _TIME, _MONEY, _WHOLE = "varchar", "timestamp", "decimal(18, 6)", "bigint"


@dataclass(frozen=True)
class File:
    """A file of the data set: its name, and SQL types by the columns that are read."""

    name: str
    columns: dict[str, str]
    required: bool = False


FILES: dict[str, File] = {
    "staged_orders": File(
        "olist_orders_dataset.csv",
        {
            "order_id": _TEXT,
            "customer_id": _TEXT,
            "order_status": _TEXT,
            "order_purchase_timestamp": _TIME,
            "order_approved_at": _TIME,
            "order_delivered_carrier_date": _TIME,
            "order_delivered_customer_date": _TIME,
            "order_estimated_delivery_date": _TIME,
        },
        required=True,
    ),
    "staged_customers": File(
        "olist_customers_dataset.csv",
        {
            "customer_id": _TEXT,
            "customer_unique_id": _TEXT,
            "customer_zip_code_prefix": _TEXT,
            "customer_city": _TEXT,
            "customer_state": _TEXT,
        },
        required=True,
    ),
    "staged_items": File(
        "olist_order_items_dataset.csv",
        {
            "order_id": _TEXT,
            "order_item_id": _WHOLE,
            "product_id": _TEXT,
            "seller_id": _TEXT,
            "price": _MONEY,
            "freight_value": _MONEY,
        },
        required=True,
    ),
    "staged_payments": File(
        "olist_order_payments_dataset.csv",
        {
            "order_id": _TEXT,
            "payment_type": _TEXT,
            "payment_installments": _WHOLE,
            "payment_value": _MONEY,
        },
        required=True,
    ),
    "staged_products": File(
        "olist_products_dataset.csv", {"product_id": _TEXT, "product_category_name": _TEXT}
    ),
    "staged_sellers": File(
        "olist_sellers_dataset.csv", {"seller_id": _TEXT, "seller_state": _TEXT}
    ),
    "staged_translation": File(
        "product_category_name_translation.csv",
        {"product_category_name": _TEXT, "product_category_name_english": _TEXT},
    ),
    "staged_reviews": File(
        "olist_order_reviews_dataset.csv",
        {
            "review_id": _TEXT,
            "order_id": _TEXT,
            "review_score": _WHOLE,
            "review_answer_timestamp": _TIME,
        },
    ),
}


def absent_files(folder: Path) -> tuple[str, ...]:
    """Return the optional files that are not there; raise when a required one is not."""
    holds = "name the one that holds olist_orders_dataset.csv and the data set's other files"
    try:
        if not folder.exists():
            raise DataError(f"{folder}: there is no such folder; {holds}")
        if not folder.is_dir():
            raise DataError(f"{folder}: is not a folder; {holds}")
        absent = [file for file in FILES.values() if not (folder / file.name).exists()]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {in_a_line(error)}") from error
    missing = [file.name for file in absent if file.required]
    if missing:
        raise DataError(
            f"{folder}: there is no {' and no '.join(missing)} in this folder; the Olist data set "
            "needs it under its published name"
        )
    return tuple(file.name for file in absent)


def staging_sql(folder: Path, table: str, file: File) -> str:
    """Return SQL that copies the needed columns of a file, or none of its rows if it is absent."""
    path = folder / file.name
    if not path.exists():
        body = ", ".join(f"{name} {kind}" for name, kind in file.columns.items())
        return f"create or replace temp table {table} ({body})"
    header = _header(path)
    _check_header(path, header, file)
    # Naming every column leaves nothing to guess; those not needed may even share a name.
    kinds = ", ".join(
        f"{quote_text(name if name in file.columns else f'other_{i}')}: "
        f"{quote_text(file.columns.get(name, _TEXT))}"
        for i, name in enumerate(header)
    )
    wanted = ", ".join(quote_name(name) for name in file.columns)
    return (
        f"create or replace temp table {table} as select {wanted} "
        f"from read_csv({quote_path(path)}, auto_detect = false, header = true, "
        f"delim = ',', quote = '\"', escape = '\"', columns = {{{kinds}}})"
    )


def _header(path: Path) -> list[str]:
    """Return the column names of a CSV file; a byte-order mark is not part of the first."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {in_a_line(error)}") from error


def _check_header(path: Path, header: list[str], file: File) -> None:
    if not header:
        raise DataError(f"{path}: is empty; it needs a header with {', '.join(file.columns)}")
    for name in file.columns:
        if name not in header:
            raise DataError(
                f"{path}: there is no column {name!r}; {suggest(name, set(header))}; the file's "
                "published columns are needed as they are"
            )
        if header.count(name) > 1:
            raise DataError(f"{path}: column {name!r} stands in the header twice; remove one")


def in_a_line(error: Exception) -> str:
    """Return the lines of an error that say where and what, as one."""
    lines = [line.strip() for line in str(error).splitlines()]
    return "; ".join([line for line in lines if line][:3])
