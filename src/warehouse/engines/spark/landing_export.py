"""What was loaded, as Parquet files that Spark's machines read: the log by UTC day, others whole.

A load is accepted in the catalog, in one transaction, as on DuckDB. Before a build, the days that
loads have changed since the last one are rewritten, each as a folder that replaces the old one;
plain files cannot be changed row by row. What a killed run left is written over by the next.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import duckdb

from ....events.contract import EVENT_COLUMNS
from ....files import atomic_write
from ....spec.expressions import quote_name, quote_text
from ....spec.model import Spec

WHOLE: Final = ("users", "aliases", "withdrawn", "quarantine", "loads")
_SENT: Final = "sent"  # the file that says up to which load the others hold it, and on which days


def export_landing(con: duckdb.DuckDBPyConnection, spec: Spec, folder: Path) -> dict[str, Path]:
    """Bring the files up to what is loaded; return each landing table's folder by its name.

    con: the catalog, in which nobody else may write. folder: of all specs' files.
    """
    schema, root = quote_name(spec.landing_schema), folder / spec.landing_schema
    (last,) = con.execute(f"select coalesce(max(load_id), 0) from {schema}.loads").fetchone() or (
        0,
    )
    sent = _sent(root)
    if sent > last:  # of another catalog
        sent = 0
    if sent == 0:
        shutil.rmtree(root, ignore_errors=True)
    (root / "events").mkdir(parents=True, exist_ok=True)
    if last > sent:
        _send_days(con, schema, root, sent)
        for name in WHOLE:
            _send_whole(con, schema, root, name)
        with atomic_write(root / _SENT) as temporary:
            lines = (str(last), *_days(root))
            temporary.write_text("\n".join(lines), encoding="utf-8")
    return {name: root / name for name in ("events", *WHOLE)}


def _sent(root: Path) -> int:
    """Return the last load that the files hold; 0 where they hold none, or not all."""
    try:
        last, *days = (root / _SENT).read_text(encoding="utf-8").splitlines()
        whole = days == _days(root) and all((root / name).is_dir() for name in WHOLE)
        return int(last) if whole else 0
    except (FileNotFoundError, ValueError):
        return 0


def _days(root: Path) -> list[str]:
    """Return the folders of days there are."""
    return sorted(day.name for day in (root / "events").glob("day=*"))


def _send_days(con: duckdb.DuckDBPyConnection, schema: str, root: Path, sent: int) -> None:
    """Rewrite the days of which loads after `sent` brought or withdrew events."""
    days = [
        row[0]
        for row in con.execute(
            f"select cast(event_time as date) as day from {schema}.events where load_id > ? "
            f"union select cast(event_time as date) from {schema}.withdrawn where load_id > ? "
            "order by day",
            [sent, sent],
        ).fetchall()
    ]
    columns = ", ".join(EVENT_COLUMNS)
    part = root / ".day"
    for day in days:
        # One by one: side by side they would each hold a part of the log in memory.
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        start = f"timestamp {quote_text(f'{day} 00:00:00')}"
        within = f"event_time >= {start} and event_time < {start} + interval 1 day"
        (written,) = con.execute(
            f"copy (select load_id, {columns} from {schema}.events where {within}) "
            f"to {quote_text(str(part / 'all.parquet'))} (format parquet, compression zstd)"
        ).fetchone() or (0,)
        target = root / "events" / f"day={day}"
        shutil.rmtree(target, ignore_errors=True)
        if written:  # all of a day's events may have been withdrawn
            part.rename(target)
    shutil.rmtree(part, ignore_errors=True)


def _send_whole(con: duckdb.DuckDBPyConnection, schema: str, root: Path, name: str) -> None:
    part, whole = root / f".{name}", root / name
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    con.execute(
        f"copy {schema}.{name} to {quote_text(str(part / 'all.parquet'))} "
        "(format parquet, compression zstd)"
    )
    shutil.rmtree(whole, ignore_errors=True)
    part.rename(whole)
