"""Fixtures shared by the tests of the verbs."""

from __future__ import annotations

import pytest

from tests.pipeline.purchases import Shop, open_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop of 1,500 customers, built; to be read, or copied before it is changed."""
    return open_shop(tmp_path_factory.mktemp("shop"))
