"""doctor: what is installed, reachable and stale."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import metadata
from typing import Any, Literal

import pyarrow.parquet as pq

from ..errors import BusyError, WhyrankError
from ..extras import EXTRAS, Extra
from ..models.kinds.lightgbm import load_lightgbm
from ..published.build import Published
from ..published.staleness import collapse_day, stale
from ..spec.expressions import quote_name
from ..spec.model import Spec
from ..spec.versions import spec_version
from ..tracking import CHAMPION, open_store
from ..tracking.active_scorer import choose_scorer
from ..warehouse.base import Warehouse
from ..warehouse.contracts import Connection
from ..warehouse.landing.load import landing_tables
from ..warehouse.open import open_warehouse
from ..warehouse.publish import read_published
from ..warehouse.runs import Kind, Run, last_run
from .specs import checked_spec

PACKAGES = ("duckdb", "pyarrow", "numpy", "pandas", "pydantic")
SHOWN = ("dbt-core", "dbt-duckdb", "scikit-learn", "mlflow")  # of the extras
Status = Literal["ok", "warning", "broken"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: ok, a warning, or broken, with the fix in the text."""

    status: Status
    text: str

    def __str__(self) -> str:
        return f"{self.status:<8} {self.text}"


def doctor(spec: str, warehouse: str, tracking: str | None = None) -> list[Finding]:
    """Look at the installation, the spec, the warehouse, the published build and the champion.

    Raises nothing for what it finds: a finding says what is broken and how to mend it.
    """
    findings = [Finding("ok", f"Python {platform.python_version()} at {sys.prefix}")]
    findings += [_package(name) for name in PACKAGES]
    findings += [line for name, extra in EXTRAS.items() for line in _extra(name, extra)]
    opened: list[Spec] = []
    stores: list[Warehouse] = []
    findings += _tried(lambda: opened.append(checked_spec(spec)), f"spec {spec} is sound")
    try:
        stores.append(open_warehouse(warehouse))
    except WhyrankError as error:
        findings.append(Finding("broken", str(error)))
    if opened and stores:
        findings += _warehouse(opened[0], stores[0])
        findings += _published(opened[0], stores[0])
    findings += [line for store in stores for line in _cluster(store)]
    if opened:
        findings += _champion(opened[0], tracking)
    return findings


def _package(name: str) -> Finding:
    try:
        return Finding("ok", f"{name} {metadata.version(name)}")
    except metadata.PackageNotFoundError:
        return Finding(
            "broken", f"{name} is not installed: run `make demo` or install whyrank again"
        )


def _extra(name: str, extra: Extra) -> Iterator[Finding]:
    """Look at the packages of an extra; nothing is broken where it is not installed."""
    if extra.missing():
        yield Finding("ok", f"without {extra.adds}: `pip install 'whyrank[{name}]'` adds them")
        return
    yield from (_package(package) for package in SHOWN if package in extra.modules.values())
    if name == "models":
        yield from _tried(load_lightgbm, "LightGBM and its OpenMP load")


def _tried(step: Callable[[], object], good: str) -> Iterator[Finding]:
    try:
        step()
    except WhyrankError as error:
        yield Finding("broken", str(error))
    else:
        yield Finding("ok", good)


def _warehouse(spec: Spec, warehouse: Warehouse) -> Iterator[Finding]:
    if not warehouse.exists():
        yield Finding("warning", f"{warehouse.name} does not exist yet: run `whyrank ingest`")
        return
    try:
        with warehouse.reading() as con:
            state = _State.read(con, spec)
    except BusyError as error:
        yield Finding("warning", str(error))
        return
    except WhyrankError as error:
        yield Finding("broken", str(error))
        return
    if not state.loads:
        yield Finding("warning", f"nothing is loaded for spec {spec.name!r}: run `whyrank ingest`")
    else:
        yield Finding("ok", f"{warehouse.name} opens; {state.loads} loads")
    yield from (_run(run) for run in state.runs)
    for reason, count in state.refused:
        yield Finding("warning", f"{count:,} rows in quarantine: {reason}")
    if state.last_load > state.built_load:
        yield Finding("warning", "something was loaded since the last build: run `whyrank build`")


@dataclass(frozen=True)
class _State:
    """What the landing tables say: how many loads, the last one, the last one built, and so on."""

    loads: int = 0
    last_load: int = 0
    built_load: int = 0
    refused: tuple[tuple[str, int], ...] = ()
    runs: tuple[Run, ...] = ()

    @classmethod
    def read(cls, con: Connection, spec: Spec) -> _State:
        """Read it, of tables that are there: an earlier version had fewer."""
        schema, tables = quote_name(spec.landing_schema), landing_tables(con, spec)

        def rows(table: str, what: str, *, grouped: str = "") -> list[tuple[Any, ...]]:
            sql = f"select {what} from {schema}.{table} {grouped}"
            return con.execute(sql).fetchall() if table in tables else []

        kinds: tuple[Kind, ...] = ("load", "build")
        runs = [last_run(con, spec, kind) for kind in kinds] if "runs" in tables else []
        loads, last = (rows("loads", "count(*), coalesce(max(load_id), 0)") or [(0, 0)])[0]
        (built,) = (rows("builds", "coalesce(max(last_load), 0)") or [(0,)])[0]
        refused = rows("quarantine", "reason, count(*)", grouped="group by 1 order by 2 desc, 1")
        return cls(loads, last, built, tuple(refused), tuple(run for run in runs if run))


def _run(run: Run) -> Finding:
    """Say of the last load or build when it ran, on how many rows and for how long."""
    began = f"{run.started_at:%Y-%m-%d %H:%M} UTC"
    if run.status != "done":
        how = "failed" if run.status == "failed" else "did not end: it was cut off, or still runs"
        what = f"load of {run.name}, {began}," if run.kind == "load" else f"build of {began}"
        again = "whyrank ingest FILE" if run.kind == "load" else "whyrank build"
        return Finding("warning", f"the {what} {how}; run `{again}` again")
    rows = f"{run.rows_in or 0:,} rows in"
    if run.rows_out is not None:
        rows += f", {run.rows_out:,} out"
    return Finding("ok", f"last {run.kind}: {run.name}, {began}, {rows}, {run.seconds:.1f} s")


def _cluster(warehouse: Warehouse) -> Iterator[Finding]:
    """Look at what a warehouse has beyond a connection: on Spark, workers and what they run."""
    try:
        for line in warehouse.examine():
            yield Finding("ok", line)
    except WhyrankError as error:
        yield Finding("broken", str(error))


def _published(spec: Spec, warehouse: Warehouse) -> Iterator[Finding]:
    try:
        published = read_published(warehouse, spec.name)
    except WhyrankError as error:
        yield Finding("warning", str(error))
        return
    info = published.info
    yield Finding("ok", f"build {info.build_id} is published, as of {', '.join(info.as_of_dates)}")
    if info.spec_version != spec_version(spec):
        yield Finding("warning", "the spec changed since the last build: run `whyrank build`")
    if age := stale(info.last_event):
        yield Finding("warning", age)
    yield from _volume(spec, published)


def _champion(spec: Spec, tracking: str | None) -> Iterator[Finding]:
    try:
        store = open_store(tracking)
        if not store.exists:
            yield Finding("ok", "no training yet: the scorecard ranks; see `whyrank train`")
            return
        chosen = choose_scorer(spec, CHAMPION, store)
    except WhyrankError as error:
        yield Finding("broken", str(error))
        return
    yield Finding("ok", f"the champion of spec {spec.name!r} is {chosen.stamp}")


def _volume(spec: Spec, published: Published) -> Iterator[Finding]:
    table = pq.read_table(published.table("daily_events")).to_pydict()
    volumes = dict(zip(table["day"], table["events"], strict=True))
    if not volumes:
        return
    newest = datetime.fromisoformat(published.info.last_event).date()
    last = min(max(volumes), newest)  # no day that one fast clock is ahead to
    if spec.trust_until is not None:
        last = min(last, spec.trust_until - timedelta(days=1))
    collapsed = collapse_day(volumes, last)
    if collapsed is None:
        yield Finding("ok", f"volume holds up to {last}")
    else:
        yield Finding(
            "warning",
            f"volume collapses from {collapsed} on: those days would read as users gone quiet; "
            f"set trust_until = {collapsed} in the spec",
        )
