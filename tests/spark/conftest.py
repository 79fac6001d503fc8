"""A cluster of the tests' own, and a session on it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from whyrank.warehouse.spark_session import SparkConnection, open_session

from .cluster import Cluster, running


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


@pytest.fixture(scope="module")
def spark(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkConnection]:
    """Give a connection to the cluster."""
    folder = tmp_path_factory.mktemp("warehouse")
    opened = open_session(cluster.master, {"spark.sql.warehouse.dir": str(folder)})
    yield SparkConnection(opened)
    opened.stop()
