"""One machine's cores as the cluster: spark://local[2], from the log to a learned ranking."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.csv_rows import csv_rows

from .cluster import DEFAULTS
from .running import whyrank

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark-processes")]
pytest.importorskip("pyspark", reason="Spark is an extra: pip install whyrank[spark]")


def test_one_machine_is_a_cluster(tmp_path: Path) -> None:
    """Points are DuckDB's; training and scoring by what was trained end well."""
    (tmp_path / "spark-defaults.conf").write_text(DEFAULTS)
    settings = {"SPARK_CONF_DIR": str(tmp_path), "TZ": "Asia/Kolkata"}
    whyrank(tmp_path, "generate", "--spec", "saas", "--users", "800", "--days", "150",
            "--out", "log.parquet")  # fmt: skip
    urls = {"here": "duckdb:///here.duckdb", "there": "spark://local[2]?folder=shared"}
    for url in urls.values():
        words = ("--spec", "saas", "--warehouse", url)
        load = ("ingest", "log.parquet", "--users-file", "log_users.parquet")
        for verb in (load, ("build",)):
            whyrank(tmp_path, *verb, *words, env=settings)
    points = ("score", "--scorer", "scorecard", "--top", "800", "--out", "points.csv")
    whyrank(tmp_path, *points, "--spec", "saas", "--warehouse", urls["here"], env=settings)
    train = ("train", "--candidates", "recency,xgboost", "--folds", "1")
    whyrank(tmp_path, *train, *words, env=settings)
    learned = ("score", "--scorer", "xgboost", "--top", "9", "--out", "learned.csv")
    whyrank(tmp_path, *learned, *words, env=settings)
    rows = csv_rows(tmp_path / "learned.csv")
    here = {row["user_id"]: row for row in csv_rows(tmp_path / "points.csv")}
    for row in rows:
        assert row["scorecard_score"] == here[row["user_id"]]["score"]
        assert row["scorecard_reasons"] == here[row["user_id"]]["scorecard_reasons"]
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, 10)]
    assert all(row["model_reasons"] and row["probability"] for row in rows)
    doctor = whyrank(tmp_path, "doctor", *words, env=settings)
    assert "workers of local[2] run Python" in doctor
