"""What others wrote is shown inert: on terminals, in tables, where only ASCII can be shown."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import processes
from tests.support.csv_rows import csv_rows
from whyrank.cli.output import Terminal
from whyrank.database import connect_duckdb
from whyrank.escapes import (
    INERT,
    csv_writer,
    escape_formula,
    escape_formula_sql,
    key_of,
    key_sql,
    shown,
    shown_lines,
)
from whyrank.scoring.lists import refuse_foreign
from whyrank.scoring.ranking import write_propensities

NASTY = "\x1b[31mred\x1b[0m\r\n\x07\x00\x85\u2028\u202eevil\u2066\x7f"


@given(st.text())
def test_nothing_shown_moves_a_cursor_or_turns_a_line(text: str) -> None:
    said = shown(text)
    assert not any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in said)
    assert not set(said) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    assert len(said.splitlines()) <= 1
    if text.isprintable():
        assert said == text
    assert shown_lines(f"{text}\n{text}").count("\n") == 2 * text.count("\n") + 1


@pytest.mark.parametrize("json_logs", [True, False])
def test_every_way_of_telling_is_inert(capsys: pytest.CaptureFixture[str], json_logs: bool) -> None:
    terminal = Terminal(json_logs=json_logs)
    for tell in (terminal.log, terminal.warn, terminal.error, terminal.print):
        tell(f"user {NASTY}")
    told = capsys.readouterr()
    for letter in set(NASTY) - set("\n"):
        if not letter.isprintable():
            assert letter not in told.out + told.err
    assert not [line for line in (told.out + told.err).splitlines() if line.startswith("evil")]


def test_a_list_of_nasty_ids_is_a_line_a_user_and_the_file_has_them_as_they_are(
    tmp_path: Path,
) -> None:
    ids = ["\x1b[31mred\x1b[0m", "two\nlines", "\u202eevil", "[/b]bold", "Zoë🛒", "-Nabc", "+49"]
    rows = "".join(f'"{name}",2026-03-01 10:00,signup\n' for name in ids)
    (tmp_path / "e.csv").write_text(f"user_id,event_time,event_name\n{rows}", encoding="utf-8")
    for words in (("ingest", "e.csv", "-q"), ("build", "-q", "--out", "data/features.csv")):
        assert quickly(tmp_path, *words).returncode == 0
    score = ("score", "--top", "20")
    for done in (quickly(tmp_path, *score), whyrank(tmp_path, *score, encoding="ascii")):
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert len([line for line in done.stdout.splitlines() if "signed up" in line]) == len(ids)
    told = quickly(tmp_path, "explain", ids[0])
    assert told.stdout.startswith("\\x1b[31mred"), told.stderr
    found = {row["user_id"].removeprefix("'") for row in csv_rows(tmp_path / "data/top_users.csv")}
    assert found == set(ids)
    for name in ("top_users.csv", "features.csv"):
        keys = [row["user_key"] for row in csv_rows(tmp_path / "data" / name)]
        assert set(keys) == set(ids)  # none of them could run
    # An id that looks like an option is explained after --, and the refusal says so.
    assert quickly(tmp_path, "explain", "--", "-Nabc").stdout.startswith("-Nabc: ")
    refused = quickly(tmp_path, "explain", "-Nabc")
    assert refused.returncode == 2
    assert "whyrank explain -- -Nabc" in refused.stderr


CELLS = st.text(alphabet="=+-@a1 ;|\t\r\n\u200b\ufeff\uff1d\uff0b'\",\u00a0")
LIVE = re.compile("(?:^|[;|\t\r\n])[\\s\u200b-\u200f\u2060\ufeff]*[=+@\uff1d\uff0b\uff0d\uff20-]")


@given(st.lists(CELLS, min_size=1, max_size=8))
def test_no_cell_is_live_for_any_reader_and_all_engines_agree(cells: list[str]) -> None:
    said = [escape_formula(cell) for cell in cells]
    assert not any(LIVE.search(cell) for cell in said)
    for cell, safe in zip(cells, said, strict=True):
        assert safe.replace("'", "") == cell.replace("'", "")
        if not LIVE.search(cell) and cell.lstrip(" ")[:1] not in {"\t", "\r", "\n"}:
            assert safe == cell
    with connect_duckdb() as con:
        con.register("cells", pa.table({"x": cells, "n": range(len(cells))}))
        found = con.execute(f"select {escape_formula_sql('x')} from cells order by n").fetchall()
    assert [row[0] for row in found] == said
    arrow = pa.array(cells)
    for pattern, replacement in INERT:
        arrow = pc.replace_substring_regex(arrow, pattern, replacement)
    assert arrow.to_pylist() == said


@given(st.lists(CELLS.filter(bool), min_size=1, max_size=6, unique=True))
def test_ids_can_be_joined_by_where_no_spreadsheet_could_run_them(ids: list[str]) -> None:
    """In every CSV file alike, whichever engine writes it."""
    keys = [key_of(text) for text in ids]
    for text, key in zip(ids, keys, strict=True):
        assert key in {text, ""}
        assert not LIVE.search(key) or not set(key) - set("-+@a1 .")
        assert key == text or escape_formula(text) != text
    with connect_duckdb() as con:
        con.register("ids", pa.table({"x": ids, "n": range(len(ids))}))
        found = con.execute(f"select {key_sql('x')} from ids order by n").fetchall()
    assert [row[0] for row in found] == keys
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chances.csv"
        write_propensities(
            path, pa.chunked_array([ids]), np.arange(len(ids)),
            probability=np.zeros(len(ids)), expected_spend=None,
            codes=np.zeros(len(ids), dtype=np.int64), stamps={},
        )  # fmt: skip
        rows = csv_rows(path)
        refuse_foreign([path])  # it is a list of ours
    differ = any(escape_formula(text) != text for text in ids)
    assert [row.get("user_key") for row in rows] == (keys if differ else [None] * len(ids))


@given(st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=4))
def test_no_cell_ends_a_row(rows: list[list[str]]) -> None:
    """For Python's reader, and for pandas', which takes a lone carriage return for a line end."""
    rows = [[f"x{cell}" for cell in (*row, "")[:3]] for row in rows]
    file = io.StringIO()
    writer = csv_writer(file)
    for row in rows:
        writer.writerow(row)
    assert list(csv.reader(io.StringIO(file.getvalue(), newline=""))) == rows
    read = pd.read_csv(io.StringIO(file.getvalue()), header=None, dtype=str, lineterminator=None)
    assert len(read) == len(rows)


def quickly(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return processes.whyrank(words, folder, dict(os.environ))


def whyrank(folder: Path, *words: str, encoding: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose streams speak this encoding, as a terminal of that kind has it."""
    env = {"PATH": "", "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C", "HOME": "/"}
    command = [sys.executable, "-m", "whyrank.cli", *words]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, check=False, text=True,
        encoding=encoding,
    )  # fmt: skip
