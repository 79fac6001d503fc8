"""Spark as the warehouse: its URL, and the folder that all of its machines share.

    spark://HOST:PORT?folder=/shared/whyrank       a cluster
    spark://local[*]?folder=data/spark             this machine's cores

The folder holds a catalog (a DuckDB file: loads, runs, builds, refused rows), the log as Parquet by
UTC day (`spark_log`), and the marts as Parquet. Spark keeps nothing between two runs: each session
is told where the files are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import unquote

from ....database import quote_path
from ....errors import UsageError
from ....spec.expressions import quote_name
from ....spec.model import Spec
from ...base import Warehouse
from ...contracts import Extract
from ...dialects import Dialect
from ...duckdb_errors import translated
from ..duckdb.warehouse import DuckDBWarehouse
from .days import Days, tables_by_day
from .dialect import SPARK
from .extract import SparkExtract
from .landing_export import export_landing
from .session import (
    SCHEME,
    SparkConnection,
    check_workers,
    end_session,
    in_backticks,
    open_session,
    refuse_unreachable,
    refuse_without_spark,
    spark_advice,
    spark_errors,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SESSION: Final = "session.json"  # in a rendered project: the session that dbt is to have
DEFAULT_FOLDER: Final = "data/spark"
SAMPLE: Final = 100_000
CATALOG_MEMORY: Final = "1GiB"  # beside Spark's own driver, of 1 GiB as it comes


@dataclass(frozen=True)
class SparkWarehouse(DuckDBWarehouse):
    """A Spark master and the folder that driver and workers share; `path` is the catalog's file.

    sample: about how many users, where there are more, the driver reads itself: to compare scorers,
    for example.
    """

    master: str = "local[*]"
    model_dialect: Dialect = SPARK
    memory: str = CATALOG_MEMORY
    sample: int = SAMPLE
    distributed: ClassVar[bool] = True
    # What is replaced of a day cannot be told from what was replaced before a build was cut off.
    resumes: ClassVar[bool] = False
    dbt_hooks: ClassVar[str] = "whyrank.warehouse.engines.spark.dbt_hooks"

    @property
    def name(self) -> str:
        """The URL."""
        return f"{SCHEME}{self.master.removeprefix(SCHEME)}?folder={self.files}"

    @property
    def files(self) -> Path:
        """The shared folder."""
        return self.path.parent

    def advice(self, message: str) -> str:
        """Return one line, with what to do about it, for an error message of Spark's."""
        return spark_advice(message)

    def profile(self, schema: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return dbt's settings for building into a schema; there are no secrets."""
        target = {"type": "spark", "method": "session", "schema": schema, "host": "-", "threads": 1}
        return target, {}

    def check_ready(self) -> None:
        """Raise WarehouseError unless Spark is there and the master answers."""
        refuse_without_spark()
        refuse_unreachable(self.master)

    def can_build_incrementally(self, spec: Spec, files: Mapping[str, str], since: date) -> bool:
        """Return whether every table kept by day has days before `since`.

        After a new link (every day changes) it has none.
        """
        return self._days(spec).can_build_incrementally(tables_by_day(files), since)

    def prepare(
        self,
        spec: Spec,
        project: Path,
        files: Mapping[str, str],
        since: date | None,
        *,
        only: str = "",
    ) -> None:
        """Write the days that loads changed, and what dbt's process needs to open a session.

        Tables that are to be rebuilt are removed, and of tables kept by day the days from `since`
        on are staged: what was published of them is held under names of its own.
        """
        with translated(f"warehouse {self.name}"):
            self._prepare(spec, project, files, since, only)

    def _prepare(
        self, spec: Spec, project: Path, files: Mapping[str, str], since: date | None, only: str
    ) -> None:
        landing = quote_name(spec.landing_schema)
        with self.connect() as con:
            sent = export_landing(con, spec, self.files / "landing")
        views = {f"{landing}.{name}": [str(path.resolve())] for name, path in sent.items()}
        marts, days = quote_name(spec.marts_schema), self._days(spec)
        by_day = {} if since is None else tables_by_day(files)
        days.clear(by_day, only=only)
        tables = {}
        if since is not None:
            days.stage(by_day, since)
            for name in by_day:
                path, aside = str(days.folder / name), str(days.staged / name)
                tables[f"{marts}.{quote_name(name)}"] = path
                found = [path, aside] if any((days.staged / name).iterdir()) else [path]
                views[f"{marts}.{quote_name(f'{name}__before')}"] = found
        if only:
            views |= folder_views(
                marts, [each for each in days.tables() if each.name not in by_day]
            )
        told = {
            "master": self.master,
            "settings": self._settings(),
            "schemas": [landing, marts],
            "marts": str(days.folder),
            "views": views,
            "tables": tables,
        }
        project.mkdir(parents=True, exist_ok=True)
        (project / SESSION).write_text(json.dumps(told, indent=1), encoding="utf-8")

    def register_model(self, con: Any, spec: Spec, name: str) -> None:
        """Let the catalog read a model's table, as a view of its files where they are by now."""
        schema = quote_name(spec.marts_schema)
        files = quote_path(self._days(spec).folder / name, "**/*.parquet")
        con.execute(f"create schema if not exists {schema}")
        con.execute(
            f"create or replace view {schema}.{quote_name(name)} as "
            f"select * from read_parquet({files}, hive_partitioning = true)"
        )

    @contextmanager
    def extract(self, con: Any, schema: str) -> Iterator[Extract]:
        """Open a schema for extraction; `con` is the catalog's, or a session's for marts."""
        if isinstance(con, SparkConnection):
            yield SparkExtract(con, schema)
            return
        with super().extract(con, schema) as extract:
            yield extract

    def examine(self) -> Iterator[str]:
        """Yield what Spark needs here, then whether workers take a session, and what they run."""
        refuse_without_spark()
        yield "pyspark, dbt-spark and a Java that runs Spark are here"
        with self.session() as session:
            found = check_workers(session, self.files)
        yield f"workers of {self.master} run {found}"

    @contextmanager
    def models(self, con: Any, spec: Spec) -> Iterator[SparkConnection]:
        """Open a session that sees what models made; the catalog sees it too."""
        schema, folders = quote_name(spec.marts_schema), self._days(spec).tables()
        for folder in folders:
            self.register_model(con, spec, folder.name)
        with self.session() as session:
            register_views(session, [schema], folder_views(schema, folders))
            yield SparkConnection(session)

    @contextmanager
    def session(self) -> Iterator[SparkSession]:
        """Open a session, with nothing in its catalog, and end it at the end.

        Raises WarehouseError when it cannot be opened, and for what fails inside.
        """
        session = open_session(self.master, self._settings())
        try:
            with spark_errors(self.master):
                yield session
        finally:
            end_session(session)

    def location(self, schema: str) -> str:
        """Return the folder of a schema's tables."""
        return str((self.files / "marts" / schema).resolve())

    def _days(self, spec: Spec) -> Days:
        return Days(Path(self.location(spec.marts_schema)))

    def _settings(self) -> dict[str, str]:
        return {"spark.sql.warehouse.dir": str((self.files / "spark").resolve())}


def session_of(warehouse: Warehouse) -> AbstractContextManager[SparkSession]:
    """Open a session on a distributed warehouse, as `SparkWarehouse.session` does.

    Raises TypeError for another kind of warehouse.
    """
    if not isinstance(warehouse, SparkWarehouse):
        raise TypeError(f"{warehouse.name} has no Spark session")
    return warehouse.session()


def open_spark(url: str) -> SparkWarehouse:
    """Return the warehouse that a URL names.

    Raises UsageError for another form of URL.

    >>> open_spark("spark://local[2]?folder=/data/shop").master
    'local[2]'
    >>> open_spark("spark://10.0.0.5:7077").name
    'spark://10.0.0.5:7077?folder=data/spark'
    """
    place, _, query = url.removeprefix(SCHEME).partition("?")
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    options = {name: unquote(value) for name, _, value in pairs}
    local = re.fullmatch(r"local(\[(\*|\d+)\])?", place)
    if not local and not re.fullmatch(r"[\w.-]+:\d+(,[\w.-]+:\d+)*", place):
        raise UsageError(
            f"warehouse {url!r} names no Spark master: write spark://HOST:PORT (7077 unless the "
            "cluster says otherwise) or spark://local[*], and ?folder=PATH for the shared folder"
        )
    if set(options) - {"folder", "sample"}:
        raise UsageError(
            f"warehouse {url!r}: the only options are folder and sample: ?folder=PATH&sample=USERS"
        )
    sample = options.get("sample", str(SAMPLE))
    if not re.fullmatch(r"[1-9]\d{0,8}", sample):
        raise UsageError(
            f"warehouse {url!r}: sample = {sample!r} must be a number of users, at least 1: leave "
            f"it out for {SAMPLE:,}"
        )
    named = options.get("folder", DEFAULT_FOLDER)
    folder = Path(named)
    if not named or re.search(r"""[*?\[\]{}'"`\\]""", str(folder.resolve())):
        raise UsageError(
            f"warehouse {url!r}: folder = {named!r} must be a path "
            "without quotes and *?[]{}\\, which Spark would read as a pattern, and so must the "
            "folders above it: name another"
        )
    return SparkWarehouse(
        folder / "catalog.duckdb",
        master=place if local else f"{SCHEME}{place}",
        sample=int(sample),
    )


def folder_views(schema: str, folders: list[Path]) -> dict[str, list[str]]:
    """Return the folder of each table, by the name that its view is to have."""
    return {f"{schema}.{quote_name(each.name)}": [str(each)] for each in folders}


def register_views(session: SparkSession, schemas: list[str], views: dict[str, list[str]]) -> None:
    """Make views of the files of one or several folders each."""
    for schema in schemas:
        session.sql(f"create database if not exists {schema}")
    for name, paths in views.items():
        rows = " union all ".join(f"select * from {_parquet(path)}" for path in paths)
        session.sql(f"create or replace view {name} as {rows}")


def _parquet(path: str) -> str:
    return f"parquet.{in_backticks(path)}"
