"""Worlds that several files of tests read."""

from __future__ import annotations

import pytest

from tests.support.media_log import Log, read_log
from whyrank.events.synthetic.media.world import generate_media


@pytest.fixture(scope="session")
def media_log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Twenty thousand users over 90 days, about two million events."""
    out = tmp_path_factory.mktemp("media") / "log.parquet"
    return read_log(generate_media(out, users=20_000, seed=11))
