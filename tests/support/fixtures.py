"""What several tests share: a small world to plant something in, and a small shop, trained once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.purchases import Buyers, open_buyers
from tests.support.shops import Shop, open_shop, train_shop
from whyrank.evaluation.leakage_checks import LeakageCheck
from whyrank.pipeline.backtest import plan_backtest
from whyrank.pipeline.build import build
from whyrank.pipeline.generate import generate
from whyrank.pipeline.ingest import ingest
from whyrank.spec.load import load_spec
from whyrank.spec.model import Spec
from whyrank.tracking import open_store
from whyrank.training import leakage
from whyrank.training.datasets import Backtest
from whyrank.training.fitting import Fits, fit_folds
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.open import open_warehouse


@dataclass(frozen=True)
class Fitted:
    """A small world with its candidates fitted."""

    spec: Spec
    warehouse: Warehouse
    backtest: Backtest
    fits: Fits
    folder: Path

    def run_leakage_checks(
        self,
        backtest: Backtest | None = None,
        progress: Callable[[int, int], None] = lambda *_: None,
    ) -> dict[str, LeakageCheck]:
        """Run the leakage checks; return them by name."""
        found = leakage.run_leakage_checks(
            self.spec,
            self.warehouse,
            backtest or self.backtest,
            self.fits,
            seed=0,
            progress=progress,
        )
        return {check.name: check for check in found}


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("leaks")
    spec = load_spec("saas")
    warehouse = open_warehouse(f"duckdb:///{folder}/w.duckdb")
    made = generate(spec, folder / "events.parquet", users=2000, seed=5, days=150)
    ingest(spec, warehouse, events=made.events, users=made.users)
    build(spec, warehouse)
    backtest = plan_backtest(spec, warehouse, folds=1)
    fits = fit_folds(
        spec, backtest, ["logistic"], params={}, folder=folder / "fits", log=lambda _: None
    )
    return Fitted(spec, warehouse, backtest, fits, folder)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A training of the shop: nothing in it may be changed but who is champion."""
    folder = tmp_path_factory.mktemp("shop")
    spec, warehouse = open_shop(folder)
    store = open_store(home=folder / "mlflow")
    training, _ = train_shop(spec, warehouse, store, drawn=True)
    return Shop(spec, warehouse, store, training, folder)


@pytest.fixture(scope="session")
def buyers(tmp_path_factory: pytest.TempPathFactory) -> Buyers:
    """Customers who buy as BG/NBD says, built; to be read, or copied before it is changed."""
    return open_buyers(tmp_path_factory.mktemp("buyers"))
