"""A local store is created by one of several processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import processes
from whyrank.files import sole_user

pytestmark = pytest.mark.engines

CREATE = """
import sys
from pathlib import Path
from whyrank.tracking import local_store
from whyrank.tracking.client import experiment_of, using

store = local_store(Path(sys.argv[1]))
print("ready", file=sys.stderr)
with using(store) as ml:
    print(experiment_of(store, ml, "shop"))
"""


def test_two_that_create_a_store_at_once_get_one(tmp_path: Path) -> None:
    home = tmp_path / "mlflow"
    with sole_user(home):  # until both want to
        both = [processes.start_python(CREATE, tmp_path, os.environ, [str(home)]) for _ in range(2)]
        for each in both:
            while "ready" not in each.said():
                assert not each.ended(0.01), each.said()
    told = [each.end() for each in both]
    assert [each.returncode for each in told] == [0, 0], told
    assert told[0].stdout == told[1].stdout  # one experiment
    assert [path.name for path in home.iterdir()] == ["mlflow.db"]
