"""A local store is created whole, and is at home wherever its folder goes."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.shops import Shop
from whyrank.tracking import Store, TrackingError, local_store
from whyrank.tracking.active_scorer import choose_scorer
from whyrank.tracking.client import experiment_of, using

pytestmark = [
    pytest.mark.training,
    pytest.mark.xdist_group("train"),
    pytest.mark.usefixtures("mlflows_stores"),
]


def log(store: Store, text: str) -> str:
    """Log a run with one file; return its id."""
    with using(store) as ml, ml.start_run(experiment_id=experiment_of(store, ml, "mine")) as run:
        ml.log_text(text, "said.txt")
        return str(run.info.run_id)


def read(store: Store, run: str) -> str:
    with using(store) as ml:
        return str(ml.artifacts.load_text(f"runs:/{run}/said.txt"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def addresses(file: Path) -> list[str]:
    """Return every row of a store's database that leads to files, whatever its table."""
    with closing(sqlite3.connect(file)) as con:
        return [line for line in con.iterdump() if "file://" in line]


@pytest.fixture(scope="module")
def kept(shop: Shop) -> tuple[Path, str]:
    """The folder of the shop's store, to which a run with one file is added; and that run's id."""
    return shop.folder, log(shop.store, "first")


@pytest.fixture
def copied(kept: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the store in another folder, whose name a URI has to escape."""
    shutil.copytree(kept[0] / "mlflow", tmp_path / "copy # 1" / "mlflow")
    return tmp_path / "copy # 1"


def test_a_copy_is_read_and_written_where_it_is_and_the_original_stays(
    shop: Shop, kept: tuple[Path, str], copied: Path
) -> None:
    original, run = kept
    before, notes = files(original), list[str]()
    store = local_store(copied / "mlflow", warn=notes.append)
    assert read(store, run) == "first"
    (warn,) = notes
    assert f"was moved or copied here from {original / 'mlflow'}" in warn
    assert choose_scorer(shop.spec, "xgboost", store).model is not None
    second = log(store, "second")
    assert read(store, second) == "second"
    assert len(notes) == 1  # once told, it is at home
    assert files(original) == before
    assert not [a for a in addresses(copied / "mlflow" / "mlflow.db") if str(original) in a]
    assert [path.read_text() for path in copied.rglob("said.txt")].count("second") == 1


def test_a_store_that_moved_is_read_without_its_former_place(
    copied: Path, kept: tuple[Path, str], tmp_path: Path
) -> None:
    read(local_store(copied / "mlflow"), kept[1])
    copied.rename(tmp_path / "elsewhere")
    assert read(local_store(tmp_path / "elsewhere" / "mlflow"), kept[1]) == "first"
    # By a link it is still the same place.
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    notes: list[str] = []
    assert read(local_store(tmp_path / "link" / "mlflow", warn=notes.append), kept[1]) == "first"
    assert notes == []


def test_a_database_that_is_copied_alone_reads_its_files_where_they_are_and_writes_here(
    kept: tuple[Path, str], tmp_path: Path
) -> None:
    original, run = kept
    before, notes = files(original), list[str]()
    shutil.copy(original / "mlflow" / "mlflow.db", tmp_path / "alone.db")
    store = Store(f"sqlite:///{tmp_path}/alone.db", Path("mlflow"), notes.append)
    assert read(store, run) == "first"
    assert re.search(r"but for \d+ runs and models whose files are only there", notes[0])
    log(store, "second")
    assert files(original) == before
    (second,) = tmp_path.rglob("said.txt")
    assert second.is_relative_to(tmp_path / "alone_artifacts")


def test_a_copy_that_may_not_be_written_says_so(copied: Path, kept: tuple[Path, str]) -> None:
    file = copied / "mlflow" / "mlflow.db"
    store = local_store(copied / "mlflow")
    with closing(sqlite3.connect(file)) as con:  # root may write whatever its mode
        con.execute("begin exclusive")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("whyrank.tracking.local._PATIENCE", 0.01)
            with pytest.raises(TrackingError) as refused:
                read(store, kept[1])
    assert str(file) in str(refused.value)
    assert "locked" in str(refused.value)


def test_what_a_cut_off_creation_left_is_created_again(tmp_path: Path) -> None:
    """As MLflow's own leaves it: tables that hold nothing, which it cannot use any more."""
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    store = local_store(tmp_path)
    engine = create_engine(store.uri)
    Base.metadata.create_all(engine)
    engine.dispose()
    assert read(store, log(store, "first")) == "first"


def test_a_file_of_somebody_elses_is_not_created_again(tmp_path: Path) -> None:
    theirs, none = tmp_path / "theirs.db", tmp_path / "none.db"
    tables = ["CREATE TABLE runs (miles)", "CREATE TABLE shoes (size)"]
    with closing(sqlite3.connect(theirs)) as con:
        for sql in tables:
            con.execute(sql)
    none.write_bytes(b"no database at all, and long enough to be read as one" * 9)
    before = none.read_bytes()
    for file in (theirs, none):
        with pytest.raises(TrackingError, match=file.name):
            log(Store(f"sqlite:///{file}", tmp_path), "x")
    assert none.read_bytes() == before
    with closing(sqlite3.connect(theirs)) as con:
        query = "select sql from sqlite_master where name in ('runs', 'shoes') order by name"
        assert con.execute(query).fetchall() == [(sql,) for sql in tables]
