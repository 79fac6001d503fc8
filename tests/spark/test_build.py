"""Builds on a cluster, by the command line: the published tables are those of DuckDB."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import pytest

from tests.support.parity import check_rows, in_order
from whyrank.published.sample import in_sample
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.publish import read_published

from .cluster import Cluster
from .sharing import whyrank

pytestmark = [
    pytest.mark.spark,
    pytest.mark.xdist_group("spark-build"),
    pytest.mark.usefixtures("shared"),
]
FEW = 25  # users that the driver reads itself


def published(url: str) -> tuple[dict[str, list[tuple[object, ...]]], str]:
    """Return the rows of every published file, and the bound of the sample in them."""
    build = read_published(open_warehouse(url), "media")
    found = {}
    with duckdb.connect() as con:
        for path in sorted(build.folder.glob("*.parquet")):
            # By name: a column that folders are named after comes last.
            names = sorted(row[0] for row in con.execute(f"describe from '{path}'").fetchall())
            listed = ", ".join(f'"{name}"' for name in names)
            rows = con.execute(f"select {listed} from '{path}'").fetchall()
            found[path.name] = in_order(rows)
    return found, build.info.sampled_below


@pytest.fixture(scope="module")
def built(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Load and build in two steps on both engines; give the URLs."""
    folder = tmp_path_factory.mktemp("built")
    whyrank(folder, "generate", "--spec", "media", "--users", "60", "--days", "12",
            "--out", "log.parquet")  # fmt: skip
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        # The second part brings days that are new and days that the first one had brought.
        for name, which in (("first", "<"), ("second", ">=")):
            con.execute(
                f"copy (select * from '{folder}/log.parquet' where (hash(event_id) % 5 = 0 or "
                f"event_time >= timestamptz '2026-01-08 00:00:00+00')::int {which} 1) "
                f"to '{folder}/{name}.parquet' (format parquet)"
            )
    urls = {
        "spark": f"{cluster.master}?folder={folder}/spark&sample={FEW}",
        "duck": f"duckdb:///{folder}/duck.duckdb",
    }
    for url in urls.values():
        words = ("--spec", "media", "--warehouse", url)
        whyrank(folder, "ingest", "first.parquet", "--users-file", "log_users.parquet", *words)
        whyrank(folder, "build", *words)
        whyrank(folder, "ingest", "second.parquet", *words)
        out = f"{'spark' if 'spark' in url[:5] else 'duck'}.csv"
        whyrank(folder, "build", "--as-of", "2026-01-11", "--as-of", "2026-01-13",
                "--out", out, *words)  # fmt: skip
    return urls


def test_builds_in_two_steps_publish_what_duckdb_does(built: dict[str, str]) -> None:
    (there, bound), (here, everyone) = published(built["spark"]), published(built["duck"])
    assert bound
    assert not everyone
    assert there.keys() == here.keys()
    duck = read_published(open_warehouse(built["duck"]), "media")
    with duckdb.connect() as con:
        (kept,) = con.execute(
            f"select count(*) from '{duck.snapshot()}' where {in_sample('user_id', bound)}"
        ).fetchone() or (0,)
    assert 0 < kept < len(here[duck.snapshot().name])
    for name, rows in here.items():
        expected = rows
        if name.startswith(("user_", "outcomes", "experiment_units")):
            at = _place(built["duck"], name)
            expected = [row for row in rows if sampled(str(row[at]), bound)]
            assert 0 < len(expected) < len(rows)
        check_rows(name, expected, there[name])
    assert len(there[duck.snapshot().name]) == kept


def sampled(user_id: str, bound: str) -> bool:
    return hashlib.md5(user_id.encode(), usedforsecurity=False).hexdigest()[:8] < bound


def _place(url: str, name: str) -> int:
    """Return where user_id stands among a file's columns in the order of their names."""
    path = read_published(open_warehouse(url), "media").folder / name
    with duckdb.connect() as con:
        rows = con.execute(f"describe from '{path}'").fetchall()
    return sorted(row[0] for row in rows).index("user_id")


def test_a_spreadsheet_holds_everybody(built: dict[str, str]) -> None:
    folder = open_warehouse(built["spark"]).files.parent
    here, there = ((folder / f"{name}.csv").read_text().splitlines() for name in ("duck", "spark"))
    assert len(here) > 2 * FEW
    assert here == there


def test_everybody_is_held_beside_the_sample(built: dict[str, str]) -> None:
    there = read_published(open_warehouse(built["spark"]), "media")
    here = read_published(open_warehouse(built["duck"]), "media")
    with duckdb.connect() as con:
        for name in ("outcomes", "user_details"):
            both = [
                con.execute(f"select user_id from '{place}' order by all").fetchall()
                for place in (there.everyone(name) / "*.parquet", here.table(name))
            ]
            assert both[0] == both[1]
        files = there.everyone("user_features") / "**" / "*.parquet"
        for day in here.as_of_dates:
            found = con.execute(
                f"select count(*), sum(active_days_28d) from read_parquet('{files}', "
                "hive_partitioning = true) where as_of = ?",
                [day],
            ).fetchone()
            expected = con.execute(
                f"select count(*), sum(active_days_28d) from '{here.snapshot(day)}'"
            ).fetchone()
            assert found == expected


def test_scores_by_points_are_those_of_duckdb(built: dict[str, str], tmp_path: Path) -> None:
    for engine, url in built.items():
        (tmp_path / engine).mkdir()
        whyrank(tmp_path, "score", "--spec", "media", "--warehouse", url, "--top", "7",
                "--out", f"{engine}/top_users.csv")  # fmt: skip
    columns = "rank, user_id, score, label, scorecard_reasons"
    with duckdb.connect() as con:
        here, there = (
            con.execute(f"select {columns} from '{tmp_path}/{engine}/top_users.csv'").fetchall()
            for engine in ("duck", "spark")
        )
        assert len(here) == 7
        assert here == there
        folder = open_warehouse(built["spark"]).files
        everyone = "select rank, user_id, score, label::varchar from '{}' order by all"
        assert (
            con.execute(
                everyone.format(f"{folder}/media/scores/2026-01-13.parquet/*.parquet")
            ).fetchall()
            == con.execute(everyone.format(f"{tmp_path}/duck/all_scores.parquet")).fetchall()
        )
    user = here[3][1]
    said = [
        whyrank(tmp_path, "explain", str(user), "--spec", "media", "--warehouse", url)
        for url in built.values()
    ]
    assert said[0] == said[1]
