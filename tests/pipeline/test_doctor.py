"""doctor: says what is broken, stale or in doubt, and how to mend it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from tests.support.findings import found
from whyrank.pipeline.build import build
from whyrank.pipeline.doctor import doctor
from whyrank.pipeline.ingest import ingest
from whyrank.published.build import BuildInfo, Published
from whyrank.spec.load import parse_spec, spec_text
from whyrank.spec.model import Spec
from whyrank.warehouse.builds import is_built
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.runs import Run, record


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep away from the runs of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def write_log(path: Path, last: date, *, days: int, thin: int) -> None:
    """Write 20 events a day up to `last`, of which the `thin` last days have one each."""
    times = [
        datetime(last.year, last.month, last.day, i) - timedelta(days=back)
        for back in range(days)
        for i in range(1 if back < thin else 20)
    ]
    rows = [(f"u{i % 7}", time, "page_view") for i, time in enumerate(times)]
    rows.append(("", times[0], "page_view"))
    pd.DataFrame(rows, columns=["user_id", "event_time", "event_name"]).to_csv(path, index=False)


def test_a_sound_and_fresh_build_has_no_warning(saas: Spec, tmp_path: Path) -> None:
    url = f"duckdb:///{tmp_path}/w.duckdb"
    assert found("warning", "saas", url) == [
        f"{tmp_path}/w.duckdb does not exist yet: run `whyrank ingest`",
        f"nothing is built for spec 'saas' in {tmp_path}/w.duckdb: run `whyrank ingest` on your "
        "events, then `whyrank build`",
    ]
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    write_log(tmp_path / "e.csv", yesterday, days=40, thin=0)
    ingest(saas, open_warehouse(url), events=tmp_path / "e.csv")
    assert "something was loaded since the last build: run `whyrank build`" in found(
        "warning", "saas", url
    )
    build(saas, open_warehouse(url))
    assert found("warning", "saas", url) == ["1 rows in quarantine: user_id is missing"]
    assert found("broken", "saas", url) == []
    assert f"volume holds up to {yesterday}" in found("ok", "saas", url)


def test_the_champion_and_what_stands_in_its_way(
    saas: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"duckdb:///{tmp_path}/w.duckdb"
    assert "no training yet: the scorecard ranks; see `whyrank train`" in found("ok", "saas", url)
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").write_text("no database, but long enough to be read as one")
    assert any("mlflow.db" in text for text in found("broken", "saas", url))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert any("cannot be reached" in text for text in found("broken", "saas", url))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://runs")
    assert any("'ftp://runs'" in text for text in found("broken", "saas", url))


def test_a_missing_library_is_named_with_its_fix(
    saas: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoOpenMP:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "lightgbm":
                raise OSError("libgomp.so.1: cannot open shared object file")
            if name == "psycopg":  # what SQLAlchemy takes for postgresql://
                raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")

    for name in ("lightgbm", "psycopg"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoOpenMP(), *sys.meta_path])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ana:secret@127.0.0.1:9/runs")
    broken = found("broken", "saas", f"duckdb:///{tmp_path}/w.duckdb")
    assert any("libgomp1" in text for text in broken)
    assert any("install 'psycopg[binary]'" in text and "secret" not in text for text in broken)


@pytest.mark.parametrize("thin", [2, 3, 6])
def test_a_tail_that_thins_out_is_found_from_three_days_on(
    saas: Spec, tmp_path: Path, thin: int
) -> None:
    url, last = f"duckdb:///{tmp_path}/w.duckdb", date(2026, 3, 31)
    write_log(tmp_path / "e.csv", last, days=40, thin=thin)
    ingest(saas, open_warehouse(url), events=tmp_path / "e.csv")
    build(saas, open_warehouse(url))
    warnings = " ".join(found("warning", "saas", url))
    assert "the newest event is from 2026-03-31" in warnings
    first = last - timedelta(days=thin - 1)
    assert (f"volume collapses from {first} on" in warnings) == (thin >= 3)
    changed = spec_text("saas").replace("medium = 30", "medium = 31")
    (tmp_path / "my.toml").write_text(changed)
    assert parse_spec(changed) != saas
    said = found("warning", str(tmp_path / "my.toml"), url)
    assert "the spec changed since the last build: run `whyrank build`" in said


def test_what_is_broken_says_so(tmp_path: Path) -> None:
    (tmp_path / "w.duckdb").write_text("no database " * 1000)
    assert found("broken", "saas", f"duckdb:///{tmp_path}/w.duckdb") == [
        f"warehouse {tmp_path}/w.duckdb: is not a DuckDB database: name another file"
    ]
    assert "did you mean 'saas'" in found("broken", "sass", "duckdb:///x.duckdb")[0]
    assert "names no database" in found("broken", "saas", "postgres://x")[0]
    assert "is not a DuckDB URL" in found("broken", "saas", "mysql://x/y")[0]


def test_a_build_that_was_cut_off_is_told(saas: Spec, tmp_path: Path) -> None:
    url = f"duckdb:///{tmp_path}/w.duckdb"
    write_log(tmp_path / "e.csv", date(2026, 3, 20), days=5, thin=0)
    ingest(saas, open_warehouse(url), events=tmp_path / "e.csv")
    loads = [text for text in found("ok", "saas", url) if text.startswith("last load: ")]
    assert len(loads) == 1
    assert "101 rows in, 100 out" in loads[0]
    with open_warehouse(url).connect() as con:
        record(con, saas, [Run("build", "touched", datetime(2026, 3, 21, 4, 15))])
    said = found("warning", "saas", url)
    assert (
        "the build of 2026-03-21 04:15 UTC did not end: it was cut off, or still runs; run "
        "`whyrank build` again"
    ) in said


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_whoever_only_looks_leaves_no_trace(saas: Spec, tmp_path: Path) -> None:
    """Neither a table nor a file nor a byte, whatever is there to be seen."""
    url = f"duckdb:///{tmp_path}/w.duckdb"
    store = open_warehouse(url)
    nobody = Published(tmp_path, BuildInfo("b", "saas", "1", (), "", "", 0, ()))
    assert not is_built(saas, store, nobody)
    doctor("saas", url, str(tmp_path / "runs"))
    assert not list(tmp_path.glob("w*"))
    with duckdb.connect(f"{tmp_path}/w.duckdb") as con:
        con.execute("create table mine as select 1 as x")
    before = files(tmp_path)
    assert "nothing is loaded for spec 'saas': run `whyrank ingest`" in found(
        "warning", "saas", url
    )
    assert found("broken", "saas", url) == []
    assert not is_built(saas, store, nobody)
    assert {n: b for n, b in files(tmp_path).items() if n.startswith("w")} == {
        n: b for n, b in before.items() if n.startswith("w")
    }


def test_a_database_of_an_earlier_version_is_read_as_it_is(saas: Spec, tmp_path: Path) -> None:
    url = f"duckdb:///{tmp_path}/w.duckdb"
    write_log(tmp_path / "e.csv", date(2026, 3, 20), days=5, thin=0)
    ingest(saas, open_warehouse(url), events=tmp_path / "e.csv")
    with open_warehouse(url).connect() as con:
        con.execute("drop table saas_landing.runs")
    assert found("broken", "saas", url) == []
    assert f"{tmp_path}/w.duckdb opens; 1 loads" in found("ok", "saas", url)


def test_a_database_that_is_being_written_is_told_in_one_line(saas: Spec, tmp_path: Path) -> None:
    """Whether its writer has the file open at the moment or not; readers may be many."""
    url = f"duckdb:///{tmp_path}/w.duckdb"
    store = open_warehouse(url)
    with store.connect():
        pass
    with store.reading():
        assert found("broken", "saas", url) == []
    code = (
        "import sys; from whyrank.warehouse.open import open_warehouse as o\n"
        "with o(sys.argv[1]).writing():\n print(flush=True); sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout
        writer.stdout.readline()
        said = [text for text in found("warning", "saas", url) if "under way" in text]
        assert found("broken", "saas", url) == []
        writer.communicate(b"\n")
    assert len(said) == 1
    assert "another ingest or build is under way: wait for it to end" in said[0]
    assert found("broken", "saas", url) == []


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ana:secret@host/shop",
        "mysql://ana@host/shop?password=secret",
        "mysql://ana:se/secret?x#secret@host/shop",
        "mysql://host/shop?password=s@secret",
        "ana:secret@host/shop",
        "host/shop?password=secret",
        "duckdb:///shop?password=secret",
        "duckdb://ana:secret@host/shop",
    ],
)
def test_an_unknown_url_is_refused_without_its_secret(url: str) -> None:
    (said,) = [text for text in found("broken", "saas", url) if "warehouse" in text]
    assert "is not a DuckDB URL" in said
    assert "secret" not in said
