"""A tracking server that dies, and comes back: nothing is fitted twice and nothing is lost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.servers import answering
from tests.support.shops import open_shop, train_shop
from whyrank.pipeline.compare import compare as compare_run
from whyrank.pipeline.train import Training
from whyrank.spec.model import Spec
from whyrank.tracking import (
    Store,
    TrackingError,
    fetch_scorer,
    local_store,
    log,
    open_store_or_local,
    read_comparison,
)
from whyrank.warehouse.base import Warehouse

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("outages")]


FEW = {"candidates": ["recency", "logistic"], "folds": 1}


class Built(NamedTuple):
    """A shop's spec, and the warehouse in which it is built."""

    spec: Spec
    warehouse: Warehouse


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(*open_shop(tmp_path_factory.mktemp("shop")))


@pytest.fixture(scope="module")
def first(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A training whose server was not there: its run is kept here."""
    home = tmp_path_factory.mktemp("outage") / "mlflow"
    notes: list[str] = []
    here = open_store_or_local("http://127.0.0.1:9", home=home, warn=notes.append)
    made, said = train_shop(built.spec, built.warehouse, here, **FEW)
    assert "run the same command again to send them" in notes[0]
    assert [line.split()[-1] for line in said if "fitting" in line] == 2 * FEW["candidates"]
    assert made.store == local_store(home)
    return made


def test_a_run_is_sent_once_the_server_is_back_and_kept_here_once_it_is_gone(
    built: Built, first: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    home = tmp_path / "mlflow"
    notes: list[str] = []
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1",
        "--backend-store-uri", f"sqlite:///{tmp_path}/server.db",
        "--artifacts-destination", str(tmp_path / "files"),
    ]  # fmt: skip
    with answering(command, tmp_path, "health") as (url, _):
        uri = url.replace("http://", "http://ana:secret@")
        store = open_store_or_local(uri, home=home, warn=notes.append)
        sent, said = train_shop(built.spec, built.warehouse, store, warn=notes.append, **FEW)
        assert [line for line in said if "fitting" in line] == []
        assert "logging logistic" in said
        assert (sent.store, notes) == (store, [])
        assert sent.comparison == first.comparison
        assert compare_run(built.spec, store).run == sent.run
        assert fetch_scorer(store, "shop", "logistic") is not None
        with pytest.raises(TrackingError, match="run 'nope' holds no comparison"):
            read_comparison(store, "shop", "nope")
    # It answered when it was asked, and is gone when the run is to be sent.
    kept, said = train_shop(built.spec, built.warehouse, store, warn=notes.append, **FEW)
    assert [line for line in said if "fitting" in line] == []
    assert kept.store == local_store(home)
    assert compare_run(built.spec, kept.store, run=kept.run).comparison == first.comparison
    (warn,) = notes
    assert f"the run is kept in {home / 'mlflow.db'} instead" in warn
    assert "run the same command again to send it" in warn
    assert "secret" not in warn


def test_a_store_lost_halfway_leaves_the_run_here_whole(
    built: Built, first: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # A database by another name than the local store's stands for the remote one.
    remote = Store(f"sqlite:///{tmp_path}/remote.db", tmp_path / "mlflow")
    monkeypatch.setattr(Store, "local", property(lambda self: "remote" not in self.uri))
    sending, sent = log._log_model, []

    def failing(*scorer: object) -> tuple[str, str]:
        sent.append(scorer)
        if len(sent) == 2:
            raise ConnectionResetError(104, "Connection reset by peer")
        return sending(*scorer)  # type: ignore[arg-type]

    monkeypatch.setattr(log, "_log_model", failing)
    notes: list[str] = []
    kept, _ = train_shop(built.spec, built.warehouse, remote, warn=notes.append, **FEW)
    assert "Connection reset by peer" in notes[0]
    assert kept.store == local_store(tmp_path / "mlflow")
    assert not (tmp_path / "mlruns").exists()  # where MLflow by itself would write
    for name in ("scorecard", "recency", "logistic"):
        assert fetch_scorer(kept.store, "shop", name) is not None
