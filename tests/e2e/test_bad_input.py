"""Bad input, through the real command line: one clear line, nothing lost, nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence

import duckdb
import pytest

from tests.support.homes import GOOD, HEADER, Home
from whyrank.escapes import escape_formula
from whyrank.spec.load import spec_text

ROW = "x,2026-03-01T10:00:00Z,page_view,1\n"
# Root passes every permission check unless it gives these capabilities up.
NO_OVERRIDE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
Can = Callable[[Sequence[str]], None]
pytestmark = [
    pytest.mark.commands,
    pytest.mark.xdist_group("bad-input"),  # its warehouse is built once
]

UNREADABLE: list[tuple[str, str | bytes, str]] = [
    ("missing.csv", "user_id,event_name\nx,page_view\n", "there is no column 'event_time'"),
    ("misspelt.csv", HEADER.replace("user_id", "user_ld") + ROW, "did you mean 'user_ld'"),
    ("twice.csv", "user_id,event_time,event_name,user_id\n", "names 'user_id' twice"),
    ("utf16.csv", (HEADER + ROW).encode("utf-16"), "is UTF-16: save it as UTF-8"),
    ("latin.csv", ("größe," + HEADER).encode("latin-1"), "header line cannot be read"),
    ("empty.csv", "", "is empty"),
    ("empty.parquet", "", "cannot be read as Parquet"),
    ("corrupt.parquet", b"PAR1" + b"\x00" * 200 + b"PAR1", "cannot be read as Parquet"),
    ("notes.txt", "hello", "cannot tell what it is by its name"),
    ("plain.csv.gz", HEADER, "is not gzip"),
    ("numbers.csv.gz", b"\x1f\x8b\x08\x00" + b"\x00" * 20, "is not gzip, or is damaged"),
]


@pytest.mark.parametrize(("name", "body", "said"), UNREADABLE)
def test_a_file_that_cannot_be_read(home: Home, name: str, body: str | bytes, said: str) -> None:
    path = home.write(name, body)
    error = home.refused("ingest", path)
    assert error.startswith(str(path))
    assert said in error


def test_no_file_or_a_folder_in_its_place(home: Home) -> None:
    assert "No such file" in home.refused("ingest", "nowhere.csv")
    assert "there is no such file" in home.refused("ingest", "nowhere.parquet")
    for name in ("place", "place.csv", "place.parquet"):
        (home.folder / name).mkdir()
        assert f"{name}: is a folder: name one file" in home.refused("ingest", name)
    assert "nothing to load" in home.refused("ingest", code=2)


def test_a_parquet_file_damaged_in_the_middle(home: Home) -> None:
    path = home.folder / "events.parquet"
    with duckdb.connect() as con:
        con.execute(
            "copy (select 'u' || i as user_id, timestamp '2026-03-01' as event_time, 'page_view'"
            f" as event_name from range(100000) as r(i)) to '{path}' (format parquet)"
        )
    body = bytearray(path.read_bytes())
    body[2000:20000] = b"\xab" * 18000
    path.write_bytes(body)
    assert "events.parquet" in home.refused("ingest", path)


def test_every_bad_row_is_kept_with_its_reason_and_good_ones_are_loaded(home: Home) -> None:
    bad = {
        ",2026-03-01T10:00:00Z,page_view,1": "user_id is missing",
        "x,,page_view,1": "event_time is missing",
        "x,2026-03-01T10:00:00Z,,1": "event_name is missing",
        "x,soon,page_view,1": "event_time cannot be read as iso",
        "x,1970-01-01T00:00:00Z,page_view,1": "event_time is before 2000-01-01",
        "x,2262-04-11T23:47:16Z,page_view,1": "event_time is in the future",
        "x,292278994-08-17T07:12:55Z,page_view,1": "event_time ",
        "x,2026-03-01T10:00:00Z,page_view,nan": "value is not a finite number",
        "x,2026-03-01T10:00:00Z,page_view,-inf": "value is not a finite number",
        "x,2026-03-01T10:00:00Z,page_view,many": "value is not a number",
        "x,2026-03-01T10:00:00Z,pageview,1": "event_name is not in the spec's [events]",
        "x,2026-03-01T10:00:00Z": "too few columns: 2, header has 4",
        "x,2026-03-01T10:00:00Z,page_view,1,2": "too many columns: 5, header has 4",
        'x,2026-03-01T10:00:00Z,page_view,"1': "unterminated quote",
        "x" * 1001 + ",2026-03-01T10:00:00Z,page_view,1": "user_id is longer than 1000 characters",
        "x,2026-03-01T10:00:00Z,page_view," + "7" * 10_000_000: "record longer than 1 MiB",
    }
    latin = "größe,2026-03-01T10:00:00Z,page_view,1".encode("latin-1")
    body = HEADER.encode() + ROW.encode().join(
        [*(f"{line}\n".encode() for line in bad), latin + b"\n"]
    )
    before = home.rows("events")
    done = home.run("ingest", home.write("bad.csv", body))
    assert done.returncode == 0, done.stderr
    count = len(bad) + 1
    assert f"{count - 1} accepted + 0 duplicate + {count} quarantined" in done.stdout
    assert home.rows("events") == before + count - 1
    with duckdb.connect(str(home.folder / "data" / "whyrank.duckdb"), read_only=True) as con:
        found = con.execute("select raw, reason from saas_landing.quarantine").fetchall()
    kept = {bytes(raw): reason for raw, reason in found}
    assert kept.pop(latin) == "not valid UTF-8"
    assert kept.keys() == {line.encode() for line in bad}
    for line, reason in bad.items():
        assert kept[line.encode()].startswith(reason), line[:80]
    for reason in set(kept.values()):
        assert f"x {reason}" in done.stdout


def test_times_of_many_zones_become_utc(home: Home) -> None:
    same = ["2026-03-05T12:00:00Z", "2026-03-05T14:00:00+02:00", "2026-03-05 06:30:00-05:30"]
    naive = "2026-03-05 12:00:00"
    rows = "".join(f"z{i},{time},page_view,1\n" for i, time in enumerate([*same, naive]))
    assert home.run("ingest", home.write("zones.csv", HEADER + rows)).returncode == 0
    with duckdb.connect(str(home.folder / "data" / "whyrank.duckdb"), read_only=True) as con:
        found = con.execute(
            "select distinct event_time::varchar from saas_landing.events where user_id like 'z%'"
        ).fetchall()
    assert found == [("2026-03-05 12:00:00",)]


def test_no_permission_to_read_or_write(home: Home, can: Can) -> None:
    can(NO_OVERRIDE)
    secret = home.write("secret.csv", GOOD)
    secret.chmod(0)
    assert "Permission denied" in home.refused("ingest", secret, under=NO_OVERRIDE)
    closed = home.folder / "closed"
    closed.mkdir(mode=0o500)
    out = closed / "top.csv"
    assert "Permission denied" in home.refused("score", "--out", out, under=NO_OVERRIDE)
    url = f"duckdb:///{closed}/w.duckdb"
    said = home.refused("ingest", "events.csv", "--warehouse", url, under=NO_OVERRIDE)
    # Without its path, which is named after this test.
    assert "permission" in said.replace(str(closed), "").lower()
    home.folder.joinpath("data", "whyrank.duckdb").chmod(0)
    said = home.refused("build", under=NO_OVERRIDE)
    assert "permission" in said.lower()


@pytest.mark.engines
def test_a_full_disk_keeps_what_was_there(home: Home, can: Can) -> None:
    can(("unshare", "-m"))
    small = home.folder / "small"
    small.mkdir()
    # 8 MiB: a load that fits, one that does not; then there is room for the rest.
    home.write("big.csv", HEADER + "".join(ROW.replace("x,", f"x{i},") for i in range(400_000)))
    script = (
        f"mount -t tmpfs -o size=8m tmpfs {small} && run() {{ {sys.executable} -m whyrank.cli "
        '"$@" --warehouse duckdb:///small/w.duckdb; }; '
        f"run ingest events.csv && run ingest big.csv; code=$?; mount -o remount,size=48m {small}; "
        "run ingest events.csv && run build && run score --out small/top.csv && "
        "head -c 40M /dev/zero > small/filler; "
        "cat /dev/zero > small/rest; sha256sum < small/top.csv; run score --out small/top.csv; "
        "full=$?; sha256sum < small/top.csv; ls -A small | grep -c '^[.]'; "
        "exit $((code * 10 + full))"
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        cwd=home.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 11, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [("the disk is full" in e or "No space left" in e) for e in errors] == [True, True], (
        errors
    )
    assert "Traceback" not in done.stderr
    assert "bug in whyrank" not in done.stderr
    assert "120 read = 0 accepted + 120 duplicate" in done.stdout
    digests = [line for line in done.stdout.splitlines() if line.endswith("  -")]
    assert len(digests) == 2
    assert digests[0] == digests[1]
    assert done.stdout.splitlines()[-1] == "0", "a temporary file was left"


def test_a_warehouse_in_use_by_another_process(home: Home) -> None:
    code = (
        "import duckdb, sys\n"
        "con = duckdb.connect('data/whyrank.duckdb')\n"
        "print('held', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=home.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        for arguments in (["ingest", "events.csv"], ["build"]):
            done = home.run(*arguments)
            assert done.returncode == 1
            assert done.stderr.splitlines()[-1].startswith("error: warehouse data/whyrank.duckdb")
            assert f"another process is using it (PID {holder.pid}" in done.stderr
        assert home.run("score").returncode == 0, "readers never need the warehouse"
        holder.communicate()


def test_a_file_that_is_no_warehouse(home: Home) -> None:
    home.write("w.duckdb", "this is not a database at all, " * 400)
    said = home.refused("ingest", "events.csv", "--warehouse", "duckdb:///w.duckdb")
    assert said == "warehouse w.duckdb: is not a DuckDB database: name another file"


SPECS = [
    ('name = "saas"', 'nmae = "saas"', "did you mean 'name'"),
    ('name = "saas"', 'name = "../../evil"', "name"),
    ('name = "saas"', 'name = "x; drop schema saas_landing"', "name"),
    ("medium = 30", "medium = 70", "bands"),
    ("points = 20\n", "points = 21\n", "100"),
    ('feature = "signups"', 'feature = "sigups"', "did you mean 'signups'"),
    ('op = "count"', 'op = "median"', "median"),
    ("signups > 0 and", "signups > 0); drop table events; --", "sql"),
    ("signups > 0 and", "exists (select 1 from read_csv('/etc/passwd')) and", "sql"),
    (
        'where = "not converted"',
        "where = \"getenv('HOME') = 'x'\"",
        "is not allowed in an expression",
    ),
    ('where = "not converted"', 'where = "nobody"', "nobody"),
    ("[sessions]", "[sessions", "TOML"),
    ('gap = "30m"', 'gap = "-30m"', "gap"),
    ('version = "1"', "version = ", "TOML"),
    ("points = 20\n", "points = inf\n", "points: inf: input should be a finite number"),
    ("points = 20\n", "points = nan\n", "points: nan: input should be a finite number"),
    ("spam_events = 20", "spam_events = -inf", "-inf: input should be a finite number"),
]


@pytest.mark.parametrize(("text", "change", "said"), SPECS)
def test_a_spec_that_cannot_be_used(home: Home, text: str, change: str, said: str) -> None:
    path = home.write("my.toml", spec_text("saas").replace(text, change, 1))
    assert change in path.read_text()
    error = home.refused("build", "--spec", path, lines=2 if "nmae" in change else 1)
    told = [line.removeprefix(str(path)) for line in error.splitlines()]
    assert all(line.startswith(":") for line in told), error
    assert said in "\n".join(told)  # a path may hold the word by chance


def test_a_spec_that_is_not_there_or_not_text(home: Home) -> None:
    assert "did you mean 'saas'" in home.refused("build", "--spec", "sass")
    assert "nowhere.toml" in home.refused("build", "--spec", "nowhere.toml")
    assert "UTF-8" in home.refused("build", "--spec", home.write("bad.toml", b"name = '\xff'"))
    (home.folder / "dir.toml").mkdir()
    assert "dir.toml: is a folder" in home.refused("build", "--spec", "dir.toml")
    deep = "x = " + "[" * 5000 + "]" * 5000
    said = home.refused("build", "--spec", home.write("deep.toml", deep))
    assert said.endswith("deep.toml: its arrays or tables are nested too deeply to be read")


@pytest.mark.parametrize("name", ["events.csv", "events.jsonl.gz", "events.parquet", "my.toml"])
def test_a_pipe_in_the_place_of_a_file(home: Home, name: str) -> None:
    """Nobody writes to it: whoever opened it would wait for ever."""
    pipe = home.folder / f"new_{name}"
    os.mkfifo(pipe)
    call = ("build", "--spec") if name == "my.toml" else ("ingest",)
    said = home.refused(*call, pipe)
    assert f"{pipe}: is a pipe, and a file is read more than once: write what" in said
    if name == "events.csv":
        assert f"{pipe}: is a pipe, and" in home.refused("init", pipe)


@pytest.mark.parametrize(
    "call",
    [
        ("ingest", "caf\udce9.csv"), ("ingest", "caf\udce9.parquet"),
        ("build", "--spec", "caf\udce9.toml"), ("score", "--out", "caf\udce9.csv"),
        ("build", "--warehouse", "duckdb:///caf\udce9/w.duckdb"),
    ],
    ids=["csv", "parquet", "spec", "out", "warehouse"],
)  # fmt: skip
def test_a_path_that_is_not_utf8(home: Home, call: tuple[str, ...]) -> None:
    """Its é is the one byte that it is in Latin-1."""
    said = home.refused(*call, code=2)
    assert said.endswith(": is not UTF-8: rename the file or folder, then name it so")
    assert "caf\\xe9" in said


def test_json_that_is_nested_deeply_is_a_value_like_any_other(home: Home) -> None:
    """In good rows and bad ones, in JSON lines and in a column of a CSV; then built and scored."""
    deep = "[" * 50_000 + "]" * 50_000
    kept = '{"user_id":"deep","event_time":"2026-03-01T10:00:00Z","event_name":"page_view"'
    lines = [f'{kept},"properties":{{"a":{deep}}}}}', deep, f'{kept},"value":{deep}}}']
    done = home.run("ingest", home.write("deep.jsonl", "\n".join(lines)))
    assert done.returncode == 0, done.stderr
    assert "3 read = 1 accepted + 0 duplicate + 2 quarantined" in done.stdout
    row = f'wide,2026-03-01T10:00:00Z,page_view,1,"{{""a"":{deep}}}"\n'
    path = home.write("deep.csv", HEADER.replace("\n", ",properties\n") + row)
    assert home.run("ingest", path).returncode == 0
    for call in (("build",), ("explain", "deep"), ("explain", "wide")):
        done = home.run(*call)
        assert done.returncode == 0, done.stderr


EVIL = "'; drop schema saas_landing cascade; --"


def test_names_that_try_to_be_sql_are_text(home: Home) -> None:
    column = f'x"{EVIL}'
    text = spec_text("saas").replace(
        "[events]\n",
        "[source]\nuser_id = '''" + column + "'''\nproperties = [\"it's\"]\n\n[events]\n",
        1,
    )
    spec = home.write("evil.toml", text)
    quoted = column.replace('"', '""')
    rows = f'{EVIL},2026-03-01T10:00:00Z,page_view,1,a\n"=cmd(),""",2026-03-02,page_view,1,b\n'
    events = home.write("ev'il.csv", f'"{quoted}",event_time,event_name,value,it\'s\n{rows}')
    users = home.write("us'ers.csv", f"user_id,email,account_balance\n{EVIL},=1+1,5\n")
    for arguments in (
        ["ingest", events, "--users-file", users],
        ["build"],
        ["score", "--top", "100", "--out", "o'ut.csv"],
        ["explain", EVIL],
        ["evaluate", "--as-of", "2026-03-02", "--horizon", "1d"],
    ):
        done = home.run(*arguments, "--spec", spec)
        assert "Traceback" not in done.stderr
        allowed = {0, 1} if arguments[0] == "evaluate" else {0}
        assert done.returncode in allowed, (arguments, done.stderr)
        assert "bug in whyrank" not in done.stderr
    assert home.rows("events") == 122
    written = (home.folder / "o'ut.csv").read_text()
    assert escape_formula(EVIL) in written  # a spreadsheet may take "; -" for another cell
    assert "'=1+1" in written
    assert "'=cmd()" in written
    assert sorted(p.name for p in home.folder.parent.iterdir()) == ["home"]


def test_an_unknown_user(home: Home) -> None:
    assert home.refused("explain", "u999").startswith("no user 'u999' has an event before")
    assert home.refused("explain", "' or 1=1 --").startswith('no user "\' or 1=1 --"')
    assert "did you mean" in home.refused("explain", "U59".lower() + "9")


def test_dates_that_were_not_built(home: Home) -> None:
    said = home.refused("score", "--as-of", "2026-01-01")
    assert "Run `whyrank build --as-of 2026-01-01`" in said
    said = home.refused("build", "--as-of", "1999-01-01")
    assert said.startswith("nothing was known as of 1999-01-01: the first event is of 2026-03-01")
    assert "did you mean" in home.refused("build", "--spec", "olits")
