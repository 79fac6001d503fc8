"""One machine's cores as the cluster: spark://local[2], from the log to a learned ranking.

By commands with drivers of their own, as users run them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.csv_rows import csv_rows

from .cluster import DEFAULTS
from .running import whyrank
from .sharing import whyrank as here
from .worlds import DAYS, USERS, spec_file, thinned

pytestmark = [
    pytest.mark.spark,
    pytest.mark.xdist_group("spark-processes"),
    pytest.mark.usefixtures("apart"),
]
pytest.importorskip("pyspark", reason="Spark is an extra: pip install whyrank[spark]")
# What a training of these days asks for: made by one build, so that it has none to make.
DATES = (
    "2026-01-06", "2026-01-11", "2026-01-16", "2026-01-21", "2026-01-26", "2026-02-05",
)  # fmt: skip
WEEK = "2026-01-08"
POINTS = ("score", "--scorer", "scorecard", "--top", str(USERS))


def test_one_machine_is_a_cluster(tmp_path: Path) -> None:
    """A build's points are DuckDB's, and `doctor` has looked at the workers."""
    settings, spec = prepare(tmp_path, 8, (WEEK,))
    words = ("--spec", spec, "--warehouse", "spark://local[2]?folder=shared")
    whyrank(tmp_path, "build", "--as-of", WEEK, *words, env=settings)
    whyrank(tmp_path, *POINTS, "--out", "there.csv", *words, env=settings)
    there, here = (csv_rows(tmp_path / name) for name in ("there.csv", "points.csv"))
    assert len(there) > USERS // 10
    same = ("rank", "user_id", "score", "scorecard_reasons")
    assert [[row[k] for k in same] for row in there] == [[row[k] for k in same] for row in here]
    doctor = whyrank(tmp_path, "doctor", *words, env=settings)
    assert "workers of local[2] run Python" in doctor


@pytest.mark.slow
def test_one_machine_trains_and_scores(tmp_path: Path) -> None:
    """Points are DuckDB's; training and scoring by what was trained end well."""
    settings, spec = prepare(tmp_path, DAYS, DATES)
    words = ("--spec", spec, "--warehouse", "spark://local[2]?folder=shared")
    whyrank(tmp_path, *built(DATES), *words, env=settings)
    train = ("train", "--candidates", "recency,xgboost", "--folds", "1")
    whyrank(tmp_path, *train, *words, env=settings)
    learned = ("score", "--scorer", "xgboost", "--top", "9", "--out", "learned.csv")
    whyrank(tmp_path, *learned, *words, env=settings)
    rows = csv_rows(tmp_path / "learned.csv")
    by_points = {row["user_id"]: row for row in csv_rows(tmp_path / "points.csv")}
    for row in rows:
        assert row["scorecard_score"] == by_points[row["user_id"]]["score"]
        assert row["scorecard_reasons"] == by_points[row["user_id"]]["scorecard_reasons"]
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, 10)]
    assert all(row["model_reasons"] and row["probability"] for row in rows)
    runs = (tmp_path / "shared" / "saas" / "published").iterdir()
    assert sum(path.is_dir() for path in runs) == 1  # the training had no snapshot to make


def built(dates: Sequence[str]) -> tuple[str, ...]:
    return ("build", *(word for day in dates for word in ("--as-of", day)))


def prepare(folder: Path, days: int, dates: Sequence[str]) -> tuple[dict[str, str], str]:
    """Load a log into both warehouses; build and score DuckDB's; return settings and the spec."""
    (folder / "spark-defaults.conf").write_text(DEFAULTS)
    spec = str(spec_file(folder))
    here(folder, "generate", "--spec", spec, "--users", str(USERS), "--days", str(days),
         "--out", "made.parquet")  # fmt: skip
    thinned(folder / "made.parquet", folder / "log.parquet")
    load = ("ingest", "log.parquet", "--users-file", "made_users.parquet")
    on_duck = ("--spec", spec, "--warehouse", "duckdb:///here.duckdb")
    for verb in (load, built(dates), (*POINTS, "--out", "points.csv")):
        here(folder, *verb, *on_duck)
    here(folder, *load, "--spec", spec, "--warehouse", "spark://local[2]?folder=shared")
    return {"SPARK_CONF_DIR": str(folder), "TZ": "Asia/Kolkata"}, spec
