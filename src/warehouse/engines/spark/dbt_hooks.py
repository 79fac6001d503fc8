"""What dbt's process needs on Spark: a session that sees the log, and settings that stay ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....spec.expressions import quote_name, quote_text
from .days import Days
from .session import open_session, spark_errors
from .warehouse import SESSION, folder_views, register_views

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def begin(project: Path, command: str) -> None:
    """Open the session that dbt takes, as it takes the one that its process has.

    A data test finds the tables of earlier builds as well. Raises WarehouseError when the session
    cannot be opened.
    """
    stay_strict()
    open_described(project, marts=command == "test")


def make_views(invoke: Callable[[list[str]], object], call: Sequence[str]) -> None:
    """Make the models that are views, which a new session does not have: of a test, or a model."""
    words = [word if word != "test" else "run" for word in call]
    invoke([*words, "--select", "config.materialized:view"])


def end(project: Path) -> None:
    """Leave tables as the next session has to find them."""
    keep_columns(project)


def open_described(project: Path, *, marts: bool = False) -> SparkSession:
    """Return the session that a project's file describes, landing tables in place.

    marts: the tables of an earlier run as well, as views of their files.
    """
    told = json.loads((project / SESSION).read_text(encoding="utf-8"))
    session = open_session(told["master"], told["settings"])
    views = dict(told["views"])
    if marts:
        views |= folder_views(told["schemas"][-1], Days(Path(told["marts"])).tables())
    with spark_errors(told["master"]):
        register_views(session, told["schemas"], views)
        for name, path in told["tables"].items() if not marts else ():
            session.sql(f"create table {name} using parquet location {quote_text(path)}")
            session.sql(f"msck repair table {name}")  # its days, which the catalog has to know
    return session


def stay_strict() -> None:
    """Have dbt leave ANSI on: its Spark adapter turns it off in every credential that it makes.

    Without it sums wrap around, what cannot be is null, and names in double quotes are texts.
    """
    from dbt.adapters.spark.connections import SparkCredentials

    made = SparkCredentials.__post_init__

    def kept(credentials: Any) -> None:
        made(credentials)
        credentials.server_side_parameters["spark.sql.ansi.enabled"] = "true"

    setattr(SparkCredentials, "__post_init__", kept)  # noqa: B010 - typed or not, as dbt is there


def keep_columns(project: Path) -> None:
    """Give tables by day that have no rows a file without any, which says what their columns are.

    The session is the one in which they were made.
    """
    from pyspark.sql import SparkSession

    told = json.loads((project / SESSION).read_text(encoding="utf-8"))
    session = SparkSession.active()
    with spark_errors(told["master"]):
        for folder in Days(Path(told["marts"])).empty():
            table = f"{told['schemas'][-1]}.{quote_name(folder.name)}"
            nothing = session.sql(f"select * from {table} limit 0")
            nothing.coalesce(1).write.mode("append").parquet(str(folder))
