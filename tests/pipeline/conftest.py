"""What several tests of trainings share: one small shop, trained on once."""

from __future__ import annotations

import pytest

from tests.pipeline.shops import Shop, open_shop, train_shop
from whyrank.tracking import open_store


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A training of the shop: nothing in it may be changed but who is champion."""
    folder = tmp_path_factory.mktemp("shop")
    spec, warehouse = open_shop(folder)
    store = open_store(home=folder / "mlflow")
    training, _ = train_shop(spec, warehouse, store)
    return Shop(spec, warehouse, store, training, folder)
