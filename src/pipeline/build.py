"""build: from landing tables to published snapshots."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import duckdb

from ..errors import WarehouseError
from ..features.compiler import compile_features
from ..spec.expressions import quote_name
from ..spec.model import Spec
from ..warehouse.dbt_run import NodeResult, run_dbt, write_profile
from ..warehouse.engine import Warehouse
from ..warehouse.landing import create_landing
from ..warehouse.project import (
    SNAPSHOT_MODEL,
    fingerprint,
    landing_schema,
    marts_schema,
    render_project,
    write_project,
)
from ..warehouse.published import BuildInfo, Published, publish
from .specs import spec_version

Say = Callable[[str], None]


@dataclass(frozen=True)
class BuildResult:
    """What a build made: the published copy, and what each model took."""

    published: Published
    models: tuple[NodeResult, ...]
    tests: tuple[NodeResult, ...]
    reused: bool


def build(
    spec: Spec,
    warehouse: Warehouse,
    *,
    as_of: Sequence[date] = (),
    check: bool = False,
    full: bool = False,
    say: Say = lambda _: None,
) -> BuildResult:
    """Build the spec's models for snapshot dates and publish them.

    as_of: snapshot dates; the day after the last accepted event when empty. check: run the data
    tests too. full: rebuild everything; otherwise, when neither the events nor the SQL changed
    since the last build, sessions and user days are taken over.

    Raises SpecError for a feature that cannot be compiled, WarehouseError when there are no
    events (before a date), or a model or test fails; what was published before then stays.
    """
    columns = compile_features(spec)
    with warehouse.connect() as con:
        create_landing(con, spec)
        first_event, last_event, last_load = _data_state(con, spec)
        dates = sorted(set(as_of)) or [default_as_of(spec, last_event)]
        if dates[0] <= first_event.date():
            raise WarehouseError(
                f"nothing was known as of {dates[0]}: the first event is of {first_event}; give a "
                "later --as-of"
            )
        files = render_project(spec, columns, dates)
        mark = fingerprint(files, without=[SNAPSHOT_MODEL])
        reused = not full and _is_current(con, spec, mark, last_load)
        # From here until the end the models may be half new: nobody may reuse them.
        con.execute(f"delete from {quote_name(landing_schema(spec))}.builds")
    project = warehouse.files / spec.name / "dbt"
    write_project(files, project)
    write_profile(project, warehouse, marts_schema(spec))
    say("building models" if not reused else "building snapshots")
    models = run_dbt(project, "run", select=[SNAPSHOT_MODEL] if reused else [])
    if check:
        say("testing data")
    tests = run_dbt(project, "test") if check else []
    say("publishing")
    with warehouse.connect() as con:
        published = _publish(con, warehouse, spec, dates, last_event)
        con.execute(
            f"insert into {quote_name(landing_schema(spec))}.builds values (?, ?, ?, ?)",
            [published.info.build_id, mark, last_load, datetime.now(UTC).replace(tzinfo=None)],
        )
    return BuildResult(published, tuple(models), tuple(tests), reused)


def is_built(spec: Spec, warehouse: Warehouse, published: Published) -> bool:
    """Return whether a published build was made of all that is loaded by now."""
    schema = quote_name(landing_schema(spec))
    with warehouse.connect() as con:
        create_landing(con, spec)
        found = con.execute(
            f"select count(*) from {schema}.builds where build_id = ? "
            f"and last_load = (select coalesce(max(load_id), 0) from {schema}.loads)",
            [published.info.build_id],
        ).fetchone()
    return bool(found and found[0])


def default_as_of(spec: Spec, last_event: datetime) -> date:
    """Return the day after the last event, or the spec's trust_until when that is earlier."""
    following = last_event.date() + timedelta(days=1)
    return min(following, spec.trust_until) if spec.trust_until else following


def _publish(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    spec: Spec,
    dates: Sequence[date],
    last_event: datetime,
) -> Published:
    now = datetime.now(UTC)
    counted = con.execute(
        f"select count(distinct user_id) from {quote_name(marts_schema(spec))}.user_features"
    ).fetchone()
    info = BuildInfo(
        build_id=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        spec=spec.name,
        spec_version=spec_version(spec),
        as_of_dates=tuple(day.isoformat() for day in dates),
        built_at=now.isoformat(timespec="seconds"),
        last_event=last_event.isoformat(sep=" "),
        users=int(counted[0]) if counted else 0,
    )
    return publish(con, warehouse, spec, info)


def _data_state(con: duckdb.DuckDBPyConnection, spec: Spec) -> tuple[datetime, datetime, int]:
    """Return the times of the first and the last event and the id of the last load."""
    schema = quote_name(landing_schema(spec))
    found = con.execute(f"select min(event_time), max(event_time) from {schema}.events").fetchone()
    if found is None or found[0] is None:
        raise WarehouseError(
            f"no events are loaded for spec {spec.name!r}: run `whyrank ingest FILE` first"
        )
    load = con.execute(f"select max(load_id) from {schema}.loads").fetchone()
    return found[0], found[1], int(load[0]) if load else 0


def _is_current(con: duckdb.DuckDBPyConnection, spec: Spec, mark: str, last_load: int) -> bool:
    schema = quote_name(landing_schema(spec))
    found = con.execute(
        f"select count(*) from {schema}.builds where fingerprint = ? and last_load = ?",
        [mark, last_load],
    ).fetchone()
    return bool(found and found[0])
