"""Who a row is: naming rows without an id, and dropping rows that are already known.

Duplicates are looked for by a 64-bit hash, which is quick, and confirmed by the full key, so that
a collision of hashes never costs a row.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from ...events.contract import EVENT_COLUMNS

_CONTENT = (
    "user_id",
    "epoch_us(event_time)",
    "event_name",
    "value",
    "session_id",
    "experiment_id",
    "variant",
    "platform",
    "device",
    "geo",
    "properties",
)
_AT_ONCE: Final = 16_000_000  # hashes sorted in one go: 128 MB, twice
# Stands in reject_offset of a row that is accepted and brought an id that looks like one of ours.
GIVEN = -1
KEYS = {
    "events": ("event_id",),
    "users": ("user_id", "valid_from", "attributes"),
    "aliases": ("anonymous_id", "user_id", "linked_at"),
}


def name_of_content() -> str:
    """Return SQL for the name of a row without event_id: a hash of its content.

    >>> name_of_content()[:30]
    "'h:' || md5(concat_ws(chr(31),"
    """
    parts = (f"coalesce(cast({column} as varchar), chr(30))" for column in _CONTENT)
    return f"'h:' || md5(concat_ws(chr(31), {', '.join(parts)}))"


def repeats(con: duckdb.DuckDBPyConnection, table: str, kind: str, load_id: int, rows: int) -> bool:
    """Return whether a load of so many rows holds a key twice (or two keys of one hash).

    Hashes are sorted rather than counted apart: a sort reads memory in order, a hash table of
    millions of groups does not, and takes twice as long.
    """
    parts = 1 + rows // _AT_ONCE
    hashes = (
        f"select hash({', '.join(KEYS[kind])}) as hashed from {table} "
        f"where load_id = {load_id} and reject_reason is null"
    )
    if parts == 1:
        return _holds_twice(con, hashes)
    # Many are hashed once and sorted a part at a time, so that memory stays bounded.
    con.execute(f"create or replace temp table hashes as {hashes}")
    try:
        return any(
            _holds_twice(con, f"select hashed from hashes where hashed % {parts} = {part}")
            for part in range(parts)
        )
    finally:
        with suppress(duckdb.Error):  # what failed before is what counts
            con.execute("drop table hashes")


def _holds_twice(con: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Return whether a query's column `hashed` holds a number twice."""
    found = con.execute(sql).fetchnumpy()["hashed"]
    numbers = np.asarray(found).view(np.int64)
    with ThreadPoolExecutor(2) as pool:
        return any(pool.map(_repeats, (numbers[numbers & 1 == bit] for bit in (0, 1))))


def _repeats(numbers: NDArray[np.int64]) -> bool:
    numbers.sort()
    return bool((numbers[1:] == numbers[:-1]).any())


def number_equal_rows(con: duckdb.DuckDBPyConnection, table: str, load_id: int) -> None:
    """Tell apart rows without event_id whose content is the same, by their occurrence in the file.

    The first occurrence of a content in a file is "h:md5", the next "h:md5-2", and so on. A row
    that was given such an id (GIVEN) keeps it.
    """
    mine = f"load_id = {load_id} and reject_reason is null and reject_offset is null"
    con.execute(
        f"""
        update {table} as t set event_id = t.event_id || '-' || cast(n.occurrence as varchar)
        from (
            select rowid as row_id,
                row_number() over (partition by event_id order by line) as occurrence
            from {table}
            where {mine} and event_id in (
                select event_id from {table} where {mine} and event_id like 'h:%'
                group by event_id having count(*) > 1
            )
        ) as n
        where t.rowid = n.row_id and n.occurrence > 1
        """
    )


def drop_repeated_rows(con: duckdb.DuckDBPyConnection, table: str, kind: str, load_id: int) -> int:
    """Delete a load's rows beyond the first line of each key; return how many.

    Of attributes, rows that say what the row before said of the same user and time: one that goes
    back to an earlier value says something.
    """
    mine = f"load_id = {load_id} and reject_reason is null"
    if kind == "users":
        return _changed(
            con,
            f"""
            delete from {table} where {mine} and rowid in (
                select row_id from (
                    select rowid as row_id, attributes, lag(attributes) over (
                        partition by user_id, valid_from order by line
                    ) as before
                    from {table} where {mine}
                ) as following
                where before = attributes
            )
            """,
        )
    keys = ", ".join(KEYS[kind])
    return _changed(
        con,
        f"""
        delete from {table} where {mine} and rowid in (
            select row_id from (
                select rowid as row_id,
                    row_number() over (partition by {keys} order by line) as n
                from {table}
                where {mine} and hash({keys}) in (
                    select hash({keys}) from {table} where {mine}
                    group by hash({keys}) having count(*) > 1
                )
            ) as numbered
            where n > 1
        )
        """,
    )


def drop_known_rows(
    con: duckdb.DuckDBPyConnection, schema: str, kind: str, load_id: int, *, restate: bool
) -> int:
    """Delete a load's rows whose key an earlier load brought; return how many.

    An event that was withdrawn is known as well: only a load that restates its day brings it back.
    Attributes are known when they were the last that was said of a user and a time: what was set
    back to an earlier value is not.
    """
    table = f"{schema}.{kind}"
    if kind == "users":
        return _changed(con, _dropping_known_attributes(table, load_id))
    mine = f"load_id = {load_id} and reject_reason is null"
    first, *others = KEYS[kind]
    # The first column of a key is never null; plain equality lets whole blocks be passed over.
    same = " and ".join(
        [f"a.{first} = b.{first}", *(f"a.{key} is not distinct from b.{key}" for key in others)]
    )
    dropped = 0
    if _any(con, f"select 1 from {table} where load_id < {load_id} limit 1"):
        # A table of their own tells the optimiser how few they are, and where to look for them.
        con.execute(
            f"create or replace temp table arrived as "
            f"select rowid as row_id, {', '.join(KEYS[kind])} from {table} where {mine}"
        )
        con.execute(
            f"create or replace temp table known as select a.row_id from arrived as a "
            f"inner join {table} as b on {same} where b.load_id < {load_id}"
        )
        if _any(con, "select 1 from known limit 1"):
            known = "select row_id from known"
            dropped += _changed(con, f"delete from {table} where {mine} and rowid in ({known})")
        con.execute("drop table known")
        con.execute("drop table arrived")
    withdrawn = f"{schema}.withdrawn"
    if kind == "events" and not restate and _any(con, f"select 1 from {withdrawn} limit 1"):
        dropped += _changed(
            con,
            f"delete from {table} where {mine} and event_id in (select event_id from {withdrawn})",
        )
    return dropped


def _dropping_known_attributes(table: str, load_id: int) -> str:
    """Return a statement that deletes a load's attributes where they were the last that was said.

    All rows of a load for a user and a time count as one saying, so that the same file twice
    changes nothing even where it says several things.
    """
    mine = f"load_id = {load_id} and reject_reason is null"
    same = "{0}.user_id = {1}.user_id and {0}.valid_from is not distinct from {1}.valid_from"
    return f"""
        delete from {table} where {mine} and rowid in (
            select t.rowid
            from {table} as t
            inner join (
                select user_id, valid_from, list(attributes order by line) as said
                from {table} where {mine} group by all
            ) as a on {same.format("t", "a")}
            inner join (
                select user_id, valid_from, list(attributes order by load_id, line) as said
                from {table} where load_id < {load_id} group by all
            ) as k on {same.format("a", "k")}
            where t.{mine.replace(" and ", " and t.")}
                and list_slice(k.said, -len(a.said), -1) = a.said
        )
    """


def retract(con: duckdb.DuckDBPyConnection, schema: str, load_id: int) -> int:
    """Let a load's events stand for all of their UTC days; return how many were withdrawn.

    The load must hold no key twice. What it brings again, unchanged, is left to
    `drop_known_rows`.
    """
    arriving = (
        f"(select * from {schema}.events where load_id = {load_id} and reject_reason is null)"
    )
    withdrawing, *others = restating(schema, arriving, load_id)
    withdrawn = _changed(con, withdrawing)
    for statement in others:
        con.execute(statement)
    return withdrawn


def restating(schema: str, arriving: str, load_id: int) -> tuple[str, str]:
    """Return the two statements by which events of earlier loads give way to arriving ones.

    One rule in SQL that every engine reads: an earlier event that is of a day of the arriving
    ones, or has the id of one, is withdrawn, unless it arrives again word for word. The first
    statement copies it to `withdrawn`, the second deletes it.
    arriving: a table, or a query in parentheses, that holds no id twice.
    """
    events, columns = f"{schema}.events", ", ".join(EVENT_COLUMNS)
    same = " and ".join(f"a.{name} is not distinct from k.{name}" for name in EVENT_COLUMNS)
    withdrawing = (
        f"insert into {schema}.withdrawn (load_id, brought_by, line, {columns}) "
        f"select {load_id}, k.load_id, k.line, {', '.join(f'k.{c}' for c in EVENT_COLUMNS)} "
        f"from {events} as k where k.load_id < {load_id} and ("
        f"cast(k.event_time as date) in (select cast(event_time as date) from {arriving} as d) "
        f"or k.event_id in (select event_id from {arriving} as i)) "
        # That ids are equal follows from the rest; by it, not by all, rows can be looked up.
        f"and not exists (select 1 from {arriving} as a where a.event_id = k.event_id and {same})"
    )
    deleting = (
        f"delete from {events} where load_id < {load_id} "
        f"and event_id in (select event_id from {schema}.withdrawn where load_id = {load_id})"
    )
    return withdrawing, deleting


def refuse_chains(con: duckdb.DuckDBPyConnection, table: str, load_id: int) -> None:
    """Refuse links that would make a chain, or that give one id two users at the same time."""
    con.execute(
        f"""
        update {table} set
            reject_reason = 'links to or from an id that is itself linked: link each anonymous id '
                || 'straight to its user',
            reject_raw = encode(concat_ws(',', anonymous_id, user_id, cast(linked_at as varchar)))
        where load_id = {load_id} and reject_reason is null and (
            user_id in (select anonymous_id from {table} where reject_reason is null)
            or anonymous_id in (
                select user_id from {table} where load_id < {load_id} and reject_reason is null
            )
        )
        """
    )
    con.execute(
        f"""
        update {table} as t set
            reject_reason = 'the same anonymous_id is linked to another user at the same time',
            reject_raw = encode(concat_ws(',', anonymous_id, user_id, cast(linked_at as varchar)))
        where t.load_id = {load_id} and t.reject_reason is null and exists (
            select 1 from {table} as o
            where o.anonymous_id = t.anonymous_id and o.linked_at = t.linked_at
                and o.reject_reason is null and o.user_id <> t.user_id
                and (o.load_id < t.load_id or o.line < t.line)
        )
        """
    )


def _any(con: duckdb.DuckDBPyConnection, sql: str) -> bool:
    return con.execute(sql).fetchone() is not None


def _changed(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    found = con.execute(sql).fetchone()
    return int(found[0]) if found else 0
