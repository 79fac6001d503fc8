"""Labels look forward, from as_of on and up to the horizon, to the microsecond."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from tests.support.tiny_log import tiny_spec
from whyrank.errors import WarehouseError
from whyrank.pipeline.build import build
from whyrank.pipeline.evaluate import evaluate
from whyrank.pipeline.ingest import ingest
from whyrank.published.build import Published
from whyrank.published.labels import converted_within
from whyrank.published.snapshot import Snapshot
from whyrank.spec.load import parse_spec, spec_text
from whyrank.warehouse.open import open_warehouse

AS_OF, DAYS = date(2026, 3, 10), 5
MIDNIGHT, TICK = datetime(2026, 3, 10), timedelta(microseconds=1)
END = MIDNIGHT + timedelta(days=DAYS)


def published(folder: Path, rows: list[tuple[str, datetime, str]], spec_name: str) -> Published:
    """Build and publish a log; everyone in it has a view a week before as_of."""
    spec = tiny_spec() if spec_name == "tiny" else parse_spec(spec_text(spec_name))
    seen = "view" if spec_name == "tiny" else "page_view"
    users = dict.fromkeys(user for user, _, _ in rows)
    log = [*((user, MIDNIGHT - timedelta(days=7), seen) for user in users), *rows]
    log.append(("last", END + timedelta(days=1), seen))
    frame = pd.DataFrame(log, columns=["user_id", "event_time", "event_name"])
    frame["event_time"] = frame["event_time"].astype("datetime64[us]")
    frame.to_parquet(folder / "e.parquet")
    links = pd.DataFrame(
        {"anonymous_id": ["ghost"], "user_id": ["host"], "linked_at": [str(MIDNIGHT + TICK)]}
    )
    links.to_csv(folder / "links.csv", index=False)
    store = open_warehouse(f"duckdb:///{folder}/w.duckdb")
    ingest(spec, store, events=folder / "e.parquet", aliases=folder / "links.csv")
    made = build(spec, store, as_of=[AS_OF]).published
    with pytest.raises(WarehouseError, match=r"can be trusted until 2026-03-17: choose --as-of"):
        evaluate(spec, store, as_of=AS_OF, horizon="8d")
    return made


def labels(made: Published, feature: str) -> dict[str, bool]:
    snapshot = Snapshot.read(made.snapshot(AS_OF), [feature])
    found = converted_within(made, snapshot, AS_OF, DAYS)
    return dict(zip(snapshot.user_ids.to_pylist(), found.tolist(), strict=True))


def test_outcomes_count_from_as_of_and_before_the_end_of_the_horizon(tmp_path: Path) -> None:
    made = published(
        tmp_path,
        [
            ("just before", MIDNIGHT - TICK, "buy"),
            ("at once", MIDNIGHT, "buy"),
            ("at the last", END - TICK, "buy"),
            ("too late", END, "buy"),
            ("other", MIDNIGHT, "click"),
            ("ghost", MIDNIGHT - timedelta(days=1), "click"),
            ("host", MIDNIGHT + timedelta(days=2), "buy"),
        ],
        "tiny",
    )
    assert labels(made, "views") == {
        "just before": False,
        "at once": True,
        "at the last": True,
        "too late": False,
        "other": False,
        "ghost": True,  # linked to the host after as_of: the person behind converted
        "host": True,
    }


def test_a_target_of_several_events_is_reached_with_the_last_of_them(tmp_path: Path) -> None:
    before, within = MIDNIGHT - timedelta(days=1), MIDNIGHT + timedelta(days=1)
    made = published(
        tmp_path,
        [
            ("both within", within, "signup"),
            ("both within", within + TICK, "calendar_booking"),
            ("one before", before, "signup"),
            ("one before", END - TICK, "calendar_booking"),
            ("one too late", within, "signup"),
            ("one too late", END, "calendar_booking"),
            ("only one", within, "signup"),
            ("only one", within + TICK, "signup"),
            ("both before", before, "signup"),
            ("both before", before, "calendar_booking"),
            ("both before", within, "calendar_booking"),
            ("ghost", before, "page_view"),
            ("host", before, "page_view"),
        ],
        "saas",
    )
    assert {user for user, label in labels(made, "events").items() if label} == {
        "both within",
        "one before",
    }


@pytest.mark.parametrize(("positives", "said"), [(9, True), (10, False)])
def test_intervals_of_too_few_positives_are_not_given(
    tmp_path: Path, positives: int, said: bool
) -> None:
    """Of nine a bootstrap may draw nobody in the best twentieth, and call that [0, 0]."""
    buys = [(f"u{n}", MIDNIGHT + timedelta(hours=n), "buy") for n in range(positives)]
    others = [(f"o{n}", MIDNIGHT - timedelta(days=2), "view") for n in range(30)]
    published(tmp_path, [*buys, *others], "tiny")
    store = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    found = evaluate(tiny_spec(), store, as_of=AS_OF, horizon=f"{DAYS}d", n_boot=50)
    assert found.positives == positives
    assert f"{positives} positive" in found.report()
    assert (": too few positives for intervals" in found.report()) == said
    frame = found.to_frame()
    assert frame["low"].isna().all() == frame["high"].isna().all() == said
    assert frame["value"].notna().all()
