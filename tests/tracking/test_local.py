"""A local store is created by one of several processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from whyrank.files import sole_user

pytestmark = pytest.mark.engines

CREATE = """
import sys
from pathlib import Path
from whyrank.tracking import local_store
from whyrank.tracking.client import experiment_of, using

store = local_store(Path(sys.argv[1]))
print("ready", flush=True)
with using(store) as ml:
    print(experiment_of(store, ml, "shop"))
"""


def creator(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CREATE, str(home)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_two_that_create_a_store_at_once_get_one(tmp_path: Path) -> None:
    home = tmp_path / "mlflow"
    with sole_user(home):  # until both want to
        both = [creator(home), creator(home)]
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
    told = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert told[0][0] == told[1][0]  # one experiment
    assert [path.name for path in home.iterdir()] == ["mlflow.db"]
