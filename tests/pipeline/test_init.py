"""init: the spec it drafts works as it stands, whatever the columns and times look like."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from whyrank.errors import DataError, UsageError
from whyrank.pipeline.frames import rank_events
from whyrank.pipeline.init import init
from whyrank.spec.load import load_spec

TIMES = [datetime(2026, 3, day, 23 - day % 12, day, 0) for day in range(1, 29)]


def events(pattern: str, names: tuple[str, str, str] = ("user", "ts", "action")) -> pd.DataFrame:
    who, when, what = names
    return pd.DataFrame(
        {
            what: ["buy now!" if i % 9 == 0 else "look" for i in range(len(TIMES))],
            who: [f"u{i % 4}" for i in range(len(TIMES))],
            when: [time.strftime(pattern) for time in TIMES],
            "note": ["=x"] * len(TIMES),
        }
    )


@pytest.mark.parametrize(
    ("pattern", "time_format"),
    [
        ("%Y-%m-%dT%H:%M:%SZ", "iso"),
        ("%Y-%m-%d %H:%M:%S", "iso"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M"),
        ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S"),
        ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M"),
        ("%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M %p"),
        ("%d-%m-%Y", "%d-%m-%Y"),
        ("%Y%m%d", "%Y%m%d"),
    ],
)
def test_a_drafted_spec_reads_the_file_it_was_drafted_from(
    tmp_path: Path, pattern: str, time_format: str
) -> None:
    path, out = tmp_path / "log.csv", tmp_path / "my spec.toml"
    data = events(pattern)
    data.to_csv(path, index=False)
    made = init(path, out, target="buy now!")
    assert made.time_format == time_format
    assert made.mapping == {"user_id": "user", "event_time": "ts", "event_name": "action"}
    assert made.notes == ()
    ranked = rank_events(data.astype("string"), load_spec(out))
    assert ranked.attrs["refused"] == {}
    assert len(ranked) == 4


@pytest.mark.parametrize(
    ("unit", "time_format"), [(1, "epoch_s"), (1e3, "epoch_ms"), (1e6, "epoch_us")]
)
def test_epoch_times_are_recognised(tmp_path: Path, unit: float, time_format: str) -> None:
    data = events("%Y")
    data["ts"] = [str(int((t - datetime(1970, 1, 1)) / timedelta(seconds=1) * unit)) for t in TIMES]
    data.to_csv(tmp_path / "log.csv", index=False)
    made = init(tmp_path / "log.csv", tmp_path / "s.toml", target="buy now!")
    assert made.time_format == time_format


def test_an_ambiguous_format_is_said(tmp_path: Path) -> None:
    data = events("%Y")
    data["ts"] = [f"0{1 + i % 9}/0{1 + i % 8}/2026" for i in range(len(data))]
    data.to_csv(tmp_path / "log.csv", index=False)
    made = init(tmp_path / "log.csv", tmp_path / "s.toml", target="look")
    assert made.time_format == "%d/%m/%Y"
    assert "fit %d/%m/%Y and %m/%d/%Y: the first was taken" in made.notes[0]
    data["ts"] = "the day after"
    data.to_csv(tmp_path / "log.csv", index=False)
    made = init(tmp_path / "log.csv", tmp_path / "t.toml", target="look")
    assert "are in no format that init knows: set time_format" in made.notes[0]


def test_columns_that_cannot_be_guessed_are_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    names = ("Wer?", "Wann, genau", 'Was "es" ist')
    events("%Y-%m-%d", names).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"no column looks like user_id .*Name it with --user-id"):
        init(path, tmp_path / "s.toml")
    columns = dict(zip(("user_id", "event_time", "event_name"), names, strict=True))
    with pytest.raises(UsageError, match="did you mean 'Wer"):
        init(path, tmp_path / "s.toml", columns={**columns, "user_id": "Wer"})
    made = init(path, tmp_path / "s.toml", target="look", columns=columns)
    assert load_spec(made.path).source.event_name == 'Was "es" ist'


def test_json_lines_and_parquet_are_drafted_from_too(tmp_path: Path) -> None:
    data = events("%Y-%m-%d")
    data.to_json(tmp_path / "log.jsonl", orient="records", lines=True)
    data.assign(ts=TIMES).to_parquet(tmp_path / "log.parquet")
    for name in ("log.jsonl", "log.parquet"):
        made = init(tmp_path / name, tmp_path / f"{name}.toml", target="buy now!")
        assert made.mapping["user_id"] == "user"


def test_what_init_refuses(tmp_path: Path) -> None:
    path, out = tmp_path / "log.csv", tmp_path / "s.toml"
    events("%Y-%m-%d").to_csv(path, index=False)
    with pytest.raises(UsageError, match="'bye' is not among the events; known: buy now!, look"):
        init(path, out, target="bye")
    data = events("%Y-%m-%d")
    data["action"] = "look"
    data.to_csv(tmp_path / "looks.csv", index=False)
    with pytest.raises(UsageError, match="no event looks like a conversion: name one with --tar"):
        init(tmp_path / "looks.csv", out)
    assert not out.exists()
    out.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        init(path, out, target="look")
    assert out.read_text() == "mine"
