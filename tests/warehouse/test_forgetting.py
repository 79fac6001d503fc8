"""Old builds are removed by age, also when several were made within one second."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.support.tiny_log import tiny_spec
from whyrank.pipeline import build as building
from whyrank.pipeline.ingest import ingest
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.publish import KEPT_BUILDS

LOG = "user_id,event_time,event_name\nana,2026-03-01T10:00:00Z,view\nbo,2026-03-04T10:00:00Z,view\n"


@pytest.mark.parametrize("ends", ["fedcba", "abcdef"])
def test_builds_of_one_second_are_removed_in_the_order_in_which_they_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    spec, warehouse = tiny_spec(), open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    (tmp_path / "e.csv").write_text(LOG)
    ingest(spec, warehouse, events=tmp_path / "e.csv")
    left = iter(ends)
    monkeypatch.setattr(building.secrets, "token_hex", lambda _: next(left) * 6)

    class Stopped(building.datetime):
        """A clock that stands still."""

        @classmethod
        def now(cls, tz: object = None) -> building.datetime:
            return building.datetime(2026, 3, 9, 12, tzinfo=tz)  # type: ignore[arg-type]  # as datetime.now takes it

    monkeypatch.setattr(building, "datetime", Stopped)
    made = [
        building.build(spec, warehouse, as_of=[date(2026, 3, 3)]).published
        for _ in range(len(ends))
    ]
    assert len({one.info.build_id.partition("-")[0] for one in made}) == 1
    there = [one for one in made if one.folder.exists()]
    assert there == made[-KEPT_BUILDS:]
