"""Data frames as people have them: read, or refused in one line that names the column."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

import whyrank
from whyrank.errors import DataError, UsageError, WhyrankError
from whyrank.spec.load import load_spec, parse_spec, spec_text

NOON = datetime(2026, 3, 1, 12)
EAST = timezone(timedelta(hours=9))


def frame(times: object, **more: object) -> pd.DataFrame:
    return pd.DataFrame(
        {"user_id": ["ana", "bo"], "event_time": times, "event_name": ["demo_request"] * 2, **more}
    )


@pytest.mark.parametrize(
    "times",
    [
        pd.Series([NOON.replace(tzinfo=UTC), NOON], dtype=object),
        pd.Series([NOON.replace(tzinfo=EAST), NOON.replace(tzinfo=UTC)], dtype=object),
        pd.Series([date(2026, 3, 1), NOON], dtype=object),
        pd.Series([pd.Timestamp(NOON, tz="UTC"), "2026-03-01T12:00:00Z"], dtype=object),
        pd.period_range("2026-03-01", periods=2),
        pd.Series([NOON, NOON]),
        pd.Series([NOON, NOON]).dt.tz_localize("America/New_York"),
        ["2026-03-01 12:00", "2026-03-01T12:00:00+09:00"],
    ],
    ids=[
        "aware and naive",
        "two zones",
        "dates",
        "texts too",
        "periods",
        "naive",
        "aware",
        "texts",
    ],
)
def test_times_of_every_kind_are_read(times: object) -> None:
    ranked = whyrank.rank_events(frame(times))
    assert sorted(ranked["user_id"]) == ["ana", "bo"]
    assert not ranked.attrs["refused"]


def test_times_without_a_zone_are_read_in_the_specs() -> None:
    """Half past midnight in Tokyo is the day before in UTC: as of that day nothing is known yet."""
    text = spec_text("saas").replace("[source]", '[source]\ntime_zone = "Asia/Tokyo"')
    text = text if "Asia/Tokyo" in text else f'{text}\n[source]\ntime_zone = "Asia/Tokyo"\n'
    spec = parse_spec(text, "saas.toml")
    early = datetime(2026, 3, 2, 0, 30)
    mixed = frame(pd.Series([early, early.replace(tzinfo=UTC)], dtype=object))
    ranked = whyrank.rank_events(mixed, spec, as_of=date(2026, 3, 2))
    assert ranked["user_id"].tolist() == ["ana"]


def test_a_missing_time_is_refused_as_one_row() -> None:
    for missing in (pd.NaT, None):
        ranked = whyrank.rank_events(frame(pd.Series([NOON, missing], dtype=object)))
        assert ranked["user_id"].tolist() == ["ana"]
        assert ranked.attrs["refused"] == {"event_time is missing": 1}


@pytest.mark.parametrize(
    "as_of", [date(2026, 3, 2), datetime(2026, 3, 2, 7), pd.Timestamp(2026, 3, 2)]
)
def test_dates_and_times_are_days(as_of: date) -> None:
    assert len(whyrank.rank_events(frame([NOON, NOON]), as_of=as_of)) == 2


@pytest.mark.parametrize(
    ("given", "options", "kind", "message"),
    [
        (frame([NOON, NOON]), {"as_of": "2026-03-02"}, UsageError, "as_of: '2026-03-02' is a str"),
        (frame([NOON, NOON]), {"as_of": 3}, UsageError, "as_of: 3 is a int: give a date"),
        ("events.csv", {}, UsageError, "events: 'events.csv' is a str: give a pandas DataFrame"),
        ([{"user_id": "ana"}], {}, UsageError, "is a list: give a pandas DataFrame"),
        (frame([NOON, NOON]), {"users": "u.csv"}, UsageError, "users: 'u.csv' is a str"),
        (frame([NOON, NOON]), {"spec": "nothing"}, WhyrankError, "nothing"),
        (frame([NOON, NOON]).drop(columns="user_id"), {}, DataError, "user_id"),
        (frame([NOON, NOON], value=pd.interval_range(0, 2)), {}, DataError, "column 'value'"),
        (frame([NOON, NOON], value=np.array([1j, 2])), {}, DataError, "column 'value'"),
        (frame(["soon", "later"]), {}, DataError, "no acceptable row"),
        (pd.concat([frame([NOON, NOON])] * 2, axis=1), {}, DataError, "two columns 'user_id'"),
        (frame([NOON, NOON]).iloc[:0], {}, DataError, "no acceptable row"),
    ],
)
def test_what_cannot_be_read_is_refused_by_whyranks_own_errors(
    given: object, options: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as raised:
        whyrank.rank_events(given, **{"spec": load_spec("saas"), **options})  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_reasons_are_data_as_well_as_words() -> None:
    ranked = whyrank.rank_events(frame([NOON, NOON - timedelta(days=9)]))
    assert ranked.attrs["scorer"] == "scorecard"
    assert "probability" not in ranked
    for row in ranked.itertuples():
        assert [(r["text"], r["unit"]) for r in row.reason_records] == [
            (said.rpartition(", ")[0], "points") for said in row.reasons
        ]
        assert sum(r["amount"] for r in row.reason_records) == pytest.approx(row.score)
