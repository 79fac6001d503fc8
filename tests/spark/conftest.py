"""A Spark session of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from whyrank.warehouse.spark import SparkConnection, open_session


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkConnection]:
    pytest.importorskip("pyspark", reason="Spark is an extra: pip install whyrank[spark]")
    folder = tmp_path_factory.mktemp("spark")
    opened = open_session(
        "local[2]",
        {
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.sql.shuffle.partitions": "2",
            "spark.ui.enabled": "false",
            "spark.driver.memory": "1g",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
        },
    )
    opened.sparkContext.setLogLevel("ERROR")
    yield SparkConnection(opened)
    opened.stop()
