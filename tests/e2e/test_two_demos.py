"""Two processes that would make a world in one warehouse: one does, the other is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.support.homes import Home
from tests.support.two_demos import check_two_demos, halted
from whyrank.errors import WarehouseError
from whyrank.pipeline.training_world import make_training_world
from whyrank.spec.load import load_spec
from whyrank.warehouse.open import open_warehouse

pytestmark = pytest.mark.engines


def test_of_two_demos_one_is_refused(tmp_path: Path) -> None:
    check_two_demos(Home(tmp_path), "duckdb:///w.duckdb")
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as con:
        found = con.execute("select distinct file from saas_landing.loads").fetchall()
    assert {Path(file).parent.name for (file,) in found} == {"two"}


@pytest.mark.slow
def test_of_two_trainings_one_makes_the_world(tmp_path: Path) -> None:
    spec, url = load_spec("saas"), f"duckdb:///{tmp_path}/w.duckdb"
    store = open_warehouse(url)
    code = (
        "import sys\n"
        "from whyrank.pipeline.training_world import make_training_world as make\n"
        "from whyrank.spec.load import load_spec\n"
        "from whyrank.warehouse.open import open_warehouse\n"
        "say = lambda text: print(text, file=sys.stderr, flush=True)\n"
        "make(load_spec('saas'), open_warehouse(sys.argv[1]), users=60, days=40, log=say)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, url], stderr=subprocess.PIPE, start_new_session=True
    ) as first:
        with (
            halted(first, b"generating"),
            pytest.raises(WarehouseError, match="another ingest or build is under way"),
        ):
            make_training_world(spec, store, users=60, days=40)
        _, said = first.communicate()
    assert first.returncode == 0, said.decode()
    assert not make_training_world(spec, store, users=60, days=40)
    with store.reading() as con:
        found = con.execute("select count(*), count(distinct file) from saas_landing.loads")
        assert found.fetchone() == (2, 2)
