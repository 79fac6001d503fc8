"""Load files into landing tables: accepted + duplicate + quarantined = read, or nothing happens.

A load is one transaction. Every row read first enters its table, refused ones with the reason
and raw bytes beside it; then, still inside the transaction, refused rows move to quarantine and
known ones are dropped. So the source is read once, and a kill at any point leaves the state
before the load or after it.

A row's identity is its event_id or, without one, a hash of its content and its occurrence number
in the file: the same file twice changes nothing, a grown file adds its new rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ...events.contract import EVENT_COLUMNS, Shape, shape_aliases, shape_events, shape_users
from ...spec.expressions import quote_name, quote_text, quote_value
from ...spec.model import Spec
from ..contracts import Connection, LoadResult
from ..dialects import DUCKDB, Dialect
from ..runs import Run, ended, noted, record
from ..runs import now as clock
from .identity import (
    GIVEN,
    drop_known_rows,
    drop_repeated_rows,
    name_of_content,
    number_equal_rows,
    refuse_chains,
    repeats,
    retract,
)
from .sources import Opened, open_source

if TYPE_CHECKING:
    from ...types import Progress

CLOCK_SLACK = timedelta(days=1)
_REJECT = {"reject_reason": "varchar", "reject_raw": "blob", "reject_offset": "bigint"}
TABLES: dict[str, dict[str, str]] = {
    "events": {"load_id": "integer", "line": "bigint", **EVENT_COLUMNS, **_REJECT},
    "users": {
        "load_id": "integer",
        "line": "bigint",
        "user_id": "varchar",
        "valid_from": "timestamp",
        "attributes": "varchar",
        **_REJECT,
    },
    "aliases": {
        "load_id": "integer",
        "line": "bigint",
        "anonymous_id": "varchar",
        "user_id": "varchar",
        "linked_at": "timestamp",
        **_REJECT,
    },
    "withdrawn": {
        "load_id": "integer",
        "brought_by": "integer",
        "line": "bigint",
        **EVENT_COLUMNS,
    },
    "quarantine": {
        "load_id": "integer",
        "kind": "varchar",
        "file": "varchar",
        "line": "bigint",
        "byte_offset": "bigint",
        "raw": "blob",
        "reason": "varchar",
    },
    "loads": {
        "load_id": "integer",
        "kind": "varchar",
        "file": "varchar",
        "loaded_at": "timestamp",
        "read": "bigint",
        "accepted": "bigint",
        "duplicates": "bigint",
        "quarantined": "bigint",
    },
    "runs": {
        "kind": "varchar",
        "name": "varchar",
        "started_at": "timestamp",
        "seconds": "double",
        "rows_in": "bigint",
        "rows_out": "bigint",
        "status": "varchar",
    },
    "builds": {
        "build_id": "varchar",
        "fingerprint": "varchar",
        "last_load": "integer",
        "built_at": "timestamp",
    },
}
# Every load looks its ids up among all others, and ids are mostly random: compressing them takes an
# eighth of the time in which rows are written, and saves 12 to 20 bytes of the 31 to 54 of a row.
_AS_THEY_ARE = {("events", "event_id"): " using compression uncompressed"}
SHAPES = {"events": shape_events, "users": shape_users, "aliases": shape_aliases}


def create_landing(con: Connection, spec: Spec, dialect: Dialect = DUCKDB) -> None:
    """Create a spec's landing tables where they are missing; dialect: what `con` speaks."""
    schema = quote_name(spec.landing_schema)
    con.execute(f"create schema if not exists {schema}")
    for table, columns in TABLES.items():
        body = ", ".join(
            f"{name} {dialect.landing_types.get(kind, kind)}"
            + (_AS_THEY_ARE.get((table, name), "") if dialect.refuses_here else "")
            for name, kind in columns.items()
            if dialect.refuses_here or name not in _REJECT
        )
        con.execute(f"create table if not exists {schema}.{table} ({body})")
    for statement in dialect.landing_indexes:
        con.execute(statement.format(schema=schema))


def landing_tables(con: Connection, spec: Spec) -> set[str]:
    """Return which of a spec's landing tables there are, readable or not; none at first."""
    found = con.execute(
        "select tablename from pg_catalog.pg_tables where schemaname = ?", [spec.landing_schema]
    ).fetchall()
    return {row[0] for row in found}


def load(
    con: duckdb.DuckDBPyConnection,
    spec: Spec,
    source: Path | str,
    *,
    kind: str = "events",
    restate: bool = False,
    now: datetime | None = None,
    progress: Progress = lambda *_: None,
    checks: Sequence[tuple[str, str]] = (),
) -> LoadResult:
    """Load events, users or aliases from a file, or from a relation on the connection by name.

    `restate`: the source holds all events of the UTC days in it; earlier ones of these days that
    it does not hold are moved to the table `withdrawn`.
    `checks` refuse rows besides the contract's own: pairs of an SQL condition and a reason.
    `now` bounds event times (a day of slack for clocks that are ahead); the clock when None.
    `progress` is called with the bytes read so far and in all, while a text file is read.

    Raises DataError when the source cannot be read or lacks a column, WarehouseError when it
    cannot be stored; then nothing of it is.
    """
    create_landing(con, spec)
    run = Run("load", str(source), clock())
    with (
        noted(run, lambda state: record(con, spec, [state])),
        _time_zone(con, spec.source.time_zone),
        _transaction(con),
    ):
        schema = quote_name(spec.landing_schema)
        found = con.execute(f"select coalesce(max(load_id), 0) + 1 from {schema}.loads").fetchone()
        load_id = int(found[0]) if found else 1
        with open_source(con, source, progress) as opened:
            shape = SHAPES[kind](spec, opened.fields)
            shape = replace(shape, checks=(*shape.checks, *checks))
            read = _insert(con, spec, kind, opened, shape, load_id, now)
        result = _settle(con, schema, kind, str(source), load_id, read, restate=restate)
        record(con, spec, [replace(ended(run), rows_in=read, rows_out=result.accepted)])
    return result


@contextmanager
def _time_zone(con: duckdb.DuckDBPyConnection, zone: str) -> Iterator[None]:
    """Read times without a zone in this one; outside the transaction, which may have failed."""
    con.execute(f"set timezone = {quote_text(zone)}")
    try:
        yield
    finally:
        con.execute("set timezone = 'UTC'")


@contextmanager
def _transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    con.execute("begin")
    try:
        yield
    except BaseException:
        # After a full disk even this may fail; the file then holds the state before the load.
        with suppress(duckdb.Error):
            con.execute("rollback")
        raise
    con.execute("commit")


def _insert(
    con: duckdb.DuckDBPyConnection,
    spec: Spec,
    kind: str,
    opened: Opened,
    shape: Shape,
    load_id: int,
    now: datetime | None,
) -> int:
    """Insert every row of the source, refused ones with reason and raw bytes; return how many."""
    latest = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None) + CLOCK_SLACK
    table = f"{quote_name(spec.landing_schema)}.{kind}"
    names = [name for name in TABLES[kind] if name in shape.columns]
    shaped = ", ".join(f"{sql} as {name}" for name, sql in shape.columns.items())
    refusals = " ".join(
        f"when {condition} then {quote_text(reason)}" for condition, reason in shape.checks
    ).replace("$latest", f"timestamp '{latest.isoformat(sep=' ')}'")
    values = ", ".join(
        f"case when _reason is null then coalesce(event_id, {name_of_content()}) end"
        if name == "event_id"
        else name
        for name in names
    )
    given = f"when starts_with(event_id, 'h:') then {GIVEN}" if kind == "events" else ""
    done = con.execute(
        f"""
        insert into {table}
            (load_id, line, {", ".join(names)}, reject_reason, reject_raw, reject_offset)
        select {load_id}, _line, {values}, _reason,
            case when _reason is not null then {opened.raw} end,
            case when _reason is not null then _offset {given} end
        from (
            select *, case when _unread is not null then _unread {refusals} end as _reason
            from (
                select {opened.line} as _line, {opened.byte_offset} as _offset,
                    {opened.row} as _row, {opened.fields.reason} as _unread, {shaped}
                from {opened.relation}
            ) as shaped
        ) as checked
        """
    ).fetchone()
    return int(done[0]) if done else 0


def _settle(
    con: duckdb.DuckDBPyConnection,
    schema: str,
    kind: str,
    file: str,
    load_id: int,
    read: int,
    *,
    restate: bool,
) -> LoadResult:
    """Move refused rows to quarantine, drop known ones, and record the load."""
    table = f"{schema}.{kind}"
    duplicates = withdrawn = 0
    if repeats(con, table, kind, load_id, read):
        if kind == "events":
            number_equal_rows(con, table, load_id)
        duplicates += drop_repeated_rows(con, table, kind, load_id)
    if restate and kind == "events":
        withdrawn = retract(con, schema, load_id)
    duplicates += drop_known_rows(con, schema, kind, load_id, restate=restate)
    if kind == "aliases":
        refuse_chains(con, table, load_id)
    reasons = dict(
        con.execute(
            f"""
            select reject_reason, count(*) from {table}
            where load_id = {load_id} and reject_reason is not null
            group by reject_reason order by count(*) desc, reject_reason
            """
        ).fetchall()
    )
    if reasons:
        _quarantine(con, schema, kind, file, load_id)
    accepted = _count(con, f"select count(*) from {table} where load_id = {load_id}")
    refused = sum(reasons.values())
    result = LoadResult(kind, file, read, accepted, duplicates, refused, reasons, withdrawn)
    row = (
        load_id, kind, file, datetime.now(UTC).replace(tzinfo=None), result.read,
        result.accepted, result.duplicates, result.quarantined,
    )  # fmt: skip
    con.execute(f"insert into {schema}.loads values ({', '.join(map(quote_value, row))})")
    return result


def _quarantine(
    con: duckdb.DuckDBPyConnection, schema: str, kind: str, file: str, load_id: int
) -> None:
    """Move a load's refused rows to quarantine, unless the same file brought them before."""
    con.execute(
        f"""
        insert into {schema}.quarantine
        select t.load_id, ?, ?, t.line, t.reject_offset, t.reject_raw, t.reject_reason
        from {schema}.{kind} as t
        where t.load_id = {load_id} and t.reject_reason is not null and not exists (
            select 1 from {schema}.quarantine as q
            where q.kind = ? and q.file = ? and q.line = t.line and q.raw = t.reject_raw
                and q.reason = t.reject_reason
        )
        """,
        [kind, file, kind, file],
    )
    con.execute(
        f"delete from {schema}.{kind} where load_id = {load_id} and reject_reason is not null"
    )


def _count(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    found = con.execute(sql).fetchone()
    return int(found[0]) if found else 0
