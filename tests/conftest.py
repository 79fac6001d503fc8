"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, settings

from tests.support import building, one_thread, processes, store_template
from tests.support.examples import examples
from whyrank.pipeline import build
from whyrank.spec.load import load_spec
from whyrank.spec.model import Spec
from whyrank.tracking import local
from whyrank.warehouse.dbt_project import run as dbt_run

pytest_plugins = ["tests.support.fixtures"]
ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"

# The same examples on every run: a failure found once is found again.
settings.register_profile(
    "whyrank",
    derandomize=True,
    max_examples=examples(60),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("whyrank")


# Groups are dealt whole, the longest first: one that comes last leaves a worker idle.
_LONG = (
    "train", "fitted", "world", "learned", "kills-of-stores", "bad-input", "build", "wheel",
    "olist", "shop", "media", "media-marts",
    "spark-learned", "spark-days", "spark-processes", "spark-parity", "spark-build",
)  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deal groups of tests first, the longest before the others, and single tests last."""
    if hasattr(config, "workerinput"):
        items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    """Return where a test comes; those of one group stay together and in their order."""
    group = item.get_closest_marker("xdist_group")
    if group is None:
        return len(_LONG) + 1
    return _LONG.index(group.args[0]) if group.args[0] in _LONG else len(_LONG)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the collector leave alone what was imported, which stays."""
    del session
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """DuckDB has one thread in this process; those of the commands have theirs from `processes`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "connect", one_thread.connect)
        yield


@pytest.fixture
def all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB has as many threads as there are cores, as it has for users."""
    monkeypatch.setattr(duckdb, "connect", one_thread._connect)


@pytest.fixture(scope="session", autouse=True)
def _quick_builds() -> Iterator[None]:
    """Builds of this process: models by whyrank's own runner, data tests by a dbt that is warm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "run_dbt", building.run_models)
        patch.setattr(dbt_run, "_run", processes.run_dbt)
        yield


@pytest.fixture(scope="session", autouse=True)
def _quick_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """New stores of this process are copies of the first."""
    with pytest.MonkeyPatch.context() as patch:
        kept = tmp_path_factory.mktemp("store")
        patch.setattr(local, "_create", store_template.creator(kept))
        yield


@pytest.fixture(scope="module")
def mlflows_stores() -> Iterator[None]:
    """New stores of this module's tests and fixtures are made by MLflow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "_create", store_template.CREATE)
        yield


@pytest.fixture(scope="module")
def dbt() -> Iterator[None]:
    """Builds of this module's tests and fixtures are made by dbt, in a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "run_dbt", dbt_run.run_dbt)
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


def _shared(name: str) -> Path:
    """Return a folder of shared data; it must be there in CI, and a test without it is skipped."""
    folder = SHARED / name
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{folder} must be there in CI")
        pytest.skip(f"the {name} data set is not beside the checkout")
    return folder


@pytest.fixture(scope="session")
def olist_folder() -> Path:
    """The full Olist data set."""
    return _shared("olist")


@pytest.fixture(scope="session")
def cdnow_folder() -> Path:
    """The summary of the CDNOW cohort."""
    return _shared("cdnow")


@pytest.fixture(scope="session")
def saas() -> Spec:
    """The built-in saas spec."""
    return load_spec("saas")
