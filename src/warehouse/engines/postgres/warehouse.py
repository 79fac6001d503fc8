"""Postgres as the warehouse: its URL, its connections, its lock and its profile for dbt.

A password stands in the URL, in PGPASSWORD or in ~/.pgpass; it is handed on to dbt through the
environment, and appears in no file, message or log of ours. TLS is asked for as libpq does it, in
the URL: ?sslmode=verify-full&sslrootcert=…
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ....errors import BusyError, UsageError, WarehouseError, WhyrankError
from ...base import Warehouse
from ...contracts import Connection, Cursor, Extract, Loader, Lock
from .dialect import POSTGRES
from .errors import advice
from .publish import PostgresBuilds

SECRET: Final = "DBT_ENV_SECRET_WHYRANK_PASSWORD"  # noqa: S105 - a name; dbt keeps it out of logs
FOLDER: Final = Path("data")
_LOCK: Final = int.from_bytes(hashlib.sha256(b"whyrank").digest()[:4], "big") >> 1
_CONNECT_SECONDS: Final = 10
# A peer that is gone without a word is missed after two minutes, on either side.
_KEEPALIVES: Final = {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 6}


class PostgresConnection:
    """A connection on which statements are run as on DuckDB's, parameters marked by ?."""

    def __init__(self, con: psycopg.Connection[Any]) -> None:
        self._con = con

    def execute(self, query: Any, parameters: Any = None, /) -> Cursor:
        """Run one statement; each is a transaction of its own unless one was begun."""
        if parameters is None:
            return self._con.execute(query)
        return self._con.execute(query.replace("%", "%%").replace("?", "%s"), parameters)


class PostgresWarehouse(Warehouse):
    """A database of a Postgres server.

    >>> PostgresWarehouse("postgresql://ana:secret@db.example/shop?sslmode=require").name
    'postgresql://ana@db.example:5432/shop'
    """

    dialect = model_dialect = POSTGRES

    def __init__(self, url: str) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            # Its message would repeat a piece of the URL, perhaps of the password.
            raise UsageError(
                "the warehouse's Postgres URL cannot be read: write "
                "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for @, %2F for / and "
                "%25 for % in a password"
            ) from None
        if not given.get("dbname"):
            raise UsageError(
                "the warehouse's Postgres URL names no database: write "
                "postgresql://USER@HOST/DATABASE"
            )
        self._given: dict[str, Any] = {
            "connect_timeout": _CONNECT_SECONDS,
            **_KEEPALIVES,
            **given,
        }

    @property
    def name(self) -> str:
        """The URL without password and options; what it leaves out is libpq's to say."""
        known = {**_defaults(), **self._given}
        user = f"{self._given['user']}@" if self._given.get("user") else ""
        host = known.get("host") or known.get("hostaddr") or known.get("service") or "localhost"
        return f"postgresql://{user}{host}:{known['port']}/{self._given['dbname']}"

    @property
    def files(self) -> Path:
        """A folder under data/ named after host, port and database."""
        place = self.name.removeprefix("postgresql://").rpartition("@")[2]
        return FOLDER / ("postgres-" + re.sub(r"[^\w.-]", "-", place))

    @property
    def uri(self) -> str:
        """What libpq connects with: holds the password, and is shown nowhere."""
        return make_conninfo(**self._given)

    def exists(self) -> bool:
        """Whether anything can have been loaded: why it cannot be reached is reported elsewhere."""
        return True

    @contextmanager
    def connect(self) -> Iterator[PostgresConnection]:
        """Connect, and close at the end.

        Raises WarehouseError when the server cannot be reached or refuses, or a statement fails.
        """
        with self.translated(), self._connected() as con:
            yield PostgresConnection(con)

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.uri, autocommit=True) as con:
            con.execute("set timezone = 'UTC'")  # whatever options or PGTZ say
            yield con

    @contextmanager
    def reading(self) -> Iterator[PostgresConnection]:
        """Connect for reading alone: the server refuses anything else."""
        with self.connect() as con:
            con.execute("set default_transaction_read_only = on")
            yield con

    @contextmanager
    def writing(self) -> Iterator[Lock]:
        """Keep other writers out until the end, by a lock that ends with its connection.

        Raises WarehouseError when another process is writing.
        """
        with self.translated(), self._connected() as con:
            got = con.execute("select pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
            if not got or not got[0]:
                raise BusyError(
                    f"warehouse {self.name}: another ingest or build is under way: wait for it to "
                    "end, then run this again"
                )
            # The connection does nothing for as long as dbt runs: it must not be ended for that,
            # and the server must notice soon when we are gone.
            con.execute("set idle_session_timeout = 0")
            for name, value in _KEEPALIVES.items():
                con.execute(f"set tcp_{name} = {value}")
            yield Lock(check=lambda: self._check(con))

    def _check(self, con: psycopg.Connection[Any]) -> None:
        """Raise WarehouseError unless a connection still holds the lock."""
        try:
            held = con.execute(
                "select count(*) from pg_locks where locktype = 'advisory' and granted "
                "and pid = pg_backend_pid() and classid = 0 and objid = %s",
                [_LOCK],
            ).fetchone()
            reason = "" if held and held[0] else "it is not held any more"
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0]
        if reason:
            raise WarehouseError(
                f"warehouse {self.name}: the lock that keeps other writers out was lost "
                f"({reason}): nothing more was written; run this again"
            )

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn Postgres's errors into a WarehouseError of one line that holds no secret."""
        try:
            yield
        except WhyrankError:
            raise
        except psycopg.Error as error:
            raise WarehouseError(f"warehouse {self.name}: {advice(str(error))}") from None

    def advice(self, message: str) -> str:
        """Return one line, with what to do about it, for an error message of Postgres's."""
        return advice(message)

    def loader(self) -> AbstractContextManager[Loader]:
        """Open the database for loading, other writers kept out until the end."""
        from .load import into_postgres  # its driver loads pandas

        return into_postgres(self, self.uri)

    def extract(self, con: Connection, schema: str) -> AbstractContextManager[Extract]:
        """Open a schema for extraction, on a connection of its own."""
        del con
        from .extract import extracting  # its driver loads pandas

        return extracting(self.uri, self.name, schema)

    def shared_builds(self, spec_name: str) -> PostgresBuilds:
        """Return the builds that the server keeps."""
        return PostgresBuilds(spec_name)

    def profile(self, schema: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return dbt's settings for building into a schema, and its environment variables.

        dbt's own settings know few of libpq's. So a connection is made first, and dbt is given
        the server it led to; everything else goes by libpq's own variables.

        Raises WarehouseError when the server cannot be reached.
        """
        with self.translated(), self._connected() as con:
            info = con.info
            given = info.get_parameters()
            password = info.password
            target = {
                "type": "postgres",
                "host": info.host,
                "port": info.port,
                "user": info.user,
                "password": f"{{{{ env_var('{SECRET}', '') }}}}",
                "dbname": info.dbname,
                "schema": schema,
                "threads": 1,
                "connect_timeout": int(given.get("connect_timeout", _CONNECT_SECONDS)),
                "keepalives_idle": int(given["keepalives_idle"]),
                "application_name": given.get("application_name", "dbt"),
                "retries": 0,
            }
        variables = {
            option.envvar.decode(): given[option.keyword.decode()]
            for option in psycopg.pq.Conninfo.get_defaults()
            if option.envvar and option.keyword.decode() in given
        }
        # A service would come between: what it says is in the other variables by now.
        return target, {**variables, "PGSERVICE": "", "PGTZ": "UTC", SECRET: password}


def _defaults() -> dict[str, str]:
    """Return what libpq takes where a URL says nothing, from the environment and its own."""
    options = psycopg.pq.Conninfo.get_defaults()
    return {o.keyword.decode(): o.val.decode() for o in options if o.val is not None}
