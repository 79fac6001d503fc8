"""Kills while a store is created, models registered, a champion promoted, a build or list written.

Whatever the moment, the state before stands or the next one, every command goes on working, and
the next run comes to the same as one that was never disturbed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.support import processes
from tests.support.csv_rows import csv_rows
from tests.support.homes import Home
from tests.support.shops import SPEC, write_orders
from whyrank.files import sole_user
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.pipeline.train import train
from whyrank.spec.load import parse_spec
from whyrank.tracking import local_store
from whyrank.warehouse.open import open_warehouse

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("kills-of-stores")]

SHOP = ("--spec", "shop.toml", "--warehouse", "duckdb:///w.duckdb")
TRAIN = ("train", "--candidates", "logistic", "--folds", 1, *SHOP)
LIST = Path("list", "top_users.csv")
Known = dict[Path, int]  # files that were there before, and their inodes
Moment = Callable[[Path, Known], bool]


@dataclass(frozen=True)
class World:
    """A shop: its folder once fitted, before anything was logged, and once trained; its lists."""

    fitted: Path
    trained: Path
    compared: str
    lists: dict[str, list[tuple[str, str]]]


def run(home: Home, *words: object) -> str:
    """Run a command, which must end well; return what it printed."""
    done = home.run(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ranked(home: Home, scorer: str = "champion") -> list[tuple[str, str]]:
    """Score; return who is listed in which order with which score."""
    run(home, "score", "--scorer", scorer, "--top", 40, "--out", LIST, *SHOP)
    return [(row["user_id"], row["score"]) for row in csv_rows(home.folder / LIST)]


def compared(home: Home) -> str:
    """Return what `compare` prints of the last training."""
    return run(home, "compare", "--spec", "shop.toml")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = Home(tmp_path_factory.mktemp("shop"))
    text = SPEC.partition("[training.purchases]")[0]
    home.write("shop.toml", text)
    write_orders(home.folder / "orders.parquet")
    spec, warehouse = parse_spec(text), open_warehouse(f"duckdb:///{home.folder}/w.duckdb")
    ingest(spec, warehouse, events=home.folder / "orders.parquet")
    build(spec, warehouse)
    run(home, *TRAIN)
    fitted = home.folder.with_name(f"{home.folder.name}-fitted")
    shutil.copytree(home.folder, fitted, ignore=shutil.ignore_patterns("mlflow"))
    lists = {name: ranked(home, name) for name in ("scorecard", "logistic")}
    assert lists["scorecard"] != lists["logistic"]
    return World(fitted, home.folder, compared(home), lists)


def copy_of(folder: Path, place: Path) -> Home:
    shutil.copytree(folder, place, symlinks=True)
    return Home(place)


def killed(home: Home, words: Sequence[object], moment: Moment) -> bool:
    """Start a command and kill it at a moment; return whether it was still running then."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("WHYRANK_")}
    known = {path: path.stat().st_ino for path in home.folder.glob("**/*")}
    process = processes.start([str(word) for word in words], home.folder, env)
    while not process.ended(0.001) and not moment(home.folder, known):
        pass
    process.kill()
    done = process.end()
    assert done.returncode in {0, -9}, done.stderr
    return done.returncode == -9


class Elapsed:
    """Holds from so many seconds after it was first asked on."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, 0.0

    def __call__(self, folder: Path, known: Known) -> bool:
        """Return whether they are over."""
        del folder, known
        now = time.monotonic()
        self._end = self._end or now + self._seconds
        return now >= self._end


def there(pattern: str, least: int = 1, size: int = 0) -> Moment:
    """Hold once so many new files of a pattern are there, of so many bytes each."""

    def holds(folder: Path, known: Known) -> bool:
        try:
            found = [(path, path.stat()) for path in folder.glob(pattern)]
        except FileNotFoundError:
            return False
        new = [is_now for path, is_now in found if known.get(path) != is_now.st_ino]
        return len(new) >= least and all(is_now.st_size >= size for is_now in new)

    return holds


CREATION = [
    there("mlflow/.mlflow.db.whyrank-*"),
    there("mlflow/.mlflow.db.whyrank-*/new", size=1),
    there("mlflow/mlflow.db"),
    there("mlflow/.mlflow.db.whyrank-*/new", size=300_000),
]
REGISTRATION = [
    there("mlflow/artifacts/models/*"),
    there("mlflow/artifacts/models/*/artifacts/MLmodel"),
    there("mlflow/artifacts/models/*", least=2),
    there("mlflow/artifacts/*/artifacts/comparison.json"),
]
WRITING = [
    there("list/.top_users.csv.whyrank-*"),
    there("list/.top_users.csv.whyrank-*/all_scores.parquet"),
    there("list/.top_users.csv.whyrank-*/reasons.csv"),
    there("list/.top_users.csv.whyrank-*/top_users.csv"),
    there("list/reasons.csv"),
]
LOGGING = [
    there("tmp/.scorer.whyrank-*/*"),
    there("tmp/.scoring.whyrank-*/*"),
]
PUBLISHING = [
    there("w/shop/published/.2*.whyrank-*"),
    there("w/shop/published/.2*.whyrank-*/build/*.parquet", least=2),
    there("w/shop/published/.current.whyrank-*"),
]


def is_logged(home: Home) -> bool:
    """Whether a training is logged to its end, as the database itself has it."""
    file = home.folder / "mlflow" / "mlflow.db"
    if not file.exists():
        return False
    with closing(sqlite3.connect(file)) as con:
        query = (
            "select count(*) from runs join tags on runs.run_uuid = tags.run_uuid "
            "where tags.key = 'kind' and tags.value = 'training' and runs.status = 'FINISHED'"
        )
        return bool(con.execute(query).fetchone()[0])


def statuses(home: Home) -> list[str]:
    """Return the status of every run, in the order in which they began."""
    with closing(sqlite3.connect(home.folder / "mlflow" / "mlflow.db")) as con:
        return [row[0] for row in con.execute("select status from runs order by start_time")]


def check_training(world: World, home: Home, moments: Sequence[Moment]) -> int:
    """Kill trainings one after the other, then let one end; return how many were running still."""
    hits = 0
    for moment in moments:
        hits += killed(home, TRAIN, moment)
        if is_logged(home):
            assert ranked(home, "logistic") == world.lists["logistic"]
            continue
        # What is registered of a training that did not end is no scorer yet; the store is sound.
        done = home.run("score", "--scorer", "logistic", "--out", LIST, *SHOP)
        assert done.returncode == 2, done.stderr
        assert "no scorer 'logistic' is registered" in done.stderr
    run(home, *TRAIN)
    assert "RUNNING" not in statuses(home)
    assert compared(home) == world.compared
    assert ranked(home, "logistic") == world.lists["logistic"]
    assert ranked(home) == world.lists["scorecard"]  # there is no champion
    assert not list(home.folder.glob("**/.*.whyrank-*"))
    return hits


def champion(home: Home) -> str:
    """Return whose version the alias leads to, as the database itself has it."""
    with closing(sqlite3.connect(home.folder / "mlflow" / "mlflow.db")) as con:
        found = con.execute(
            "select t.value from registered_model_aliases as a join model_version_tags as t "
            "on t.name = a.name and t.version = a.version "
            "where a.alias = 'champion' and t.key = 'scorer'"
        ).fetchone()
    return str(found[0]) if found else ""


def check_promotion(world: World, home: Home, moments: Sequence[Moment]) -> int:
    """Kill promotions, to and fro; each is done or not, and the last one does it."""
    hits, now = 0, ""
    for number, moment in enumerate(moments):
        wanted = ("logistic", "scorecard")[number % 2]
        hits += killed(home, ("compare", "--promote", wanted, "--spec", "shop.toml"), moment)
        assert champion(home) in {now, wanted}
        now = champion(home)
    assert ranked(home) == world.lists[now or "scorecard"]
    run(home, "compare", "--promote", "logistic", "--spec", "shop.toml")
    assert ranked(home) == world.lists["logistic"]
    return hits


def check_list(world: World, home: Home, moments: Sequence[Moment]) -> int:
    """Kill scorings; what stands is of one list, if not all of it, and the last one is whole."""
    temporary = home.folder / "tmp"
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        hits = _check_list(world, home, moments)
    # A list and a model, which a killed scoring leaves there, are somebody's data.
    assert not list(temporary.glob(".*whyrank*"))
    return hits


def _check_list(world: World, home: Home, moments: Sequence[Moment]) -> int:
    hits = 0
    words = ("score", "--scorer", "logistic", "--top", 40, "--out", LIST, *SHOP)
    folder, sets = home.folder / LIST.parent, dict[str, dict[str, bytes]]()
    for scorer in ("logistic", "scorecard"):
        assert ranked(home, scorer) == world.lists[scorer]
        sets[scorer] = {path.name: path.read_bytes() for path in folder.iterdir()}
    for moment in moments:
        for path in folder.glob("[!.]*"):
            path.unlink()
        for name, text in sets["scorecard"].items():
            (folder / name).write_bytes(text)
        hits += killed(home, words, moment)
        found = {path.name: path.read_bytes() for path in folder.glob("[!.]*")}
        assert any(found.items() <= whole.items() for whole in sets.values()), set(found)
    run(home, *words)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == sets["logistic"]
    return hits


def check_publishing(world: World, home: Home, moments: Sequence[Moment]) -> int:
    """Kill builds of the same log; what is published ranks as before, and the next build ends."""
    hits = 0
    for moment in moments:
        hits += killed(home, ("build", "--full", *SHOP), moment)
        assert ranked(home, "logistic") == world.lists["logistic"]
    run(home, "build", *SHOP)
    assert ranked(home, "logistic") == world.lists["logistic"]
    assert not list((home.folder / "w").glob("**/.*.whyrank-*"))
    return hits


def test_a_killed_training_leaves_a_sound_store_and_no_scorer(world: World, tmp_path: Path) -> None:
    home = copy_of(world.fitted, tmp_path / "home")
    moments = [CREATION[-1], REGISTRATION[-1]]
    assert check_training(world, home, moments) == len(moments)
    assert "KILLED" in statuses(home)


def test_a_run_that_is_being_logged_is_not_taken_for_a_killed_one(
    world: World, tmp_path: Path
) -> None:
    home = copy_of(world.fitted, tmp_path / "home")
    spec = parse_spec((home.folder / "shop.toml").read_text(encoding="utf-8"))
    warehouse = open_warehouse(f"duckdb:///{home.folder}/w.duckdb")
    found = []

    def score_meanwhile(said: str) -> None:
        if said == "logging logistic":
            ranked(home, "scorecard")  # leaves a run too, and so looks for killed ones
            found.extend(statuses(home))

    store = local_store(home.folder / "mlflow")
    train(spec, warehouse, store, candidates=["logistic"], folds=1, log=score_meanwhile)
    assert sorted(found) == ["FINISHED", "FINISHED", "RUNNING"]  # the card's, the list's
    assert set(statuses(home)) == {"FINISHED"}


def test_a_killed_promotion_is_done_or_not(world: World, tmp_path: Path) -> None:
    home = copy_of(world.trained, tmp_path / "home")
    began = time.monotonic()
    run(home, "compare", "--promote", "scorecard", "--spec", "shop.toml")
    seconds = time.monotonic() - began
    with closing(sqlite3.connect(home.folder / "mlflow" / "mlflow.db")) as con:
        con.execute("delete from registered_model_aliases")
        con.commit()
    moments = [Elapsed(share * seconds) for share in (0.4, 0.6, 0.75)]
    assert check_promotion(world, home, moments) >= 1


def test_a_killed_scoring_leaves_no_list_of_two_scorers(world: World, tmp_path: Path) -> None:
    home = copy_of(world.trained, tmp_path / "home")
    assert check_list(world, home, WRITING) >= 1


def test_a_killed_scoring_leaves_no_list_among_temporary_files(
    world: World, tmp_path: Path
) -> None:
    assert check_list(world, copy_of(world.trained, tmp_path / "home"), LOGGING) == len(LOGGING)


def test_a_killed_publication_leaves_the_build_before_or_the_next(
    world: World, tmp_path: Path
) -> None:
    home = copy_of(world.trained, tmp_path / "home")
    assert check_publishing(world, home, PUBLISHING[1:]) >= 1


@pytest.mark.slow
def test_the_same_training_twice_at_once_is_one(world: World, tmp_path: Path) -> None:
    home = copy_of(world.fitted, tmp_path / "home")
    (folder,) = (home.folder / "w" / "shop" / "training").iterdir()
    env = dict(os.environ)
    with sole_user(folder):  # until both are there
        both = [processes.start([str(w) for w in TRAIN], home.folder, env) for _ in range(2)]
        for each in both:
            while "the same training is under way: waiting for it to end" not in each.said():
                assert not each.ended(0.01), each.said()
    done = [each.end() for each in both]
    assert [each.returncode for each in done] == [0, 0], done
    assert done[0].stdout == done[1].stdout  # the id of the run is in its last line
    with closing(sqlite3.connect(home.folder / "mlflow" / "mlflow.db")) as con:
        assert con.execute("select count(*) from model_versions").fetchone() == (2,)
    assert compared(home) == world.compared


KINDS = {
    "train": check_training,
    "promote": check_promotion,
    "score": check_list,
    "build": check_publishing,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "kills", "words"),
    [
        ("train", 60, TRAIN),
        ("promote", 50, ("compare", "--promote", "logistic", "--spec", "shop.toml")),
        ("score", 60, ("score", "--scorer", "logistic", "--out", LIST, *SHOP)),
        ("build", 30, ("build", "--full", *SHOP)),
    ],
)
def test_at_two_hundred_moments(
    world: World, tmp_path: Path, kind: str, kills: int, words: tuple[object, ...]
) -> None:
    """Ten at a time on a copy: aimed ones, and others drawn over the time that it takes."""
    aimed = {
        "train": [*CREATION, *REGISTRATION],
        "score": [*WRITING, *LOGGING],
        "build": PUBLISHING,
    }
    rng = np.random.default_rng(kills)
    began = time.monotonic()
    run(copy_of(world.fitted if kind == "train" else world.trained, tmp_path / "timed"), *words)
    seconds = time.monotonic() - began
    hits = 0
    for number in range(kills // 10):
        home = copy_of(world.fitted if kind == "train" else world.trained, tmp_path / f"{number}")
        moments = [*aimed.get(kind, [])[: 10 * (number == 0)]]
        moments += [Elapsed(share * seconds) for share in rng.uniform(0, 1, 10 - len(moments))]
        hits += KINDS[kind](world, home, moments)
        shutil.rmtree(home.folder)
    assert hits >= kills // 2
