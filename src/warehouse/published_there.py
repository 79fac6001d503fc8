"""The published copy on a Postgres server, for readers on other machines.

One schema per spec holds the last few builds, the tables of each named after it, and a table that
lists them, of which the last is current. So a build that is published touches no table that
somebody reads, and whoever may read the schema's tables may read later ones as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import WarehouseError
from ..spec.expressions import quote_name
from .engine import Connection
from .extract import Extract

_NO_TABLE = "42P01"  # Postgres's code for a table that is not there


def published_schema(spec_name: str) -> str:
    """Return the schema in which a spec's published tables stand.

    >>> published_schema("saas")
    'saas_published'
    """
    return f"{spec_name}_published"


def published_name(table: str, build_id: str) -> str:
    """Return what a build's copy of a table is called.

    >>> published_name("outcomes", "20260401T101500-0a1b2c")
    'outcomes_20260401T101500-0a1b2c'
    """
    return f"{table}_{build_id}"


def publish_there(
    con: Connection,
    marts: str,
    spec_name: str,
    build: tuple[str, str],
    tables: Sequence[str],
    check: Callable[[], None],
) -> None:
    """Copy tables of the schema `marts` under a build's name and make it the current one.

    build: its id and what readers are told of it. check: called when all is copied. What it
    raises, or any other failure, leaves everything as it was once the connection is closed.
    """
    schema = quote_name(published_schema(spec_name))
    build_id, info = build
    con.execute("begin")
    con.execute(f"create schema if not exists {schema}")
    con.execute(
        f"create table if not exists {schema}.builds (number bigint generated always as identity "
        "primary key, build_id text not null, tables text[] not null, info text not null)"
    )
    for name in tables:
        copy = f"{schema}.{quote_name(published_name(name, build_id))}"
        con.execute(f"create table {copy} as select * from {quote_name(marts)}.{name}")
    con.execute(
        f"insert into {schema}.builds (build_id, tables, info) values (?, ?, ?)",
        [build_id, list(tables), info],
    )
    check()
    con.execute("commit")


def current_there(spec_name: str) -> str:
    """Return the query of what readers are told of the current build."""
    schema = quote_name(published_schema(spec_name))
    return f"select info from {schema}.builds order by number desc limit 1"


def is_published_there(con: Connection, spec_name: str) -> bool:
    """Return whether any build was ever published, readable or not."""
    found = con.execute(
        "select count(*) from pg_catalog.pg_tables where schemaname = ? and tablename = 'builds'",
        [published_schema(spec_name)],
    ).fetchone()
    return bool(found and found[0])


def hold_there(extract: Extract, spec_name: str, build_id: str, tables: Sequence[str]) -> None:
    """Keep a build's tables from being dropped until the extraction ends.

    Raises WarehouseError when they are gone.
    """
    import adbc_driver_manager  # extracts come from it; loading it takes time

    schema = quote_name(published_schema(spec_name))
    names = [f"{schema}.{quote_name(published_name(name, build_id))}" for name in tables]
    try:
        extract.first(f"lock table {', '.join(names)} in access share mode")
    except adbc_driver_manager.Error as error:
        if error.sqlstate != _NO_TABLE:
            raise
        raise WarehouseError(
            f"build {build_id} was replaced before it could be fetched: run this again"
        ) from None


def forget_there(con: Connection, spec_name: str, kept: int) -> None:
    """Drop all but the last few builds, except what somebody is reading at this moment."""
    from psycopg.errors import LockNotAvailable

    schema = quote_name(published_schema(spec_name))
    old = con.execute(
        f"select build_id, tables from {schema}.builds order by number desc offset {kept}"
    ).fetchall()
    for build_id, tables in old:
        names = [f"{schema}.{quote_name(published_name(name, build_id))}" for name in tables]
        con.execute("begin")
        try:
            con.execute(f"lock table {', '.join(names)} in access exclusive mode nowait")
            con.execute(f"drop table {', '.join(names)}")
            con.execute(f"delete from {schema}.builds where build_id = ?", [build_id])
        except LockNotAvailable:
            con.execute("rollback")
        else:
            con.execute("commit")
