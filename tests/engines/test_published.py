"""Builds published on Postgres while readers fetch them: each reader has one build, whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest

from whyrank.errors import WarehouseError
from whyrank.published.build import TABLES, BuildInfo, Published
from whyrank.spec.model import Spec
from whyrank.warehouse import publish as publishing
from whyrank.warehouse.contracts import Lock
from whyrank.warehouse.engines.postgres.extract import PostgresExtract
from whyrank.warehouse.engines.postgres.publish import PostgresBuilds
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.publish import KEPT_BUILDS, publish, read_published

from .conftest import Server

pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("postgres-runs")]
FIRST = BuildInfo("b0", "saas", "1", ("2026-04-01",), "", "", 1, TABLES)


class Shop:
    """A database whose marts hold one row each, which says of which build it is."""

    def __init__(self, url: str) -> None:
        # Whoever waits for a lock fails instead: nobody may wait for anybody here.
        self.store = open_warehouse(url + "?options=-c%20lock_timeout%3D60s")
        self.url = url
        self.count = 0
        with psycopg.connect(url) as con:
            con.execute("create schema saas_marts")
            con.execute(
                "create table saas_marts.user_features (user_id text, as_of date, build text)"
            )
            for name in TABLES:
                con.execute(f"create table saas_marts.{name} (build text)")

    def build(self, spec: Spec) -> Published:
        """Make the marts anew and publish them."""
        build_id = f"b{self.count}"
        self.count += 1
        with psycopg.connect(self.url) as con:
            for name in ("user_features", *TABLES):
                con.execute(f"truncate saas_marts.{name}")
                con.execute(f"insert into saas_marts.{name} (build) values ('{build_id}')")
            con.execute("update saas_marts.user_features set user_id = 'u', as_of = '2026-04-01'")
        with self.store.connect() as con:
            return publish(con, self.store, spec, replace(FIRST, build_id=build_id), Lock())

    def there(self) -> set[str]:
        """The builds of which any table is left on the server."""
        with psycopg.connect(self.url) as con:
            rows = con.execute(
                "select tablename from pg_tables where schemaname = 'saas_published'"
            ).fetchall()
        return {name.rpartition("_")[2] for (name,) in rows if name != "builds"}


@pytest.fixture
def shop(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    return Shop(postgres.new_database())


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forget what this machine has fetched, as if the reader were on another one."""
    places = iter(range(100))

    def move() -> None:
        place = Path(f"machine{next(places)}")
        place.mkdir()
        monkeypatch.chdir(place)

    return move


def builds_in(copy: Published) -> set[str]:
    """Which builds the rows of a fetched copy are of."""
    files = sorted(copy.folder.glob("*.parquet"))
    assert len(files) == 1 + len(TABLES)
    return {build for path in files for build in pq.read_table(path)["build"].to_pylist()}


def while_fetching(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something once, after the next fetch has written its first table."""
    write = PostgresExtract.write
    waiting = [act]

    def writing(self: Any, table: str, path: Path, **how: str) -> None:
        write(self, table, path, **how)
        if waiting:
            waiting.pop()()

    monkeypatch.setattr(PostgresExtract, "write", writing)


def test_a_reader_keeps_its_build_while_others_are_published(
    shop: Shop, saas: Spec, away: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five builds are published in the middle of a fetch: nobody waits, nothing is mixed."""
    shop.build(saas)
    away()

    def five_builds() -> None:
        for _ in range(5):
            shop.build(saas)

    while_fetching(monkeypatch, five_builds)
    copy = read_published(shop.store, "saas")
    assert copy.info.build_id == "b0"
    assert builds_in(copy) == {"b0"}
    assert shop.there() == {"b0", "b3", "b4", "b5"}  # what was being read is kept meanwhile
    assert builds_in(read_published(shop.store, "saas")) == {"b5"}
    shop.build(saas)
    assert shop.there() == {"b4", "b5", "b6"}
    assert len(shop.there()) == KEPT_BUILDS


def test_a_reader_takes_what_is_current_when_it_begins_to_fetch(
    shop: Shop, saas: Spec, away: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks whether there is something to fetch, then builds come, then it fetches."""
    shop.build(saas)
    away()
    look = publishing._shared_build

    def looking(*given: Any) -> BuildInfo:
        seen = look(*given)
        for _ in range(KEPT_BUILDS + 1):
            shop.build(saas)
        away()
        return seen

    monkeypatch.setattr(publishing, "_shared_build", looking)
    copy = read_published(shop.store, "saas")
    assert copy.info.build_id == f"b{KEPT_BUILDS + 1}"
    assert builds_in(copy) == {copy.info.build_id}


def test_a_build_that_is_gone_before_it_is_held_is_told(
    shop: Shop, saas: Spec, away: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.build(saas)
    away()
    hold = PostgresBuilds.hold

    def holding(*given: Any) -> None:
        for _ in range(KEPT_BUILDS):
            shop.build(saas)
        hold(*given)

    with monkeypatch.context() as patch:
        patch.setattr(PostgresBuilds, "hold", holding)
        # Those that are published in between hold theirs as usual.
        patch.setattr(shop, "build", _without(patch, hold, shop.build))
        with pytest.raises(WarehouseError, match="build b0 was replaced before .* run this again"):
            read_published(shop.store, "saas")
    assert builds_in(read_published(shop.store, "saas")) == {f"b{KEPT_BUILDS}"}


def _without(patch: pytest.MonkeyPatch, hold: Any, build: Callable[[Spec], Published]) -> Any:
    def building(spec: Spec) -> Published:
        patch.setattr(PostgresBuilds, "hold", hold)
        return build(spec)

    return building


def test_two_readers_fetch_the_same_build_at_once(
    shop: Shop, saas: Spec, away: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.build(saas)
    away()
    both = threading.Barrier(2, timeout=600)  # each has its first table before either goes on
    write = PostgresExtract.write

    def writing(self: Any, table: str, path: Path, **how: str) -> None:
        write(self, table, path, **how)
        if table.startswith("user_features"):
            both.wait()

    monkeypatch.setattr(PostgresExtract, "write", writing)
    found: list[Published] = []
    readers = [
        threading.Thread(target=lambda: found.append(read_published(shop.store, "saas")))
        for _ in range(2)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert [copy.info.build_id for copy in found] == ["b0", "b0"]
    assert all(builds_in(copy) == {"b0"} for copy in found)
    left = sorted(path.name for path in found[0].folder.parent.iterdir())
    assert left == ["b0", "current"]


def test_a_lock_that_is_lost_publishes_nothing(shop: Shop, saas: Spec) -> None:
    def lost() -> None:
        raise WarehouseError("the lock was lost")

    shop.build(saas)
    info = replace(FIRST, build_id="b1")
    with pytest.raises(WarehouseError, match="lost"), shop.store.connect() as con:
        publish(con, shop.store, saas, info, Lock(check=lost))
    assert shop.there() == {"b0"}
    assert read_published(shop.store, "saas").info.build_id == "b0"
