"""Builds that are not of what is asked for: refused when the spec changed, told when loads came."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tests.support.csv_rows import csv_rows
from whyrank.cli.text import explanation_lines
from whyrank.errors import UsageError, WarehouseError
from whyrank.pipeline.build import build
from whyrank.pipeline.evaluate import evaluate
from whyrank.pipeline.export import export_features
from whyrank.pipeline.ingest import ingest
from whyrank.pipeline.score import explain, score
from whyrank.reports.figures import waterfall_figure
from whyrank.scoring.lists import refuse_foreign
from whyrank.spec.load import parse_spec
from whyrank.spec.model import Spec
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.open import open_warehouse

TEXT = """
name = "corner"
version = "1"
description = "A corner shop."
[events]
order = { description = "An order." }
visit = { description = "A visit." }
[target]
events = ["order"]
horizon = "2d"
description = "Buys."
[[features]]
name = "spent"
op = "sum"
column = "value"
events = ["order"]
unit = "euros"
description = "Spent."
[[features]]
name = "visits"
op = "count"
events = ["visit"]
unit = "visits"
description = "Visits."
[[features]]
name = "per_visit"
op = "expression"
sql = "spent / visits"
unit = "euros"
description = "Spent a visit."
[[scorecard.terms]]
name = "spent"
feature = "spent"
points = 60
transform = "linear"
cap = 100
reason = "spent {value}, {per_visit} a visit"
[[scorecard.terms]]
name = "per_visit"
feature = "per_visit"
points = 40
transform = "linear"
cap = 50
reason = "{value} a visit"
[bands]
medium = 30
high = 60
"""
LOG = """user_id,event_time,event_name,value
ana,2026-03-01 10:00,order,50
bo,2026-03-01 10:00,visit,
bo,2026-03-01 10:01,order,20
cy,2026-03-02 10:01,visit,
bo,2026-03-02 12:00,order,5
"""
DAYS = [date(2026, 3, 2), date(2026, 3, 3)]


def built(folder: Path) -> tuple[Spec, Warehouse, Path]:
    spec = parse_spec(TEXT, "corner.toml")
    warehouse = open_warehouse(f"duckdb:///{folder}/w.duckdb")
    (folder / "log.csv").write_text(LOG)
    ingest(spec, warehouse, events=folder / "log.csv")
    build(spec, warehouse, as_of=DAYS)
    return spec, warehouse, folder


@pytest.fixture
def corner(tmp_path: Path) -> tuple[Spec, Warehouse, Path]:
    return built(tmp_path)


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> tuple[Spec, Warehouse, Path]:
    """A shop into which nothing is loaded and which is not built again."""
    return built(tmp_path_factory.mktemp("corner"))


def changed(old: str, new: str) -> Spec:
    assert old in TEXT
    return parse_spec(TEXT.replace(old, new, 1), "corner.toml")


READERS: dict[str, Callable[[Spec, Warehouse, Path], object]] = {
    "score": lambda spec, store, folder: score(spec, store, out=folder / "l" / "top_users.csv"),
    "explain": lambda spec, store, _: explain(spec, store, "ana"),
    "evaluate": lambda spec, store, _: evaluate(spec, store, as_of=DAYS[0], horizon="1d"),
    "export": lambda spec, store, folder: export_features(spec, store, folder / "f.csv"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('column = "value"\nevents = ["order"]', 'column = "value"\nevents = ["visit"]'),
        ('events = ["visit"]\n', 'events = ["visit"]\nwindow = "1d"\n'),
        ('sql = "spent / visits"', 'sql = "spent / (visits + 1)"'),
        ("[target]", '[population]\nwhere = "visits > 0"\n[target]'),
        ("[target]", '[sessions]\ngap = "5m"\n[target]'),
        ("[target]", '[source]\ntime_zone = "Europe/Berlin"\n[target]'),
        ('unit = "visits"', 'unit = "visits"\nnull = 3.0'),
    ],
)  # fmt: skip
def test_features_of_another_spec_are_refused(
    read_only: tuple[Spec, Warehouse, Path], reader: str, old: str, new: str
) -> None:
    _, warehouse, folder = read_only
    out = folder / "l" / "top_users.csv"
    out.unlink(missing_ok=True)
    with pytest.raises(WarehouseError, match=r"have changed since \(now 1\+.*run `whyrank build`"):
        READERS[reader](changed(old, new), warehouse, folder)
    assert not out.exists()


@pytest.mark.parametrize("reader", READERS)
def test_words_and_points_may_change_without_a_build(
    read_only: tuple[Spec, Warehouse, Path], reader: str
) -> None:
    _, warehouse, folder = read_only
    READERS[reader](changed('"A visit."', '"Somebody looks in."'), warehouse, folder)
    READERS[reader](changed('unit = "euros"', 'unit = "dollars"'), warehouse, folder)
    READERS[reader](changed("cap = 100", "cap = 50"), warehouse, folder)
    READERS[reader](changed("medium = 30", "medium = 20"), warehouse, folder)


def test_a_build_of_the_new_spec_is_read_again(corner: tuple[Spec, Warehouse, Path]) -> None:
    _, warehouse, folder = corner
    spec = changed('column = "value"\nevents = ["order"]', 'column = "value"\nevents = ["visit"]')
    build(spec, warehouse)
    made = score(spec, warehouse, out=folder / "top_users.csv")
    assert {user.scorecard_score for user in made.users} == {0.0}


def test_loads_that_a_build_does_not_know_are_told(corner: tuple[Spec, Warehouse, Path]) -> None:
    spec, warehouse, folder = corner
    notes: list[str] = []
    out = folder / "top_users.csv"
    score(spec, warehouse, out=out, warn=notes.append)
    assert not notes
    (folder / "more.csv").write_text(LOG + "dee,2026-03-02 11:00,order,7\n")
    ingest(spec, warehouse, events=folder / "more.csv")
    score(spec, warehouse, out=out, warn=notes.append)
    evaluate(spec, warehouse, as_of=DAYS[0], horizon="1d", warn=notes.append)
    explain(spec, warehouse, "ana", warn=notes.append)
    assert len(notes) == 3
    assert all(line.startswith("a file was loaded after build ") for line in notes)
    build(spec, warehouse)
    score(spec, warehouse, out=out, warn=notes.append)
    assert len(notes) == 3


def test_a_file_that_takes_anothers_name_takes_none_of_its_builds(
    corner: tuple[Spec, Warehouse, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    spec, warehouse, folder = corner
    other = tmp_path_factory.mktemp("other")
    shutil.copy(folder / "w.duckdb", other / "w.duckdb")  # a copy is the same warehouse
    shutil.copytree(folder / "w", other / "w")
    with warehouse.connect() as con:  # and writing changes nothing of what it is
        con.execute("create table more as select * from range(100000)")
        con.execute("checkpoint")
    for read in READERS.values():
        read(spec, open_warehouse(f"duckdb:///{other}/w.duckdb"), other)
        read(spec, warehouse, folder)
    (folder / "w.duckdb").unlink()
    with warehouse.connect() as con:
        con.execute("create table t as select 1")
    before = sorted(path.name for path in folder.rglob("*"))
    for read in READERS.values():
        with pytest.raises(WarehouseError, match="was made in another warehouse than .*w.duckdb"):
            read(spec, warehouse, folder)
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_an_id_that_a_link_made_another_persons_is_explained_as_that_person(
    tmp_path: Path,
) -> None:
    spec, warehouse = parse_spec(TEXT, "corner.toml"), open_warehouse(f"duckdb:///{tmp_path}/w.db")
    (tmp_path / "log.csv").write_text(
        LOG + "anon,2026-03-01 11:00,visit,\ntill,2026-03-01 11:00,visit,\n"
    )
    (tmp_path / "links.csv").write_text(
        "anonymous_id,user_id,linked_at\n"
        "anon,ana,2026-03-02 09:30\ntill,ana,2026-03-01 12:00\ntill,bo,2026-03-02 12:00\n"
    )
    ingest(spec, warehouse, events=tmp_path / "log.csv", aliases=tmp_path / "links.csv")
    build(spec, warehouse, as_of=DAYS)
    # Not before the link: of the second day's morning the id is its own user.
    before = explain(spec, warehouse, "anon", as_of=DAYS[0])
    assert (before.user.user_id, before.link) == ("anon", None)
    found = explain(spec, warehouse, "anon")
    ana = explain(spec, warehouse, "ana")
    assert found == replace(ana, link=found.link)
    first, *rest = explanation_lines(found)
    assert first == "anon is ana since 2026-03-02 09:30:00 UTC"
    assert rest == list(explanation_lines(ana))
    both = "'ana' since 2026-03-01 12:00:00 UTC, 'bo' since 2026-03-02 12:00:00 UTC"
    with pytest.raises(WarehouseError, match=f"'till' was linked to 2 people.*: {both}: explain"):
        explain(spec, warehouse, "till")
    # A link that was loaded after the build is none that its snapshots know.
    (tmp_path / "links.csv").write_text("anonymous_id,user_id,linked_at\nnew,bo,2026-03-01 09:30\n")
    ingest(spec, warehouse, aliases=tmp_path / "links.csv")
    with pytest.raises(WarehouseError, match="no user 'new' has an event before 2026-03-03"):
        explain(spec, warehouse, "new")


def test_a_value_without_an_end_stops_nobody_and_is_told(tmp_path: Path) -> None:
    """Ana has orders and no visit: her ratio is no number, and everybody is ranked."""
    spec = changed('"spent / visits"', '"ln(spent / visits) * 10"')
    warehouse = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    (tmp_path / "log.csv").write_text(LOG)
    ingest(spec, warehouse, events=tmp_path / "log.csv")
    notes: list[str] = []
    build(spec, warehouse, as_of=DAYS, warn=notes.append)
    (warn,) = notes
    # Ana's visits are zero, and so is what Cy spent, of which there is no logarithm.
    assert warn.startswith(
        "features.per_visit: 'ln(spent / visits) * 10' has no finite value for 2 of 3 users"
    )
    made = score(spec, warehouse, out=tmp_path / "top_users.csv")
    rows = {row["user_id"]: row["scorecard_reasons"] for row in csv_rows(made.top_users)}
    assert rows["ana"] == "spent 50, unknown a visit, +30"
    assert rows["cy"] == ""
    assert "32.2 a visit, +25.75" in rows["bo"]
    assert explain(spec, warehouse, "ana").user.scorecard_score == 30


def test_a_build_of_nobody_is_not_published(corner: tuple[Spec, Warehouse, Path]) -> None:
    spec, warehouse, folder = corner
    before = score(spec, warehouse, out=folder / "top_users.csv").run_id
    hidden = changed('version = "1"', 'version = "1"\ntrust_until = 2026-03-01')
    with pytest.raises(WarehouseError, match="holds nobody as of 2026-03-03, though events are"):
        build(hidden, warehouse, as_of=DAYS[1:])
    assert score(spec, warehouse, out=folder / "top_users.csv").run_id == before


def test_a_file_is_read_by_its_name_and_no_other(tmp_path: Path) -> None:
    """Brackets, stars and question marks are letters of a name, of files and of folders."""
    spec = parse_spec(TEXT, "corner.toml")
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "other.csv").write_text(LOG.replace("ana", "eve"))
    for place, (name, other) in enumerate(
        (("ev[1].parquet", "ev1.parquet"), ("ev*.parquet", "evil.parquet"),
         ("ev?.parquet", "ev2.parquet"))
    ):  # fmt: skip
        folder = tmp_path / f"f[{place}]"
        folder.mkdir()
        for source, target in (("log.csv", name), ("other.csv", other)):
            pq.write_table(pacsv.read_csv(tmp_path / source), folder / target)
        warehouse = open_warehouse(f"duckdb:///{folder}/w.duckdb")
        (load,) = ingest(spec, warehouse, events=folder / name)
        assert load.accepted == 5
        build(spec, warehouse, as_of=DAYS)
        assert export_features(spec, warehouse, folder / "features.csv") == 3
        users = {row["user_id"] for row in csv_rows(folder / "features.csv")}
        assert users == {"ana", "bo", "cy"}


@pytest.mark.parametrize("name", ["notes.csv", "w.duckdb", "log.csv", "a.parquet", "plot.png"])
@pytest.mark.parametrize("reader", ["score", "export"])
def test_nothing_that_is_not_whyranks_is_replaced(
    read_only: tuple[Spec, Warehouse, Path], name: str, reader: str
) -> None:
    spec, warehouse, folder = read_only
    out = folder / name
    if not out.exists():
        out.write_bytes(b"why,we,left\nprice,1,2\n")
    before = out.read_bytes()
    with pytest.raises(UsageError, match=r"is no list of whyrank's.* choose another name"):
        if reader == "score":
            score(spec, warehouse, out=out)
        else:
            export_features(spec, warehouse, out)
    assert out.read_bytes() == before


def test_what_whyrank_wrote_it_writes_again(
    read_only: tuple[Spec, Warehouse, Path], tmp_path: Path
) -> None:
    spec, warehouse, _ = read_only
    values = np.array([1.0, -0.5])
    for _ in range(2):
        assert export_features(spec, warehouse, tmp_path / "features.csv") == 3
        score(spec, warehouse, out=tmp_path / "mine.csv")
        refuse_foreign([tmp_path / "w.png"])
        waterfall_figure(
            tmp_path / "w.png", "why $1 or $2", ["views 3", "country DE"], values, -2.0
        )


def test_an_earlier_versions_build_is_followed_by_a_full_one(
    corner: tuple[Spec, Warehouse, Path],
) -> None:
    """The models that it made under other names are dropped, and nobody else's tables are."""
    spec, warehouse, folder = corner
    with warehouse.connect() as con:
        con.execute("update corner_landing.builds set fingerprint = 'an earlier one'")
        con.execute("create table corner_marts.touched_users as select 'ana' as user_id")
        con.execute(
            "create view corner_marts.touched_events as select e.* "
            "from corner_marts.user_events as e join corner_marts.touched_users using (user_id)"
        )
        con.execute("create view corner_marts.touched_attributes as select 'ana' as user_id")
        con.execute("create table corner_marts.touched_by_hand as select 1 as n")
    (folder / "later.csv").write_text(
        "user_id,event_time,event_name,value\nana,2026-03-02 12:30,visit,\n"
    )
    ingest(spec, warehouse, events=folder / "later.csv")
    assert build(spec, warehouse, as_of=DAYS).mode == "full"
    with warehouse.connect() as con:
        left = {
            name
            for (name,) in con.execute(
                "select table_name from information_schema.tables "
                "where table_schema = 'corner_marts'"
            ).fetchall()
        }
    assert {name for name in left if name.startswith("touched")} == {"touched_by_hand"}
    assert {"changed_users", "changed_events", "changed_attributes"} <= left
