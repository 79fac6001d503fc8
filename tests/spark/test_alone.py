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
    """The ranking by points is DuckDB's; training and scoring by what was trained end well."""
    (tmp_path / "spark-defaults.conf").write_text(DEFAULTS)
    settings = {"SPARK_CONF_DIR": str(tmp_path), "TZ": "Asia/Kolkata"}
    whyrank(tmp_path, "generate", "--spec", "saas", "--users", "800", "--days", "150",
            "--out", "log.parquet")  # fmt: skip
    urls = {"here": "duckdb:///here.duckdb", "there": "spark://local[2]?folder=shared"}
    for place, url in urls.items():
        words = ("--spec", "saas", "--warehouse", url)
        load = ("ingest", "log.parquet", "--users-file", "log_users.parquet")
        points = ("score", "--scorer", "scorecard", "--top", "9", "--out", f"{place}.csv")
        for verb in (load, ("build",), points):
            whyrank(tmp_path, *verb, *words, env=settings)
    told = ("rank", "user_id", "score", "label", "scorecard_reasons")
    here, there = (
        [[row[name] for name in told] for row in csv_rows(tmp_path / f"{place}.csv")]
        for place in urls
    )
    assert len(here) == 9
    assert here == there
    train = ("train", "--candidates", "recency,xgboost", "--folds", "1")
    whyrank(tmp_path, *train, *words, env=settings)
    learned = ("score", "--scorer", "xgboost", "--top", "9", "--out", "learned.csv")
    whyrank(tmp_path, *learned, *words, env=settings)
    rows = csv_rows(tmp_path / "learned.csv")
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, 10)]
    assert all(row["model_reasons"] and row["probability"] for row in rows)
    doctor = whyrank(tmp_path, "doctor", *words, env=settings)
    assert "workers of local[2] run Python" in doctor
