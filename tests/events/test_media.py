"""The made-up media world: same bytes, files as promised, bounded memory, clear refusals."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import processes
from tests.support.examples import examples
from tests.support.media_log import DAY, NAMES, Log, read_log
from whyrank.errors import DataError, UsageError
from whyrank.events.synthetic import write
from whyrank.events.synthetic.media.unfold import RECORD
from whyrank.events.synthetic.media.visits import APART, Visits, settle
from whyrank.events.synthetic.media.world import generate_media
from whyrank.events.synthetic.spill import TimeSorter
from whyrank.events.synthetic.world import Generated

pytestmark = pytest.mark.xdist_group("media")
SUFFIXES = (".csv", ".csv.gz", ".parquet")
STAMP = pa.timestamp("us", tz="UTC")
EVENTS = pa.schema(
    [
        ("event_id", pa.string()), ("user_id", pa.string()), ("event_time", STAMP),
        ("event_name", pa.string()), ("value", pa.float64()), ("session_id", pa.string()),
        ("experiment_id", pa.string()), ("variant", pa.string()), ("platform", pa.string()),
        ("device", pa.string()), ("geo", pa.string()),
    ]
)  # fmt: skip
USERS = pa.schema(
    [
        ("user_id", pa.string()), ("valid_from", STAMP), ("signup_time", STAMP),
        ("acquisition_channel", pa.string()), ("country", pa.string()),
        ("device_type", pa.string()), ("uses_playlists", pa.bool_()),
    ]
)  # fmt: skip


def digests(made: Generated) -> list[str]:
    assert made.world is not None
    files = (made.events, made.users, made.truth, made.world)
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


# --- the same bytes ------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_arguments_same_bytes_in_any_process(tmp_path: Path, suffix: str) -> None:
    """Neither the hash seed, the processors allowed, the time nor the folder shows."""
    here, there = tmp_path / "one", tmp_path / "another"
    here.mkdir()
    there.mkdir()
    made = generate_media(here / f"log{suffix}", users=60, seed=3, days=40)
    out = there / f"log{suffix}"
    program = textwrap.dedent(f"""
        import os
        from pathlib import Path
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
        from whyrank.events.synthetic.media.world import generate_media
        generate_media(Path({str(out)!r}), users=60, seed=3, days=40)
    """)
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    again = Generated(
        out, there / f"log_users{suffix}", there / f"log_truth{suffix}",
        0, 0, made.start, made.end, there / "log_truth.json",
    )  # fmt: skip
    assert digests(again) == digests(made)


def test_another_seed_another_world(tmp_path: Path) -> None:
    one, two = (generate_media(tmp_path / f"s{s}.csv", users=20, seed=s, days=20) for s in (0, 1))
    assert all(a != b for a, b in zip(digests(one), digests(two), strict=True))


def test_users_of_a_block_are_the_same_whoever_else_there_is(tmp_path: Path) -> None:
    """Blocks have seeds of their own: a larger world begins with the smaller one's blocks."""
    small, large = (
        read_log(generate_media(tmp_path / f"n{n}.parquet", users=n, days=1800)) for n in (250, 330)
    )
    pd.testing.assert_frame_equal(small.truth, large.truth.head(250))
    mine = large.user < 250
    assert np.array_equal(small.time, large.time[mine])
    assert np.array_equal(small.name, large.name[mine])


@pytest.mark.parametrize("role", ["events", "users", "truth"])
def test_formats_hold_the_same_rows(tmp_path: Path, role: str) -> None:
    plain, zipped, parquet = (
        generate_media(tmp_path / f"log{suffix}", users=40, days=40) for suffix in SUFFIXES
    )
    text = getattr(plain, role).read_bytes()
    assert gzip.decompress(getattr(zipped, role).read_bytes()) == text
    # rendered from the Parquet values by other code than the generator's
    rows = pq.read_table(getattr(parquet, role)).to_pylist()
    header, *lines = text.decode().splitlines()
    assert header.split(",") == list(rows[0])
    for line, row in zip(lines, rows, strict=True):
        for cell, value in zip(line.split(","), row.values(), strict=True):
            if isinstance(value, float):
                assert float(cell) == value
            else:
                assert cell == _cell(value)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def test_a_log_of_several_pieces_is_whole(media_log: Log) -> None:
    """Row groups of full length, and every event once, whatever stretch it was sorted in."""
    meta = pq.ParquetFile(media_log.made.events).metadata
    sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
    assert set(sizes[:-1]) == {write.ROWS}
    assert sum(sizes) == media_log.made.n_events == media_log.planted["events"]
    assert len(sizes) > 10


# --- the log -------------------------------------------------------------------------------


def test_files_have_their_schemas(media_log: Log) -> None:
    made = media_log.made
    assert pq.read_schema(made.events).remove_metadata() == EVENTS
    assert pq.read_schema(made.users).remove_metadata() == USERS
    assert pq.read_schema(made.truth).names[:2] == ["user_id", "activity"]
    assert made.end == made.start + timedelta(days=90)
    assert made.n_users == len(media_log.truth) == 20_000


def test_the_log_is_in_order_and_its_ids_are_unique(media_log: Log) -> None:
    found = duckdb.execute(
        """
        select count(distinct event_id), min(event_id), max(event_id),
            count(*) filter (event_time < before), count(*) filter (event_id <= id_before)
        from (select event_id, event_time, lag(event_time) over (order by row) as before,
                lag(event_id) over (order by row) as id_before
              from (select *, file_row_number as row from read_parquet(?, file_row_number = true)))
        """,
        [str(media_log.made.events)],
    ).fetchone()
    n = media_log.made.n_events
    assert found == (n, "e000000000001", f"e{n:012d}", 0, 0)
    assert media_log.time.min() >= 0
    assert media_log.time.max() < 90 * DAY


def test_words_of_the_log(media_log: Log) -> None:
    rows = duckdb.execute(
        """
        select event_name, count(*), count(value), min(value), max(value),
            count(*) filter ((experiment_id is null) <> (variant is null))
        from read_parquet(?) group by all
        """,
        [str(media_log.made.events)],
    ).fetchall()
    assert {row[0] for row in rows} == set(NAMES)
    for name, count, valued, low, high, odd in rows:
        assert valued == (count if name in {"play", "purchase"} else 0)
        assert odd == 0
        if valued:
            assert 0 <= low < high <= 7200
    places = duckdb.execute(
        """
        select distinct device, platform, experiment_id from read_parquet(?)
        """,
        [str(media_log.made.events)],
    ).fetchall()
    assert {row[:2] for row in places} == {
        ("desktop", "web"), ("tv", "tv"), ("mobile", "ios"), ("mobile", "android")
    }  # fmt: skip
    assert {row[2] for row in places} == {None, "autoplay_queue"}


def test_activity_is_heavy_tailed_about_a_hundred(media_log: Log) -> None:
    counts = media_log.per_user(np.ones(len(media_log.user), bool))
    assert abs(counts.mean() - 100) < 5 * counts.std() / np.sqrt(len(counts))
    assert counts.mean() > 1.5 * np.median(counts)
    assert np.sort(counts)[-200:].sum() > 0.05 * counts.sum()


def test_visits_are_the_sessions_of_a_gap_of_30_minutes(media_log: Log) -> None:
    """So sessions derived from the log, whatever its own ids say, are the visits planted."""
    gap = np.diff(media_log.time)
    same_user = np.diff(media_log.user) == 0
    inside = ~media_log.first[1:]
    assert gap[inside].min() >= 0
    assert gap[inside].max() <= 30 * 60_000_000
    assert gap[same_user & ~inside].min() > 30 * 60_000_000
    day_of = media_log.day[media_log.first]
    assert np.array_equal(media_log.day, np.repeat(day_of, np.bincount(media_log.visit)[1:]))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2), st.integers(0, 2), st.integers(0, DAY - 1), st.integers(0, 10**10)
        ),
        min_size=1,
        max_size=30,
    )
)
def test_visits_settle_within_their_days(drawn: list[tuple[int, int, int, int]]) -> None:
    """None ends after midnight or within half an hour of the next, while a day has room."""
    drawn.sort()
    user, day, moment, length = (np.array(column) for column in zip(*drawn, strict=True))
    key = user * 3 + day
    taken = np.bincount(key, weights=length + APART)
    settled = settle(Visits(user, day, day * DAY + moment), length)
    end = settled.start + length
    assert (end < (day + 1) * DAY).all()
    same = user[1:] == user[:-1]
    assert (settled.start[1:] - end[:-1] >= APART)[same].all()
    if taken.max() < DAY - APART:
        assert (settled.start >= day * DAY - APART).all()
    free = np.diff(np.r_[-1, user]) * np.diff(np.r_[user, 9]) != 0  # a user's only visit
    stays = free & (day * DAY + moment + length < (day + 1) * DAY)
    assert (settled.start == day * DAY + moment)[stays].all()


def test_users_file(media_log: Log) -> None:
    users = pq.read_table(media_log.made.users).to_pandas()
    truth = media_log.truth.set_index("user_id")
    assert users.sort_values(["user_id", "valid_from"]).index.equals(users.index)
    assert not users.duplicated(["user_id", "valid_from"]).any()
    first = users.groupby("user_id").head(1)
    assert (first["valid_from"] == first["signup_time"]).all()
    assert not first["uses_playlists"].any()
    later = users.drop(first.index).set_index("user_id")
    assert later["uses_playlists"].all()
    assert later["valid_from"].equals(truth["adopted_time"].dropna().rename("valid_from"))
    stable = ["signup_time", "acquisition_channel", "country", "device_type"]
    assert users.groupby("user_id")[stable].nunique().eq(1).all(axis=None)
    # the first visit is the signup, for those who sign up in the log; nobody acts before
    signup = (first["signup_time"] - pd.Timestamp(media_log.made.start, tz="UTC")) // pd.Timedelta(
        1, "us"
    )
    earliest = np.full(len(first), np.iinfo(np.int64).max)
    np.minimum.at(earliest, media_log.user, media_log.time)
    new = signup.to_numpy() >= 0
    assert np.array_equal(earliest[new], signup.to_numpy()[new])
    assert signup.min() >= -120 * DAY
    assert 0.5 < new.mean() < 0.6


def test_users_agree_with_events(media_log: Log) -> None:
    found = duckdb.execute(
        """
        select count(*) filter (e.geo <> u.country), avg((e.device = u.device_type)::int)
        from read_parquet(?) as e
        join (select distinct user_id, country, device_type from read_parquet(?)) as u
            using (user_id)
        """,
        [str(media_log.made.events), str(media_log.made.users)],
    ).fetchone()
    assert found is not None
    assert found[0] == 0
    assert 0.85 < found[1] < 0.95


def test_nobody_acts_after_leaving(media_log: Log) -> None:
    signup = (
        media_log.users["signup_time"] - pd.Timestamp(media_log.made.start, tz="UTC")
    ).dt.days.to_numpy()
    leaves = signup + media_log.truth["lifetime_days"].to_numpy()
    assert (media_log.day < leaves[media_log.user]).all()
    gone = media_log.since_start("churn_time") / DAY
    inside = np.isfinite(gone)
    assert np.allclose(gone[inside], leaves[inside], atol=1e-6)
    assert (leaves[~inside] >= 90).all()


# --- worlds of any size --------------------------------------------------------------------


@pytest.mark.parametrize("days", [1, 2, 3, 10, 29, 400])
@pytest.mark.parametrize("users", [1, 7])
def test_any_length_makes_a_world(tmp_path: Path, users: int, days: int) -> None:
    start = date(2024, 2, 28)
    made = generate_media(tmp_path / "log.parquet", users=users, start=start, days=days)
    table = pq.read_table(made.events)
    assert table.num_rows == made.n_events
    low = datetime(2024, 2, 28, tzinfo=UTC)
    assert all(low <= t < low + timedelta(days=days) for t in table["event_time"].to_pylist())
    assert pq.read_table(made.truth).num_rows == users
    assert made.world is not None
    planted = json.loads(made.world.read_text())
    assert len(planted["retention"]["curve"]) == 91
    if days < 28:  # no window of the experiment is whole: nothing is said of its effects
        assert planted["experiment"]["effects"]["plays"]["all"]["effect"] is None


@settings(max_examples=examples(50))
@given(
    blocks=st.lists(st.lists(st.integers(0, 99), max_size=40), max_size=5),
    stretches=st.integers(1, 200),
    rows=st.integers(1, 50),
)
def test_records_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[list[int]], stretches: int, rows: int
) -> None:
    record = np.dtype([("time", "<i8"), ("place", "<i8")])
    number = 0
    path = tmp_path_factory.mktemp("spill") / "spill"
    with TimeSorter(path, record, end=100, stretches=stretches) as sorter:
        for times in blocks:
            block = np.array([(t, number + i) for i, t in enumerate(times)], record)
            sorter.put(block)
            number += len(times)
        pieces = list(sorter.pieces(rows))
    flat = [t for times in blocks for t in times]
    order = np.argsort(np.array(flat), kind="stable")
    found = np.concatenate([piece["place"] for piece in pieces]) if pieces else np.empty(0)
    assert np.array_equal(found, order)
    assert all(len(piece) == rows for piece in pieces[:-1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory as Linux tells it")
def test_memory_does_not_grow_with_users(tmp_path: Path) -> None:
    """The peak rises by less than the records of the added events alone would take.

    What does rise is the tables of users, which wait for a row group of 131,072 to fill.
    """

    def peak(users: int) -> tuple[int, int]:
        program = textwrap.dedent(f"""
            from pathlib import Path
            from whyrank.events.synthetic.media.world import generate_media
            made = generate_media(Path({str(tmp_path / "log.parquet")!r}), users={users})
            # not ru_maxrss, which a process inherits from the one that started it
            status = Path("/proc/self/status").read_text()
            print(int(status.partition("VmHWM:")[2].split()[0]) * 1024, made.n_events)
        """)
        told = subprocess.check_output([sys.executable, "-c", program], text=True).split()
        return int(told[0]), int(told[1])

    (small, few), (large, many) = peak(5000), peak(25_000)
    assert large < 500e6
    assert large - small < RECORD.itemsize * (many - few)


def test_the_command_tells_what_was_written(tmp_path: Path) -> None:
    def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "whyrank.cli", "generate", "--spec", "media", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    done = generate("--users", "12", "--days", "20", "--start", "2025-06-01", "--out", "d/m.csv")
    assert done.returncode == 0, done.stderr
    told = done.stdout
    assert "events of 12 users in d/m.csv" in told
    for name in ("m_users.csv", "m_truth.csv", "m_truth.json"):
        assert f"d/{name}" in told
        assert (tmp_path / "d" / name).is_file()
    refused = generate("--days", "0")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == "error: days is 0; it must be at least 1"


# --- refusals and failures -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"),
    [("users", 0), ("users", 10**8), ("days", 0), ("seed", -1), ("days", 10**9)],
)
def test_refuses_numbers_that_make_no_world(tmp_path: Path, argument: str, value: int) -> None:
    with pytest.raises(UsageError, match=rf"^{argument} is {value}\b.* at (least|most) ") as caught:
        generate_media(tmp_path / "log.csv", **{argument: value})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_refuses_files_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.csv, \.csv\.gz, \.parquet"):
        generate_media(tmp_path / "log.txt")
    with pytest.raises(UsageError, match=r"no folder .*create it"):
        generate_media(tmp_path / "missing" / "log.csv")
    (tmp_path / "log_truth.json").mkdir()
    with pytest.raises(UsageError, match=r"log_truth\.json.* is a folder"):
        generate_media(tmp_path / "log.csv", users=2, days=2)
    assert [p.name for p in tmp_path.iterdir()] == ["log_truth.json"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_interrupted_run_leaves_what_was_there(tmp_path: Path, suffix: str) -> None:
    old = tmp_path / f"log{suffix}"
    old.write_text("old")

    def stop(done: int, of: int) -> None:
        if done > of // 2:  # while the ordered log is being written
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_media(old, users=30, days=10, progress=stop)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(old.name, "old")]


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on file size")
@pytest.mark.parametrize("limit", [1_000, 400_000, 2_000_000])
def test_a_write_that_fails_leaves_nothing(tmp_path: Path, limit: int) -> None:
    """The system itself refuses to let a file grow: the users, the records, the log."""
    program = textwrap.dedent(f"""
        import resource
        from pathlib import Path
        from whyrank.errors import DataError
        from whyrank.events.synthetic.media.world import generate_media
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        try:
            generate_media(Path({str(tmp_path / "log.csv")!r}), users=400)
        except DataError as error:
            print(error)
    """)
    ran = processes.python(program, tmp_path, os.environ)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("\n") == 1
    assert "File too large" in ran.stdout
    assert "nothing was kept" in ran.stdout
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DataError, match="No space left on device"):
        generate_media(tmp_path / "log.csv", users=2, days=2)
    assert not list(tmp_path.iterdir())


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    generate_media(tmp_path / "log.csv", users=50, days=5, progress=lambda *at: seen.append(at))
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert {of for _, of in seen} == {100}
    assert done[-1] == 100
