"""A cluster of the tests' own, and a session on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from whyrank.warehouse.engines.spark.session import SparkConnection

from .cluster import Cluster, running
from .sharing import Lending, forget
from .worlds import Learned, learn

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give a master with two workers of one core each."""
    pytest.importorskip("pyspark", reason="Spark is an extra: pip install whyrank[spark]")
    with running(tmp_path_factory.mktemp("cluster")) as found:
        before = {name: os.environ.get(name) for name in found.settings}
        os.environ.update(found.settings)
        yield found
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@pytest.fixture(scope="session")
def lending(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lending]:
    """Give what lends the one session on the cluster."""
    lent = Lending(cluster, tmp_path_factory.mktemp("warehouse"))
    yield lent
    lent.end()


@pytest.fixture(scope="module")
def shared(lending: Lending) -> SparkSession:
    """Give the one session that all tests of a group use on the cluster."""
    return lending.lend()


@pytest.fixture(scope="module")
def apart(lending: Lending) -> None:
    """See to it that this process has no session, so that a test may open its own."""
    lending.end()


@pytest.fixture
def spark(shared: SparkSession) -> SparkConnection:
    """Give a connection to the cluster, which nothing is in."""
    forget(shared)
    return SparkConnection(shared)


@pytest.fixture(scope="session")
def learned(
    cluster: Cluster, lending: Lending, tmp_path_factory: pytest.TempPathFactory
) -> Learned:
    """Give one log in a warehouse on the cluster and one here, and a training in each."""
    lending.lend()
    return learn(cluster.master, tmp_path_factory.mktemp("learned"))
