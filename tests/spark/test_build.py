"""A build on Spark, from the command line: the published tables are those of DuckDB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from whyrank.errors import UsageError, WarehouseError
from whyrank.warehouse.engine import open_warehouse
from whyrank.warehouse.spark import refuse_without_spark

from .test_parity import plain, same

pytestmark = pytest.mark.spark


def whyrank(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "whyrank.cli", *words],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def published(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    current = folder / "media" / "published"
    build = current / (current / "current").read_text()
    found = {}
    with duckdb.connect() as con:
        for path in sorted(build.glob("*.parquet")):
            rows = con.execute(f"select * from '{path}'").fetchall()
            found[path.name] = sorted((tuple(map(plain, row)) for row in rows), key=repr)
    return found


def test_builds_in_two_steps_publish_what_duckdb_does(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="Spark is an extra: pip install whyrank[spark]")
    whyrank(tmp_path, "generate", "--spec", "media", "--users", "60", "--days", "12",
            "--out", "log.parquet")  # fmt: skip
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        # The second part brings days that are new and days that the first one had brought.
        for name, which in (("first", "<"), ("second", ">=")):
            con.execute(
                f"copy (select * from '{tmp_path}/log.parquet' where (hash(event_id) % 5 = 0 or "
                f"event_time >= timestamptz '2026-01-08 00:00:00+00')::int {which} 1) "
                f"to '{tmp_path}/{name}.parquet' (format parquet)"
            )
    where = {
        "spark": ("--spec", "media", "--warehouse", "spark://local[2]?folder=spark"),
        "duck": ("--spec", "media", "--warehouse", "duckdb:///duck.duckdb"),
    }
    for engine, words in where.items():
        whyrank(tmp_path, "ingest", "first.parquet", "--users-file", "log_users.parquet", *words)
        whyrank(tmp_path, "build", *words)
        whyrank(tmp_path, "ingest", "second.parquet", *words)
        whyrank(tmp_path, "build", "--check", *words)
        whyrank(tmp_path, "score", "--top", "5", "--out", f"{engine}.csv", *words)
    there, here = published(tmp_path / "spark"), published(tmp_path / "duck")
    assert there.keys() == here.keys()
    for name, rows in here.items():
        assert len(rows) == len(there[name]), name
        for one, other in zip(rows, there[name], strict=True):
            assert all(map(same, one, other)), (name, one, other)
    columns = "rank, user_id, score, label"
    with duckdb.connect() as con:
        lists = [
            con.execute(f"select {columns} from '{tmp_path}/{e}.csv'").fetchall() for e in where
        ]
    assert len(lists[0]) == 5
    assert lists[0] == lists[1]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("spark://", "names no Spark master"),
        ("spark://local[x]", "names no Spark master"),
        ("spark://host", "names no Spark master"),
        ("spark://host:7077?path=x", "the only option is folder"),
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
    pytest.importorskip("pyspark", reason="Spark is an extra: pip install whyrank[spark]")
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(WarehouseError, match=f"{said}.*install Java 17 or 21"):
        refuse_without_spark()


def test_no_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspark", reason="Spark is an extra: pip install whyrank[spark]")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WarehouseError, match=r"the PATH has none: install Java 17 or 21"):
        refuse_without_spark()
