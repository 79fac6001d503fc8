"""The made-up saas world: same bytes, honest truth, behaviour that intent drives, whole files."""

from __future__ import annotations

import gzip
import hashlib
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
from scipy.stats import spearmanr

from tests.support import processes
from tests.support.examples import examples
from whyrank.errors import DataError, UsageError
from whyrank.events.synthetic import write
from whyrank.events.synthetic.actions import IDLE_SECONDS, IDLE_SHARE, PAGE_SECONDS
from whyrank.events.synthetic.population import SEGMENTS, draw_people
from whyrank.events.synthetic.saas import Generated, generate_saas
from whyrank.events.synthetic.visits import MICROSECONDS_PER_HOUR, Clock, draw_visits

EVENT_COLUMNS = [
    "event_id", "user_id", "event_time", "event_name", "value",
    "session_id", "platform", "device", "geo",
]  # fmt: skip
NAMES = {"page_view", "pricing_view", "demo_request", "signup", "calendar_booking", "login"}
SUFFIXES = (".csv", ".csv.gz", ".parquet")


def digests(made: Generated) -> list[str]:
    files = (made.events, made.users, made.truth)
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """Three thousand users in two blocks, as Parquet."""
    out = tmp_path_factory.mktemp("world") / "log.parquet"
    return generate_saas(out, users=3000, seed=11)


def read(path: Path) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(path).to_pandas()
    return frame


@pytest.fixture(scope="module")
def events(world: Generated) -> pd.DataFrame:
    return read(world.events)


@pytest.fixture(scope="module")
def truth(world: Generated) -> pd.DataFrame:
    return read(world.truth).set_index("user_id")


# --- the same bytes ------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_arguments_same_bytes_in_any_process(tmp_path: Path, suffix: str) -> None:
    """Neither the hash seed, the processors allowed, the time nor the folder shows."""
    here = tmp_path / "one"
    here.mkdir()
    made = generate_saas(here / f"log{suffix}", users=40, seed=3, days=30)
    there = tmp_path / "another"
    there.mkdir()
    out = there / f"log{suffix}"
    program = textwrap.dedent(f"""
        import os
        from pathlib import Path
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
        from whyrank.events.synthetic.saas import generate_saas
        generate_saas(Path({str(out)!r}), users=40, seed=3, days=30)
    """)
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    again = Generated(out, there / f"log_users{suffix}", there / f"log_truth{suffix}", 0, 0, *[
        made.start, made.end,
    ])  # fmt: skip
    assert digests(again) == digests(made)


def test_another_seed_another_world(tmp_path: Path) -> None:
    one, two = (generate_saas(tmp_path / f"s{s}.csv", users=20, seed=s, days=20) for s in (0, 1))
    assert all(a != b for a, b in zip(digests(one), digests(two), strict=True))


def test_formats_hold_the_same_rows(tmp_path: Path) -> None:
    plain, zipped, parquet = (
        generate_saas(tmp_path / f"log{suffix}", users=30, days=20) for suffix in SUFFIXES
    )
    for role in ("events", "users", "truth"):
        text = getattr(plain, role).read_bytes()
        packed = getattr(zipped, role).read_bytes()
        assert gzip.decompress(packed) == text
        assert packed[3:8] == bytes(5), "a name or a time in the gzip header"
        # rendered from the Parquet values by other code than the generator's
        rows = pq.read_table(getattr(parquet, role)).to_pylist()
        header, *lines = text.decode().splitlines()
        assert header.split(",") == list(rows[0])
        assert [line.split(",") for line in lines] == [
            [_cell(value) for value in row.values()] for row in rows
        ]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def test_logs_of_several_pieces_hold_the_same_rows_in_every_format(tmp_path: Path) -> None:
    """More rows than one piece: where a piece ends must not show in any format."""
    made = generate_saas(tmp_path / "w.parquet", users=3200, seed=4)
    assert made.n_events > 2 * write.ROWS
    text = generate_saas(tmp_path / "w.csv", users=3200, seed=4)
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        columns = dict.fromkeys(pq.read_schema(made.events).names, "varchar")
        columns |= {"event_time": "timestamptz", "value": "double"}
        written = f"read_csv('{text.events}', columns = {columns}, header = true)"
        for one, other in ((f"'{made.events}'", written), (written, f"'{made.events}'")):
            found = con.execute(f"select count(*) from (from {one} except all from {other})")
            assert found.fetchone() == (0,)


def test_row_groups_do_not_depend_on_batches(world: Generated) -> None:
    """Every row group but the last has the full length."""
    meta = pq.ParquetFile(world.events).metadata
    sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
    assert len(sizes) > 1
    assert set(sizes[:-1]) == {131_072}
    assert sizes[-1] <= 131_072


# --- the log -------------------------------------------------------------------------------


def test_log_keeps_its_contract(world: Generated, events: pd.DataFrame) -> None:
    assert list(events.columns) == EVENT_COLUMNS
    assert len(events) == world.n_events
    assert events["event_id"].is_unique
    assert set(events["event_name"]) == NAMES
    assert events["user_id"].nunique() == world.n_users
    assert world.end == world.start + timedelta(days=90)
    low, high = (pd.Timestamp(day, tz="UTC") for day in (world.start, world.end))
    assert events["event_time"].min() >= low
    assert events["event_time"].max() < high
    assert str(pq.read_schema(world.events).field("event_time").type) == "timestamp[us, tz=UTC]"
    views = events["event_name"].isin(["page_view", "pricing_view"])
    assert events["value"].notna().equals(views)
    assert events["value"].dropna().between(0, 1800).all()


def test_log_is_in_time_order_with_ties(events: pd.DataFrame) -> None:
    ordered = events.sort_values(["event_time", "event_id"], kind="stable")
    assert ordered.index.equals(events.index)
    assert events.duplicated(["user_id", "event_time"]).any()


def test_sessions_have_real_gaps(events: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Breaks between visits are hours; gaps inside one are minutes, with rare idle ones."""
    visits = events.groupby("session_id")["event_time"].agg(["min", "max"])
    visits["user"] = visits.index.str.partition("-").get_level_values(0)
    visits = visits.sort_values(["user", "min"])
    between = visits["min"].diff()[visits["user"].eq(visits["user"].shift())]
    assert between.min() >= timedelta(hours=3)
    people = events[events["user_id"].map(truth["segment"]) != "spammer"]
    inside = people.groupby("session_id")["event_time"].diff().dropna()
    long = (inside > timedelta(minutes=30)).mean()
    # exponential gaps of mean PAGE_SECONDS, some pages left open IDLE_SECONDS longer on average
    expected = (1 - IDLE_SHARE) * np.exp(-1800 / PAGE_SECONDS)
    expected += IDLE_SHARE * np.exp(-1800 / (PAGE_SECONDS + IDLE_SECONDS))
    assert abs(long - expected) < 4 * np.sqrt(expected / len(inside))
    assert (visits["min"].dt.date != visits["max"].dt.date).any(), "none crosses midnight"


def test_days_and_weeks_have_their_rhythm(events: pd.DataFrame) -> None:
    starts = events.loc[events["session_id"].drop_duplicates().index, "event_time"]
    weekdays = starts.dt.date.value_counts().groupby(lambda day: day.weekday()).mean()
    assert weekdays[[5, 6]].max() < 0.7 * weekdays[[0, 1, 2, 3, 4]].min()
    german = events.loc[starts.index].query("geo == 'DE'")["event_time"].dt.hour
    assert german.between(7, 16).sum() > 4 * (german.between(0, 4).sum())


def test_activity_is_heavy_tailed_about_a_hundred(events: pd.DataFrame) -> None:
    """Mean near 100 within four standard errors of its own heavy tail; far above the median."""
    counts = events["user_id"].value_counts()
    error = counts.std() / np.sqrt(len(counts))
    assert abs(counts.mean() - 100) < 4 * error
    assert counts.mean() > 1.8 * counts.median()
    assert counts.nlargest(len(counts) // 100).sum() > 0.05 * counts.sum()


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 2**32), users=st.integers(1, 300), days=st.sampled_from([1, 2, 30, 400]))
def test_every_user_comes_within_the_period(seed: int, users: int, days: int) -> None:
    rng = np.random.default_rng(seed)
    people = draw_people(rng, users)
    visits = draw_visits(rng, people, Clock.of(date(2024, 2, 28), days), days)
    assert set(visits.user) == set(range(users))
    assert visits.start.min() >= 0
    assert visits.start.max() < days * 24 * MICROSECONDS_PER_HOUR


# --- the truth -----------------------------------------------------------------------------


def test_truth_times_are_those_of_the_events(world: Generated) -> None:
    wrong = duckdb.execute(
        """
        with seen as (
            select user_id, min(event_time) as first_seen,
                min(event_time) filter (event_name = 'signup') as signup_time,
                min(event_time) filter (event_name = 'calendar_booking') as booking_time,
                count(*) filter (event_name = 'signup') as signups,
            from read_parquet(?) group by user_id
        )
        select count(*) filter (
                t.first_seen is distinct from s.first_seen
                or t.signup_time is distinct from s.signup_time
                or t.booking_time is distinct from s.booking_time
                or s.signups > 1
                or t.converted_time is distinct from case
                    when s.signup_time is not null and s.booking_time is not null
                    then greatest(s.signup_time, s.booking_time) end
            ), count(*), count(t.converted_time)
        from read_parquet(?) as t left join seen as s using (user_id)
        """,
        [str(world.events), str(world.truth)],
    ).fetchone()
    assert wrong is not None
    assert wrong[:2] == (0, 3000)
    assert wrong[2] > 0


def test_segments_and_intent(truth: pd.DataFrame) -> None:
    assert truth["intent"].between(0, 1, inclusive="neither").all()
    for segment in SEGMENTS:
        members = truth.loc[truth["segment"] == segment.name, "intent"]
        n, (a, b) = len(truth), segment.intent
        assert abs(len(members) / n - segment.share) < 4 * np.sqrt(
            segment.share * (1 - segment.share) / n
        )
        spread = np.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)) / len(members))
        assert abs(members.mean() - a / (a + b)) < 4 * spread


def test_conversions_are_spread_and_leave_people_to_call(
    truth: pd.DataFrame, world: Generated
) -> None:
    converted = truth["converted_time"].notna()
    assert 0.08 < converted.mean() < 0.20
    assert (truth.loc[~converted, "intent"] > 0.6).mean() > 0.05
    assert truth.loc[converted, "intent"].mean() > truth.loc[~converted, "intent"].mean() + 0.2
    start = pd.Timestamp(world.start, tz="UTC")
    month = ((truth["converted_time"] - start).dt.days // 30).value_counts(normalize=True)
    assert set(month.index) >= {0, 1, 2}
    assert month.min() > 0.15
    both = truth[converted]
    early = (both["booking_time"] < both["signup_time"]).mean()
    assert 0.03 < early < 0.3
    assert (truth["first_seen"] < start + timedelta(days=10)).mean() > 0.15
    assert (truth["first_seen"] > start + timedelta(days=80)).mean() > 0.03


def test_life_goes_on_after_converting(events: pd.DataFrame, truth: pd.DataFrame) -> None:
    since = events["user_id"].map(truth["converted_time"])
    after = events[events["event_time"] > since + timedelta(hours=3)]
    assert (after["event_name"] == "login").any()
    signed = events["user_id"].map(truth["signup_time"])
    logins = events["event_name"] == "login"
    assert (events["event_time"] > signed)[logins].all()


# --- intent drives behaviour ---------------------------------------------------------------


def counts(events: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    table = pd.crosstab(events["user_id"], events["event_name"])
    table["visits"] = events.groupby("user_id")["session_id"].nunique()
    return table.reindex(truth.index)


@pytest.mark.parametrize("name", ["pricing_view", "demo_request", "signup", "visits"])
def test_intent_drives(name: str, events: pd.DataFrame, truth: pd.DataFrame) -> None:
    """The rank correlation lies beyond five standard errors of a shuffled one, yet is not 1."""
    rho = spearmanr(counts(events, truth)[name], truth["intent"]).statistic
    band = 5 / np.sqrt(len(truth) - 1)
    assert band < rho < 0.8


def test_pricing_rate_rises_with_intent_within_a_segment(
    events: pd.DataFrame, truth: pd.DataFrame
) -> None:
    """Not only because buyers are both keen and curious: shuffling within the segment tells."""
    table = counts(events, truth)
    views = table["pricing_view"] + table["page_view"]
    chosen = (truth["segment"] == "researcher") & (views > 20)
    rate, intent = (table["pricing_view"] / views)[chosen], truth.loc[chosen, "intent"]
    rho = spearmanr(rate, intent).statistic
    rng = np.random.default_rng(5)
    shuffled = [spearmanr(rng.permutation(rate), intent).statistic for _ in range(200)]
    assert rho > max(shuffled)


def test_a_sensible_scorecard_recovers_intent_in_part(
    events: pd.DataFrame, truth: pd.DataFrame
) -> None:
    """Among those not converted: between 0.5 and 0.8, within two standard errors of a rho."""
    table = counts(events, truth)
    score = (
        20 * (table["demo_request"] / 2).clip(upper=1)
        + 15 * table["signup"]
        + 15 * table["calendar_booking"].clip(upper=1)
        + 25 * (np.log1p(table["pricing_view"]) / np.log(16)).clip(upper=1)
        + 15 * (np.log1p(table["visits"]) / np.log(20)).clip(upper=1)
        - 20 * (truth["segment"] == "spammer")
    )
    waiting = truth["converted_time"].isna()
    rho = spearmanr(score[waiting], truth.loc[waiting, "intent"]).statistic
    error = np.sqrt((1 + rho**2 / 2) / waiting.sum())
    assert 0.5 - 2 * error < rho < 0.8 + 2 * error


def test_bouncers_see_one_page_and_go(events: pd.DataFrame, truth: pd.DataFrame) -> None:
    bouncers = events[events["user_id"].map(truth["segment"]) == "bouncer"]
    assert len(bouncers) > 0
    assert (bouncers.groupby("session_id").size() == 1).all()


def test_spam_comes_in_bursts_and_from_spammers(events: pd.DataFrame, truth: pd.DataFrame) -> None:
    """A burst: twenty events or more within a minute and a half, most gaps below a second."""
    visits = events.groupby("session_id").agg(
        n=("event_id", "size"),
        user=("user_id", "first"),
        span=("event_time", lambda t: (t.max() - t.min()).total_seconds()),
    )
    burst = (visits["n"] >= 20) & (visits["span"] < 90)
    spammer = visits["user"].map(truth["segment"]) == "spammer"
    assert not (burst & ~spammer).any()
    # six in ten of a spammer's visits are bursts: a binomial band of four standard errors
    assert abs(burst[spammer].mean() - 0.6) < 4 * np.sqrt(0.24 / spammer.sum())
    inside = events[events["session_id"].isin(visits.index[burst])]
    gaps = inside.groupby("session_id")["event_time"].diff().dt.total_seconds().dropna()
    assert (gaps < 1).mean() > 0.9
    assert (gaps == 0).any()


# --- the users -----------------------------------------------------------------------------


def test_users_file_has_one_balance_at_a_time(world: Generated, truth: pd.DataFrame) -> None:
    users = read(world.users)
    assert list(users.columns) == [
        "user_id", "valid_from", "email", "owner", "crm_id",
        "country", "device_type", "acquisition_channel", "account_balance",
    ]  # fmt: skip
    assert not users.duplicated(["user_id", "valid_from"]).any()
    assert users.sort_values(["user_id", "valid_from"]).index.equals(users.index)
    by_user = users.groupby("user_id")
    first = by_user.first()
    assert first["valid_from"].equals(truth["first_seen"].rename("valid_from"))
    assert (first["account_balance"] == 0).all()
    assert (by_user["account_balance"].diff().dropna() > 0).all()
    changes = users[by_user.cumcount() > 0]
    assert (changes["valid_from"] > changes["user_id"].map(truth["signup_time"])).all()
    assert len(changes) > 0.5 * truth["signup_time"].notna().sum()
    stable = ["email", "owner", "crm_id", "country", "device_type", "acquisition_channel"]
    assert by_user[stable].nunique().eq(1).all(axis=None)
    assert first["email"].is_unique
    assert first["email"].str.fullmatch(r"[a-z]+\.[a-z]+\.\d+@example\.com").all()
    assert any(not owner.isascii() for owner in first["owner"])


def test_users_agree_with_events(world: Generated, events: pd.DataFrame) -> None:
    """A user's country is where events come from; the device is usually the one used."""
    first = read(world.users).groupby("user_id").first()
    assert (events["user_id"].map(first["country"]) == events["geo"]).all()
    same = (events["user_id"].map(first["device_type"]) == events["device"]).mean()
    assert 0.85 < same < 0.99
    assert set(events.loc[events["device"] == "desktop", "platform"]) == {"web"}
    assert set(events["platform"]) == {"web", "ios", "android"}


def test_a_log_larger_than_memory_is_sorted_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four million rows, 96 MB as they stand, through a sort that may hold 100 MB in all."""
    monkeypatch.setattr(write, "SORT_MEMORY", "100MB")
    n = 4_000_000
    keys = np.random.default_rng(2).integers(0, n // 2, n)  # with ties, so that row decides
    rows = pa.table({"key": keys, "row": np.arange(n), "load": keys * 3})
    pq.write_table(rows, tmp_path / "parts.parquet", row_group_size=200_000)
    spilt = False
    batches = []
    for batch in write.sorted_batches(tmp_path / "parts.parquet", "key, row", tmp_path / "spill"):
        spilt |= any((tmp_path / "spill").iterdir())
        batches.append(batch)
    ordered = pa.Table.from_batches(batches)
    assert spilt
    order = np.lexsort((np.arange(n), keys))
    assert np.array_equal(ordered["row"].to_numpy(), order)
    assert np.array_equal(ordered["load"].to_numpy(), keys[order] * 3)


# --- refusals and failures -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"), [("users", 0), ("days", 0), ("seed", -1), ("days", 10**9)]
)
def test_refuses_numbers_that_make_no_world(tmp_path: Path, argument: str, value: int) -> None:
    with pytest.raises(UsageError, match=rf"^{argument} is {value}\b.* at (least|most) ") as caught:
        generate_saas(tmp_path / "log.csv", **{argument: value})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["log.txt", "log", "log.csv.bz2", ".csv"])
def test_refuses_unknown_formats(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"\.csv, \.csv\.gz, \.parquet"):
        generate_saas(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_refuses_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no folder .*create it"):
        generate_saas(tmp_path / "missing" / "log.csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="no folder"):
        generate_saas(tmp_path / "file" / "log.csv")
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(UsageError, match="it is a folder"):
        generate_saas(tmp_path / "taken.csv")
    (tmp_path / "log_truth.csv").mkdir()
    with pytest.raises(UsageError, match=r"log_truth\.csv.* is a folder"):
        generate_saas(tmp_path / "log.csv", users=2, days=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "log_truth.csv", "taken.csv"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no files, even from root")
def test_refuses_a_folder_that_takes_no_files() -> None:
    with pytest.raises(UsageError, match=r"cannot write in the folder '/proc'"):
        generate_saas(Path("/proc/log.csv"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs permission bits")
@pytest.mark.parametrize("sealed", ["folder", "above"])
def test_refuses_a_folder_without_permission(tmp_path: Path, sealed: str) -> None:
    """Neither a folder that may not be written nor one that may not even be reached."""
    folder = tmp_path / "folder"
    folder.mkdir()
    closed, mode = (folder, 0o500) if sealed == "folder" else (tmp_path, 0o000)
    program = textwrap.dedent(f"""
        import os
        from pathlib import Path
        from whyrank.errors import UsageError
        from whyrank.events.synthetic.saas import generate_saas
        if os.geteuid() == 0:
            os.seteuid(65534)  # root may write anywhere
        try:
            generate_saas(Path({str(folder / "log.csv")!r}))
        except UsageError as error:
            print(error)
    """)
    closed.chmod(mode)
    try:
        told = subprocess.check_output([sys.executable, "-c", program], text=True)
    finally:
        closed.chmod(0o700)
    assert "cannot write in the folder" in told
    assert "Permission denied" in told
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["a*[b]?", 'it\'s "so"; --', "{x,y}", "user=3", "ö %20 $HOME"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    made = generate_saas(folder / "log.parquet", users=3, days=5)
    assert pq.read_table(made.events).num_rows == made.n_events


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_interrupted_run_leaves_what_was_there(tmp_path: Path, suffix: str) -> None:
    old = tmp_path / f"log{suffix}"
    old.write_text("old")
    steps = 0

    def stop(done: int, of: int) -> None:
        nonlocal steps
        steps += 1
        if done > of // 2:  # while the ordered log is being written
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_saas(old, users=30, days=10, progress=stop)
    assert steps > 1
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(old.name, "old")]


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on file size")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("limit", [1_000, 150_000])
def test_a_write_that_fails_leaves_nothing(tmp_path: Path, suffix: str, limit: int) -> None:
    """The system itself refuses to let a file grow, as on a full disk, early or late."""
    program = textwrap.dedent(f"""
        import resource
        from pathlib import Path
        from whyrank.errors import DataError
        from whyrank.events.synthetic.saas import generate_saas
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        try:
            generate_saas(Path({str(tmp_path / ("log" + suffix))!r}), users=400)
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
        generate_saas(tmp_path / "log.csv", users=2, days=2)
    assert not list(tmp_path.iterdir())


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    generate_saas(tmp_path / "log.csv", users=50, days=5, progress=lambda *at: seen.append(at))
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert {of for _, of in seen} == {100}
    assert done[-1] == 100


def test_times_are_utc_whatever_the_start(tmp_path: Path) -> None:
    start = date(2024, 2, 28)
    made = generate_saas(tmp_path / "log.parquet", users=20, start=start, days=3)
    times = pq.read_table(made.events)["event_time"].to_pylist()
    assert made.end == date(2024, 3, 2)
    assert datetime(2024, 2, 28, tzinfo=UTC) <= min(times)
    assert max(times) < datetime(2024, 3, 2, tzinfo=UTC)
