"""Guess what a stranger's file has: which column is which, and how its times are written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import duckdb

from ..errors import DataError, UsageError
from ..spec.references import suggest

CANDIDATES: dict[str, tuple[str, ...]] = {
    "user_id": ("user_id", "userid", "user", "customer_id", "customer", "visitor_id", "uid",
                "client_id", "account_id", "anonymous_id", "distinct_id", "member", "email"),
    "event_time": ("event_time", "timestamp", "time", "ts", "datetime", "created_at",
                   "occurred_at", "event_timestamp", "date", "when"),
    "event_name": ("event_name", "event", "event_type", "action", "name", "type", "activity"),
    "event_id": ("event_id", "insert_id", "message_id", "uuid", "id"),
    "value": ("value", "amount", "revenue", "price", "total"),
    "platform": ("platform", "os"),
    "device": ("device", "device_type"),
    "geo": ("geo", "country", "region", "location"),
}  # fmt: skip
REQUIRED = ("user_id", "event_time", "event_name")
FITTING_SHARE = 0.9
EPOCHS = ((1e8, 1e10, "epoch_s"), (1e11, 1e13, "epoch_ms"), (1e14, 1e16, "epoch_us"))
DATE_PATTERNS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y%m%d")
CLOCK_PATTERNS = (" %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", "")


def guess_columns(names: Sequence[str], given: Mapping[str, str], where: str) -> dict[str, str]:
    """Match the contract's columns to a file's by their names; each is used once."""
    for key, name in given.items():
        if name not in names:
            raise UsageError(
                f"{where}: there is no column {name!r} ({key}); {suggest(name, names)}"
            )
    plain = {re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"): name for name in names}
    mapping = dict(given)
    for key, candidates in CANDIDATES.items():
        if key in mapping:
            continue
        for candidate in candidates:
            if candidate in plain and plain[candidate] not in mapping.values():
                mapping[key] = plain[candidate]
                break
        if key in REQUIRED and key not in mapping:
            raise DataError(
                f"{where}: no column looks like {key} (looked for {', '.join(candidates[:5])} …); "
                f"the file has: {', '.join(names)}. Name it with --{key.replace('_', '-')}"
            )
    return mapping


def json_names(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the keys of the objects in the sample, in the order in which they appear."""
    found = con.execute(
        "select key from (select unnest(json_keys(f0)) as key, line from rows"
        " where reason is null and try(json_type(f0)) = 'OBJECT')"
        " group by key order by min(line), key"
    ).fetchall()
    return [str(name) for (name,) in found]


def guess_time_format(con: duckdb.DuckDBPyConnection) -> tuple[str, tuple[str, ...]]:
    """Return the format that reads the sample's times, and what there is to say about it.

    A format will do when it reads nine in ten: single bad rows go to quarantine later.
    """
    patterns = [day + clock for day in DATE_PATTERNS for clock in CLOCK_PATTERNS]
    tried = ", ".join(f"count(try_strptime(time, '{pattern}'))" for pattern in patterns)
    found = con.execute(
        "select count(*), mode(time), median(try_cast(time as double)),"
        f" count(try_cast(time as timestamptz)), {tried} from sample where time <> ''"
    ).fetchone()
    rows, example, number, iso, *counts = found or (0, None, None, 0)
    enough = FITTING_SHARE * rows
    if iso >= enough:
        return "iso", ()
    for low, high, name in EPOCHS:
        if number is not None and low <= number < high:
            return name, ()
    best = max(counts)
    fitting = [pattern for pattern, n in zip(patterns, counts, strict=True) if n == best]
    if best < enough:
        return "iso", (
            f"times such as {example!r} are in no format that init knows: set time_format",
        )
    if len(fitting) > 1:
        choices = " and ".join(fitting)
        note = f"times such as {example!r} fit {choices}: the first was taken, see time_format"
        return fitting[0], (note,)
    return fitting[0], ()
