"""Spark as the warehouse: its URL, its sessions, and the folder that all of its machines share.

    spark://HOST:PORT?folder=/shared/whyrank       a cluster
    spark://local[*]?folder=data/spark             this machine's cores

The folder holds a catalog (a DuckDB file: loads, runs, builds, refused rows), the log as Parquet by
UTC day (`spark_log`), and the marts as Parquet. Spark keeps nothing between two runs: each session
is told where the files are.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from ..errors import UsageError, WarehouseError
from ..spec.expressions import quote_name, quote_text
from ..spec.model import Spec
from .dialects import Engine
from .engine import Cursor, DuckDBWarehouse
from .project import landing_schema, marts_schema
from .spark_log import send_log

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

SCHEME: Final = "spark://"
DEFAULT_FOLDER: Final = "data/spark"
SESSION: Final = "session.json"
JAVA: Final = (17, 21)
# Times are UTC without a zone, names stand in double quotes, and what cannot be is an error.
MEANING: Final[Mapping[str, str]] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.catalogImplementation": "in-memory",
    # A table that a killed run left behind is written over.
    "spark.sql.legacy.allowNonEmptyLocationInCTAS": "true",
    "spark.ui.enabled": "false",
}


@dataclass(frozen=True)
class SparkWarehouse(DuckDBWarehouse):
    """A Spark master and the folder that driver and workers share; `path` is the catalog's file."""

    master: str = "local[*]"
    engine: Engine = "spark"

    @property
    def name(self) -> str:
        """The URL."""
        return f"{SCHEME}{self.master.removeprefix(SCHEME)}?folder={self.files}"

    @property
    def files(self) -> Path:
        """The shared folder."""
        return self.path.parent

    def profile(self, schema: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return dbt's settings for building into a schema; there are no secrets."""
        target = {"type": "spark", "method": "session", "schema": schema, "host": "-", "threads": 1}
        return target, {}

    def prepare(self, con: Any, spec: Spec, project: Path) -> None:
        """Write the days that loads touched, and what dbt's process needs to open a session."""
        landing = quote_name(landing_schema(spec))
        tables = {
            f"{landing}.{name}": path for name, path in send_log(con, spec, self.files).items()
        }
        told = {
            "master": self.master,
            "settings": {"spark.sql.warehouse.dir": str((self.files / "spark").resolve())},
            "schemas": [landing, quote_name(marts_schema(spec))],
            "marts": self.location(marts_schema(spec)),
            "tables": {name: str(path.resolve()) for name, path in tables.items()},
        }
        project.mkdir(parents=True, exist_ok=True)
        (project / SESSION).write_text(json.dumps(told, indent=1), encoding="utf-8")

    def adopt(self, con: Any, spec: Spec) -> None:
        """Let the catalog see the tables that Spark made, as views of their files."""
        schema = marts_schema(spec)
        con.execute(f"create schema if not exists {quote_name(schema)}")
        for folder in sorted((self._marts / schema).iterdir()):
            files = quote_text(str(folder.resolve() / "*.parquet"))
            con.execute(
                f"create or replace view {quote_name(schema)}.{quote_name(folder.name)} as "
                f"select * from read_parquet({files})"
            )

    def location(self, schema: str) -> str:
        """Return the folder of a schema's tables."""
        return str((self._marts / schema).resolve())

    @property
    def _marts(self) -> Path:
        return self.files / "marts"


def open_spark(url: str) -> SparkWarehouse:
    """Return the warehouse that a URL names.

    Raises UsageError for another form of URL.

    >>> open_spark("spark://local[2]?folder=/data/shop").master
    'local[2]'
    >>> open_spark("spark://10.0.0.5:7077").name
    'spark://10.0.0.5:7077?folder=data/spark'
    """
    place, _, query = url.removeprefix(SCHEME).partition("?")
    options = parse_qs(query)
    local = re.fullmatch(r"local(\[(\*|\d+)\])?", place)
    if not local and not re.fullmatch(r"[\w.-]+:\d+(,[\w.-]+:\d+)*", place):
        raise UsageError(
            f"warehouse {url!r} names no Spark master: write spark://HOST:PORT (7077 unless the "
            "cluster says otherwise) or spark://local[*], and ?folder=PATH for the shared folder"
        )
    if set(options) - {"folder"}:
        raise UsageError(f"warehouse {url!r}: the only option is folder: ?folder=PATH")
    folder = Path(options.get("folder", [DEFAULT_FOLDER])[0])
    return SparkWarehouse(folder / "catalog.duckdb", master=place if local else f"{SCHEME}{place}")


class _Rows:
    """What a statement gave back, fetched."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = iter(rows)

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        row = next(self._rows, None)
        return None if row is None else tuple(row)

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return [tuple(row) for row in self._rows]


class SparkConnection:
    """A session in which statements are run as on DuckDB, parameters marked by ?."""

    engine: Engine = "spark"

    def __init__(self, session: SparkSession) -> None:
        self.session = session

    def execute(self, query: Any, parameters: Any = None, /) -> Cursor:
        """Run one statement and fetch what it gives, which had better be little."""
        return _Rows(self.session.sql(query, args=list(parameters or ())).collect())


def open_session(master: str, settings: Mapping[str, str]) -> SparkSession:
    """Return this process's Spark session on a master, with our meaning of SQL.

    settings: more of Spark's own. Workers run the Python that runs us.
    """
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(master).appName("whyrank")
    # A machine that is its own cluster need not know its name in a network.
    here = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    alone = here if master.startswith("local") else {}
    for key, value in {**MEANING, **alone, **settings}.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def open_told(project: Path, *, marts: bool = False) -> SparkSession:
    """Return the session that a project's file describes, landing tables in place.

    marts: the tables of an earlier run as well, as views of their files.
    """
    told = json.loads((project / SESSION).read_text(encoding="utf-8"))
    session = open_session(told["master"], told["settings"])
    session.sparkContext.setLogLevel("ERROR")
    for schema in told["schemas"]:
        session.sql(f"create database if not exists {schema}")
    tables = dict(told["tables"])
    if marts:
        schema = told["schemas"][-1]
        folders = sorted(Path(told["marts"]).iterdir())
        tables |= {f"{schema}.{quote_name(each.name)}": str(each) for each in folders}
    for name, path in tables.items():
        session.sql(f"create or replace view {name} as select * from parquet.`{path}`")
    return session


def refuse_without_spark() -> None:
    """Raise WarehouseError unless Spark, dbt's part for it and a Java that it runs on are there."""
    missing = [name for name in ("pyspark", "dbt.adapters.spark") if not _is_there(name)]
    if missing:
        raise WarehouseError(
            f"a spark:// warehouse needs {' and '.join(missing)}, an extra: run "
            "`pip install 'whyrank[spark]'`"
        )
    java = os.environ.get("JAVA_HOME", "")
    program = shutil.which(str(Path(java) / "bin" / "java") if java else "java")
    where = f"JAVA_HOME={java}" if java else "the PATH"
    wanted = "install Java 17 or 21 (Debian: openjdk-17-jre-headless) or point JAVA_HOME at one"
    if program is None:
        raise WarehouseError(f"Spark runs on Java, and {where} has none: {wanted}")
    # What it is, is said on the standard error of a program that is the user's own.
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r'version "(\d+)', said.stderr)
    if not found or int(found[1]) not in JAVA:
        version = f"is Java {found[1]}" if found else "is no Java that answers to -version"
        raise WarehouseError(f"Spark 4.0 runs on Java 17 and 21, and {program} {version}: {wanted}")


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
