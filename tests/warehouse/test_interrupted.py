"""A statement that is interrupted leaves the warehouse free, for the same process as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# A signal in the middle of a COPY; what follows is what a build does: it notes down that it failed.
SCRIPT = """
import os, signal, sys, threading
from pathlib import Path
from whyrank.warehouse.open import open_warehouse

def stop(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, stop)
folder = Path(sys.argv[1])
warehouse = open_warehouse(f"duckdb:///{folder}/w.duckdb")
with warehouse.connect() as con:
    con.execute("create table t as select range as a, random() as b from range(10_000_000)")
started = threading.Event()

def look():
    while not list(folder.glob("*t.parquet*")):
        started.wait(0.01)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=look, daemon=True).start()
try:
    with warehouse.connect() as con:
        con.execute(f"copy (select * from t order by b, a) to '{folder}/t.parquet'")
except KeyboardInterrupt:
    with warehouse.connect() as con:
        print(con.execute("select count(*) from t").fetchone())
"""


def test_a_copy_that_is_interrupted_can_be_noted_down(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "(10000000,)\n", done.stderr[-1000:]
