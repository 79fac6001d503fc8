"""One Spark session for many tests, dbt inside it: what a new driver costs is paid once.

A driver that starts needs 15 seconds and half a minute more until its code is compiled. Tests that
look at what Spark makes share one; it forgets its tables wherever whyrank would have ended it.
Tests of how drivers start, end and are lost run the command line (`running.whyrank`), and ask for
the fixture `apart`: a process has one session at a time.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tests.support import processes
from whyrank.cli import app
from whyrank.warehouse.dbt_project import child as dbt_process
from whyrank.warehouse.dbt_project import run as dbt_run
from whyrank.warehouse.engines.spark import dbt_hooks
from whyrank.warehouse.engines.spark import session as spark_session
from whyrank.warehouse.engines.spark import warehouse as spark
from whyrank.warehouse.engines.spark.session import end_session, open_session

from .cluster import LISTED_BY_THE_DRIVER, Cluster

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Rows are few: they are interpreted rather than compiled, in stages that are not planned again.
# Files are many, one a day: the driver lists them, and none has a checksum in a file beside it.
SETTINGS = {
    **dict([LISTED_BY_THE_DRIVER]),
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.files.minPartitionNum": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.ui.showConsoleProgress": "false",
}


class Lending:
    """A session that is opened when it is asked for, and kept until somebody needs to be apart."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster, self._folder = cluster, folder
        self._open = contextlib.ExitStack()
        self._session: SparkSession | None = None

    def lend(self) -> SparkSession:
        if self._session is None:
            self._session = self._open.enter_context(sharing(self._cluster.master, self._folder))
        return self._session

    def end(self) -> None:
        self._open.close()
        self._session = None


@contextmanager
def sharing(master: str, folder: Path) -> Iterator[SparkSession]:
    """Give one session to all in this process that ask for one on a master, until the end."""
    session = open_session(master, {**SETTINGS, "spark.sql.warehouse.dir": str(folder)})

    def opened(asked: str, settings: Mapping[str, str]) -> SparkSession:
        del settings  # of the folder of tables without a place of their own, which whyrank's have
        assert asked == master, "another master needs a session of its own"
        forget(session)
        return session

    with pytest.MonkeyPatch.context() as patch:
        for module in (spark, spark_session, dbt_hooks):
            patch.setattr(module, "open_session", opened)
            patch.setattr(module, "end_session", forget, raising=module is not dbt_hooks)
        patch.setattr(dbt_run, "_run", run_dbt)
        patch.setattr(dbt_process, "_end_with_parent", lambda _: None)
        try:
            yield session
        finally:
            end_session(session)


def forget(session: SparkSession) -> None:
    """Leave nothing in the session's catalog; files of tables stay."""
    for (name,) in session.sql("show databases").collect():
        if name != "default":
            session.sql(f"drop database `{name}` cascade")
    session.catalog.clearCache()


def run_dbt(
    arguments: Sequence[str], env: Mapping[str, str], lock: object, look: Callable[[], None]
) -> subprocess.CompletedProcess[str]:
    """Stand in for `dbt_run._run`: dbt in this process, where the session is."""
    if not arguments[5]:
        return processes.run_dbt(arguments, env, lock, look)  # it would keep a DuckDB file open
    printed, before = io.StringIO(), dict(os.environ)
    os.environ.update(env)
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # dbt's own
            code = dbt_process.main(list(arguments[3:]))
    finally:
        os.environ.clear()
        os.environ.update(before)
    return subprocess.CompletedProcess(arguments, code, printed.getvalue(), "")


def whyrank(folder: Path, *words: str) -> str:
    """Run the command line in this process, in a folder; return what it printed."""
    with contextlib.chdir(folder):
        done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout
