"""Builds on a Postgres server, for readers on other machines.

One schema per spec holds the last few builds, the tables of each named after it, and a table that
lists them, of which the last is current. So a build that is published touches no table that
somebody reads, and roles that may read the schema's tables may read later ones as well.
"""

from __future__ import annotations

from collections.abc import Callable

from ....errors import WarehouseError
from ....published.build import BuildInfo
from ....spec.expressions import quote_name
from ...contracts import Connection, Extract

_NO_TABLE = "42P01"  # Postgres's code for a table that is not there


class PostgresBuilds:
    """The builds of one spec on a server; `contracts.SharedBuilds` says what each method does.

    >>> builds = PostgresBuilds("saas")
    >>> builds.schema, builds.table("outcomes", "20260401T101500-0a1b2c")
    ('saas_published', 'outcomes_20260401T101500-0a1b2c')
    """

    def __init__(self, spec_name: str) -> None:
        self.schema = f"{spec_name}_published"
        self._quoted = quote_name(self.schema)
        self.current_query = f"select info from {self._quoted}.builds order by number desc limit 1"

    def table(self, name: str, build_id: str) -> str:
        """Return what a build's copy of a table is called."""
        return f"{name}_{build_id}"

    def publish(
        self, con: Connection, marts: str, info: BuildInfo, check: Callable[[], None]
    ) -> None:
        """Copy a build's tables from the schema `marts` and make it the current one, in one step.

        What `check` raises, or any other failure, leaves everything as it was once the connection
        is closed.
        """
        tables = ["user_features", *info.tables]
        con.execute("begin")
        con.execute(f"create schema if not exists {self._quoted}")
        con.execute(
            f"create table if not exists {self._quoted}.builds (number bigint generated always as "
            "identity primary key, build_id text not null, tables text[] not null, "
            "info text not null)"
        )
        for name in tables:
            con.execute(
                f"create table {self._copy(name, info.build_id)} as "
                f"select * from {quote_name(marts)}.{name}"
            )
        con.execute(
            f"insert into {self._quoted}.builds (build_id, tables, info) values (?, ?, ?)",
            [info.build_id, tables, info.to_json()],
        )
        check()
        con.execute("commit")

    def exist(self, con: Connection) -> bool:
        """Return whether any build was ever published, readable or not."""
        found = con.execute(
            "select count(*) from pg_catalog.pg_tables "
            "where schemaname = ? and tablename = 'builds'",
            [self.schema],
        ).fetchone()
        return bool(found and found[0])

    def hold(self, extract: Extract, info: BuildInfo) -> None:
        """Keep a build's tables from being dropped until the extraction ends.

        Raises WarehouseError when they are gone.
        """
        import adbc_driver_manager  # extracts come from it; loading it takes time

        names = [self._copy(name, info.build_id) for name in ("user_features", *info.tables)]
        try:
            extract.first(f"lock table {', '.join(names)} in access share mode")
        except adbc_driver_manager.Error as error:
            if error.sqlstate != _NO_TABLE:
                raise
            raise WarehouseError(
                f"build {info.build_id} was replaced before it could be fetched: run this again"
            ) from None

    def forget(self, con: Connection, kept: int) -> None:
        """Drop all but the last few builds, except what somebody is reading at this moment."""
        from psycopg.errors import LockNotAvailable

        builds = f"{self._quoted}.builds"
        old = con.execute(
            f"select build_id, tables from {builds} order by number desc offset {kept}"
        ).fetchall()
        for build_id, tables in old:
            names = [self._copy(name, build_id) for name in tables]
            con.execute("begin")
            try:
                con.execute(f"lock table {', '.join(names)} in access exclusive mode nowait")
                con.execute(f"drop table {', '.join(names)}")
                con.execute(f"delete from {builds} where build_id = ?", [build_id])
            except LockNotAvailable:
                con.execute("rollback")
            else:
                con.execute("commit")

    def _copy(self, name: str, build_id: str) -> str:
        return f"{self._quoted}.{quote_name(self.table(name, build_id))}"
