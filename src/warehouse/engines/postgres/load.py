"""Load into Postgres: read, checked and named in a local DuckDB, then sent there by COPY.

There, too, a load is one transaction.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import duckdb

from ....database import connect_duckdb
from ....errors import WarehouseError
from ....files import scratch_folder
from ....spec.expressions import quote_name
from ....spec.model import Spec
from ....types import Progress
from ...base import Warehouse, sole_writer
from ...contracts import Loader, LoadResult, Lock
from ...duckdb_errors import memory_limit, translated
from ...landing.identity import KEYS, restating
from ...landing.load import TABLES, create_landing, load
from ...publish import mark_loaded
from ...runs import Run, ended, noted, record
from ...runs import now as clock
from .dialect import POSTGRES
from .errors import advice
from .rows import teach_depth, unfit_for_postgres

_MANY = 10_000  # rows, after which a build that follows at once would be planned on a wrong count


@contextmanager
def into_postgres(warehouse: Warehouse, uri: str) -> Iterator[Loader]:
    """Open a Postgres warehouse for loading, other writers kept out until the end.

    uri: what libpq connects with.

    Raises WarehouseError when it cannot be reached or another process is writing.
    """
    warehouse.files.mkdir(parents=True, exist_ok=True)
    with (
        sole_writer(warehouse) as lock,
        scratch_folder(warehouse.files / "loading") as folder,
        translated(f"loading into {warehouse.name}"),
        connect_duckdb(
            folder / "loading.duckdb",
            config={"memory_limit": memory_limit(), "preserve_insertion_order": False},
        ) as con,
    ):
        for left in warehouse.files.glob("loading.*"):  # of loads that earlier versions began
            shutil.rmtree(left, ignore_errors=True)
        con.execute("set timezone = 'UTC'")
        teach_depth(con)
        yield _PostgresLoader(con, warehouse, uri, lock)


@dataclass(frozen=True)
class _PostgresLoader:
    con: duckdb.DuckDBPyConnection
    warehouse: Warehouse
    uri: str
    lock: Lock

    def load(
        self,
        spec: Spec,
        source: Path | str,
        *,
        kind: str = "events",
        restate: bool = False,
        now: datetime | None = None,
        progress: Progress = lambda *_: None,
    ) -> LoadResult:
        """Check and name rows here, then send them; all of it there, or nothing."""
        run = Run("load", str(source), clock())
        schema = quote_name(spec.landing_schema)
        load_id = self._prepare(spec, schema, kind)
        with noted(run, lambda state: self._note(spec, state)):
            local = load(
                self.con, spec, source, kind=kind, now=now, progress=progress,
                checks=unfit_for_postgres(kind),
            )  # fmt: skip
            result = self._send(schema, load_id, local, run, restate=restate)
        with suppress(WarehouseError):  # as on DuckDB: of loads from this machine
            mark_loaded(self.warehouse, spec.name, load_id)
        return result

    def _send(
        self, schema: str, load_id: int, local: LoadResult, run: Run, *, restate: bool
    ) -> LoadResult:
        """Send what was loaded here, in one transaction with its line in the table of runs."""
        try:
            with adbc.connect(self.uri) as con, con.cursor() as cursor:
                cursor.execute("set timezone = 'UTC'")
                sending = _Sending(self.con, cursor, schema, load_id)
                result = sending.send(local.kind, local, restate=restate)
                sending.record_load(
                    result, replace(ended(run), rows_in=result.read, rows_out=result.accepted)
                )
                self.lock.check()
                con.commit()
        except adbc_driver_manager.Error as error:
            raise WarehouseError(f"warehouse {self.warehouse.name}: {advice(str(error))}") from None
        return result

    def _note(self, spec: Spec, run: Run) -> None:
        with self.warehouse.connect() as there:
            record(there, spec, [run])

    def _prepare(self, spec: Spec, schema: str, kind: str) -> int:
        """Make the landing tables there, empty ones here, and return the load's number."""
        with self.warehouse.connect() as there:
            create_landing(there, spec, POSTGRES)
            found = there.execute(
                f"select coalesce(max(load_id), 0) from {schema}.loads"
            ).fetchone()
            links = (
                there.execute(
                    f"select load_id, line, anonymous_id, user_id, linked_at from {schema}.aliases"
                ).fetchall()
                if kind == "aliases"
                else []
            )
        last = int(found[0]) if found else 0
        self.con.execute(f"drop schema if exists {schema} cascade")
        create_landing(self.con, spec)
        # The number goes on from there; links are few, and a new one must fit all of them.
        self.con.execute(f"insert into {schema}.loads (load_id, kind) values (?, 'before')", [last])
        if links:
            self.con.executemany(
                f"insert into {schema}.aliases (load_id, line, anonymous_id, user_id, linked_at) "
                "values (?, ?, ?, ?, ?)",
                links,
            )
        return last + 1


def _same(columns: Sequence[str]) -> str:
    """Return SQL for equal rows a and k; the first column is never null, and can be hashed."""
    first, *others = columns
    return " and ".join(
        [f"a.{first} = k.{first}", *(f"a.{c} is not distinct from k.{c}" for c in others)]
    )


@dataclass(frozen=True)
class _Sending:
    """One transaction on Postgres that takes a load over from the local database."""

    local: duckdb.DuckDBPyConnection
    cursor: Any
    schema: str
    load_id: int

    def send(self, kind: str, local: LoadResult, *, restate: bool) -> LoadResult:
        """Send rows and refusals; return where they went, as told there."""
        columns = [name for name in TABLES[kind] if not name.startswith("reject_")]
        names = ", ".join(columns)
        mine = f"select {names} from {self.schema}.{kind} where load_id = {self.load_id}"
        self._copy(mine, "arriving")
        self.cursor.execute("analyze arriving")  # nobody else counts a temporary table's rows
        withdrawn = 0
        if restate and kind == "events" and local.accepted:
            withdrawn = self._take_back()
        accepted = 0
        if local.accepted:
            known = [kind, "withdrawn"] if kind == "events" and not restate else [kind]
            accepted = self._counted(
                f"insert into {self.schema}.{kind} ({names}) select {names} from arriving as a "
                f"where {self._unknown(kind, known)}"
            )
        self._quarantine()
        if accepted >= _MANY:
            self.cursor.execute(f"analyze {self.schema}.{kind}")
        return replace(
            local,
            accepted=accepted,
            duplicates=local.duplicates + local.accepted - accepted,
            withdrawn=withdrawn,
        )

    def record_load(self, result: LoadResult, run: Run) -> None:
        """Write down the load and its run."""
        rows = self.local.execute(
            f"select * from {self.schema}.loads where load_id = {self.load_id}"
        ).fetchall()
        _, kind, file, loaded_at, *_ = rows[0]
        self.cursor.execute(
            f"insert into {self.schema}.loads values ($1, $2, $3, $4, $5, $6, $7, $8)",
            [self.load_id, kind, file, loaded_at, result.read, result.accepted,
             result.duplicates, result.quarantined],
        )  # fmt: skip
        self.cursor.execute(
            f"delete from {self.schema}.runs where kind = $1 and name = $2 and started_at = $3",
            [run.kind, run.name, run.started_at],
        )
        self.cursor.execute(
            f"insert into {self.schema}.runs values ($1, $2, $3, $4, $5, $6, $7)",
            list(astuple(run)),
        )

    def _copy(self, sql: str, table: str) -> None:
        """COPY what a local query gives into a temporary table."""
        reader = self.local.execute(sql).to_arrow_reader(100_000)
        self.cursor.adbc_ingest(table, reader, mode="create", temporary=True)

    def _counted(self, statement: str) -> int:
        self.cursor.execute(f"with done as ({statement} returning 1) select count(*) from done")
        return int(self.cursor.fetchone()[0])

    def _quarantine(self) -> None:
        columns = ", ".join(TABLES["quarantine"])
        self._copy(
            f"select {columns} from {self.schema}.quarantine where load_id = {self.load_id}",
            "refused",
        )
        self.cursor.execute(
            f"insert into {self.schema}.quarantine ({columns}) select {columns} from refused as r "
            f"where not exists (select 1 from {self.schema}.quarantine as q where q.kind = r.kind "
            "and q.file = r.file and q.line = r.line and q.raw = r.raw and q.reason = r.reason)"
        )

    def _unknown(self, kind: str, known: Sequence[str]) -> str:
        """Return SQL for a row of `arriving` whose key is in none of these tables.

        Attributes are known when they were the last that was said of a user and a time.
        """
        if kind == "users":
            said = "array_agg(attributes order by {}) as said"
            ever = "coalesce(valid_from, timestamp '-infinity') as since"
            return f"""
                (a.user_id, coalesce(a.valid_from, timestamp '-infinity')) not in (
                    select n.user_id, n.since
                    from (
                        select user_id, {ever}, {said.format("line")}
                        from arriving group by user_id, since
                    ) as n
                    inner join (
                        select user_id, {ever}, {said.format("load_id, line")}
                        from {self.schema}.users
                        where user_id in (select user_id from arriving)
                        group by user_id, since
                    ) as k on n.user_id = k.user_id and n.since = k.since
                    where k.said[cardinality(k.said) - cardinality(n.said) + 1 :] = n.said
                )
            """
        return " and ".join(
            f"not exists (select 1 from {self.schema}.{table} as k where {_same(KEYS[kind])})"
            for table in known
        )

    def _take_back(self) -> int:
        """Let the arriving events stand for all of their UTC days."""
        withdrawing, deleting = restating(self.schema, "arriving", self.load_id)
        withdrawn = self._counted(withdrawing)
        self.cursor.execute(deleting)
        return withdrawn
