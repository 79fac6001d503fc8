"""What is missing or wrong around Spark is said in one line, with what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pytest

from whyrank.errors import InstallError, UsageError, WarehouseError
from whyrank.warehouse.engines.spark.session import (
    SparkConnection,
    check_workers,
    end_session,
    open_session,
    refuse_without_spark,
    spark_advice,
    spark_errors,
)
from whyrank.warehouse.open import open_warehouse

from .cluster import Cluster, free_port, running
from .running import run

pytestmark = [
    pytest.mark.spark,
    pytest.mark.xdist_group("spark-processes"),
    pytest.mark.usefixtures("alone"),
]
pytest.importorskip("pyspark", reason="Spark is an extra: pip install whyrank[spark]")


@pytest.fixture(scope="module")
def alone(apart: None) -> Iterator[None]:
    """End the JVM that the sessions of these tests have in common, before others open one."""
    yield
    end_session(open_session("local[1]", {}))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("spark://host:7077?folder=", "must be a path without quotes"),
        ("spark://host:7077?folder=/a/shop[1]", "must be a path without quotes"),
        ("spark://", "names no Spark master"),
        ("spark://local[x]", "names no Spark master"),
        ("spark://host", "names no Spark master"),
        ("spark://host:7077?path=x", "the only options are folder and sample"),
        ("spark://host:7077?sample=0", "must be a number of users, at least 1"),
        ("spark://host:7077?sample=many", "must be a number of users, at least 1"),
    ],
)
def test_a_url_that_names_no_master_is_refused(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_warehouse(url)


@pytest.mark.parametrize(
    ("version", "said"),
    [("11.0.2", "is Java 11"), ("25", "is Java 25"), ("", "is no Java")],
)
def test_another_java_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, said: str
) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(WarehouseError, match=f"{said}.*install Java 17 or 21"):
        refuse_without_spark()


def test_no_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WarehouseError, match=r"the PATH has none: install Java 17 or 21"):
        refuse_without_spark()


def test_no_pyspark_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "whyrank.extras.find_spec",
        lambda name: None if "pyspark" in name else 1,
    )
    with pytest.raises(InstallError, match=r"needs pyspark, which is not .*whyrank\[spark\]"):
        refuse_without_spark()


def test_a_master_that_does_not_answer_is_refused_at_once(tmp_path: Path) -> None:
    url = f"spark://127.0.0.1:{free_port()}?folder={tmp_path}/spark"
    (tmp_path / "log.csv").write_text(
        "user_id,event_time,event_name\nana,2026-01-01 10:00:00,page_view\n"
    )
    assert run(tmp_path, "ingest", "log.csv", "--warehouse", url).returncode == 0
    done = run(tmp_path, "build", "--warehouse", url)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "no Spark master answers (127.0.0.1:" in done.stderr
    assert "Connection refused): start one" in done.stderr


def test_a_cluster_without_a_free_worker_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whyrank.warehouse.engines.spark.session._WORKER_SECONDS", 1.0)
    with running(tmp_path / "alone", workers=0) as alone:
        for name, value in alone.settings.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(WarehouseError, match=r"no worker of spark://.* took the session"):
            open_session(alone.master, {})


@pytest.mark.parametrize(
    "told",
    [
        "[DIVIDE_BY_ZERO] Division by zero.\n== SQL (line 1) ==\nname = 'heartbeat' or 'OOM'",
        "[CAST_INVALID_INPUT] The value 'ZOOM_heartbeat' cannot be cast to BIGINT.",
    ],
)
def test_the_users_own_words_are_no_advice(told: str) -> None:
    assert spark_advice(told) == told.splitlines()[0]


@pytest.fixture
def session(cluster: Cluster, tmp_path: Path) -> Iterator[SparkConnection]:
    opened = open_session(cluster.master, {"spark.sql.warehouse.dir": str(tmp_path)})
    yield SparkConnection(opened)
    opened.stop()


def nothing(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def test_workers_are_looked_at(session: SparkConnection, tmp_path: Path) -> None:
    told = check_workers(session.session, tmp_path / "shared")
    assert list((tmp_path / "shared").iterdir()) == []
    assert told.startswith(f"Python {sys.version.split()[0]}, whyrank ")
    assert told.endswith(" cores")


def test_a_worker_that_cannot_write_to_the_folder_is_told(
    session: SparkConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions stop no root, under which tests may run; so there is a file in the way."""
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    monkeypatch.setattr(
        "whyrank.warehouse.engines.spark.session.scratch_folder", lambda _: nullcontext(in_the_way)
    )
    with pytest.raises(WarehouseError, match=r"cannot write to .*\(Not a directory\)"):
        check_workers(session.session, tmp_path)


def test_a_worker_with_another_python_is_told(session: SparkConnection) -> None:
    # The worker compares its own version with what the driver says it has.
    session.session.sparkContext.pythonVer = "3.9"
    with (
        pytest.raises(
            WarehouseError, match=r"workers run Python 3\.\d+ and the driver 3\.9: start"
        ),
        spark_errors("here"),
    ):
        session.session.range(1).mapInArrow(nothing, "id long").collect()


def test_a_worker_without_the_package_is_told(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python that the environment was made of has none of its packages."""
    bare = str(Path(sys._base_executable).resolve())
    monkeypatch.setenv("PYSPARK_PYTHON", bare)
    opened = open_session(cluster.master, {"spark.sql.warehouse.dir": str(tmp_path)})
    try:
        with pytest.raises(WarehouseError, match=r"a worker's Python has no package \w+: install"):
            check_workers(opened, tmp_path)
    finally:
        opened.stop()


def test_a_worker_without_a_python_is_told(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", "/nowhere/python")
    opened = open_session(cluster.master, {"spark.sql.warehouse.dir": str(tmp_path)})
    try:
        with pytest.raises(WarehouseError, match=r"a worker has no Python at /nowhere/python"):
            check_workers(opened, tmp_path)
    finally:
        opened.stop()
