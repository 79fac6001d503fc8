"""build: from landing tables to published snapshots."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Literal

from ..errors import WarehouseError
from ..features.compiler import Compiled, compile_features
from ..published.build import BuildInfo, Published, tables_of
from ..published.labels import default_as_of
from ..published.sample import sample_bound
from ..spec.expressions import quote_name
from ..spec.model import Spec
from ..spec.versions import data_version, spec_version
from ..types import BuildProgress, Log
from ..warehouse.base import Warehouse, sole_writer
from ..warehouse.build_warnings import alike_arms, undefined_values
from ..warehouse.contracts import Connection, Lock
from ..warehouse.dbt_project.changes import Changes, changes_since
from ..warehouse.dbt_project.former import drop_former_models
from ..warehouse.dbt_project.render import (
    SNAPSHOT_MODEL,
    fingerprint,
    render_project,
    write_project,
)
from ..warehouse.dbt_project.run import NodeResult, run_dbt, write_profile
from ..warehouse.landing.load import create_landing
from ..warehouse.model_runs import model_runs
from ..warehouse.publish import publish
from ..warehouse.runs import Run, ended, noted, now, record, usual_seconds

Mode = Literal["full", "touched", "snapshots"]


@dataclass(frozen=True)
class BuildResult:
    """What a build made: the published copy, and what each model took.

    mode: "full" (everything), "touched" (what loads since the last build changed) or
    "snapshots" (sessions and user days taken over as they are).
    """

    published: Published
    models: tuple[NodeResult, ...]
    tests: tuple[NodeResult, ...]
    mode: Mode


@dataclass(frozen=True)
class _Plan:
    """What a build has to do: how much of it, for which dates, on which data."""

    mode: Mode
    dates: tuple[date, ...]
    files: Mapping[str, str]
    mark: str
    changes: Changes | None
    last_load: int
    last_event: datetime
    events: int


def build(
    spec: Spec,
    warehouse: Warehouse,
    *,
    as_of: Sequence[date] = (),
    check: bool = False,
    full: bool = False,
    log: Log = lambda _: None,
    warn: Log = lambda _: None,
    progress: BuildProgress = lambda *_: None,
) -> BuildResult:
    """Build the spec's models for snapshot dates and publish them.

    as_of: snapshot dates; the day after the last accepted event when empty. check: run the data
    tests too. full: rebuild everything. Otherwise, unless the SQL changed, only what loads since
    the last build changed is rebuilt, and snapshots alone when there was no load. Snapshots and
    marts always cover all that is loaded. A build that was cut off is resumed by the next.
    warn: called for features that have no finite value for some users, and of arms of an experiment
    that differ in case alone. progress: called with how many models, then data tests, are done, of
    how many, and the seconds left: as many as the models took in the last build of this mode, None
    for tests and where there was none.

    Raises SpecError for a feature that cannot be compiled, WarehouseError when there are no
    events (before a date), another process is writing, or a model or test fails; what was
    published before then stays. InstallError without dbt.
    """
    columns = compile_features(spec)
    project = warehouse.files / spec.name / "dbt"
    warehouse.check_ready()  # before anything is put aside for it
    with sole_writer(warehouse) as lock:
        with warehouse.connect() as con:
            plan = _plan(con, spec, columns, as_of, warehouse, full=full)
            run = Run("build", plan.mode, now(), rows_in=plan.events)
            usual = usual_seconds(con, spec, plan.mode)
        with noted(run, lambda state: _note(warehouse, spec, state)):
            only = SNAPSHOT_MODEL if plan.mode == "snapshots" else ""
            since = plan.changes.sessions_since if plan.changes else None
            warehouse.prepare(spec, project, plan.files, since, only=only)
            write_project(plan.files, project)
            dbt = partial(
                run_dbt, project, lock=lock, advise=warehouse.advice,
                variables=write_profile(project, warehouse, spec.marts_schema), progress=progress,
                hooks=warehouse.dbt_hooks,
            )  # fmt: skip
            log({"snapshots": "building snapshots", "touched": "building what changed"}.get(
                plan.mode, "building models"
            ))  # fmt: skip
            models = dbt(
                "run",
                select=[only] if only else [],
                changes=plan.changes,
                usual=usual,
            )  # fmt: skip
            if check:
                log("testing data")
            tests = dbt("test") if check else []
            lock.check()
            log("publishing")
            with warehouse.connect() as con:
                with warehouse.models(con, spec) as there:
                    for line in undefined_values(there, spec, columns, plan.dates[-1]):
                        warn(line)
                    for line in alike_arms(there, spec):
                        warn(line)
                    published = _publish(there, warehouse, spec, plan, lock)
                lock.check()
                runs = [ended(run), *model_runs(con, spec, plan.files, models)]
                _settle(con, spec, plan, published, runs)
    return BuildResult(published, tuple(models), tuple(tests), plan.mode)


def _plan(
    con: Connection,
    spec: Spec,
    columns: Compiled,
    as_of: Sequence[date],
    warehouse: Warehouse,
    *,
    full: bool,
) -> _Plan:
    """Decide how much is to be built, and forget earlier builds where all of it is."""
    create_landing(con, spec, warehouse.dialect)
    first_event, last_event, last_load = _data_state(con, spec)
    dates = sorted(set(as_of)) or [default_as_of(spec, last_event)]
    if dates[0] <= first_event.date():
        raise WarehouseError(
            f"nothing was known as of {dates[0]}: the first event is of {first_event}; give a "
            "later --as-of"
        )
    location = warehouse.location(spec.marts_schema)
    files = render_project(spec, columns, dates, warehouse.model_dialect, location=location)
    mark = fingerprint(files, without=[SNAPSHOT_MODEL])
    built_load = None if full else _built_load(con, spec, mark)
    changes = None
    if built_load is not None:
        warehouse.register_model(con, spec, "sessions")
        changes = changes_since(con, spec, built_load)
    if changes and not warehouse.can_build_incrementally(spec, files, changes.sessions_since):
        built_load = changes = None
    schema = quote_name(spec.landing_schema)
    if built_load is None or (not warehouse.resumes and built_load != last_load):
        # From here until the end the models may be half new: nobody may build on them. (Those
        # that an interrupted build of touched users leaves are made again by the next.)
        con.execute(f"delete from {schema}.builds")
    if built_load is None:
        drop_former_models(con, spec)
    mode: Mode = "touched"
    if built_load is None or built_load == last_load:
        mode = "full" if built_load is None else "snapshots"
    events = changes.events if changes else _events(con, schema)
    return _Plan(mode, tuple(dates), files, mark, changes, last_load, last_event, events)


def _events(con: Connection, schema: str) -> int:
    found = con.execute(f"select count(*) from {schema}.events").fetchone()
    return int(found[0]) if found else 0


def _note(warehouse: Warehouse, spec: Spec, run: Run) -> None:
    with warehouse.connect() as con:
        record(con, spec, [run])


def _settle(
    con: Connection,
    spec: Spec,
    plan: _Plan,
    published: Published,
    runs: Sequence[Run],
) -> None:
    """Write down that the build is done, and what the next one may take over of it."""
    builds = f"{quote_name(spec.landing_schema)}.builds"
    con.execute("begin")
    con.execute(f"delete from {builds}")
    con.execute(
        f"insert into {builds} values (?, ?, ?, ?)",
        [published.info.build_id, plan.mark, plan.last_load, now()],
    )
    record(con, spec, runs)
    con.execute("commit")


def _publish(
    con: Connection, warehouse: Warehouse, spec: Spec, plan: _Plan, lock: Lock
) -> Published:
    moment = datetime.now(UTC)
    counted = con.execute(
        f"select count(distinct user_id) from {quote_name(spec.marts_schema)}.user_features"
    ).fetchone()
    users = int(counted[0]) if counted else 0
    if not users:
        raise WarehouseError(
            f"the build holds nobody as of {', '.join(map(str, plan.dates))}, though events are "
            "loaded: look at [events] (label_only), trust_until and --as-of; what was published "
            "before stays"
        )
    info = BuildInfo(
        build_id=f"{moment:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        spec=spec.name,
        spec_version=spec_version(spec),
        as_of_dates=tuple(day.isoformat() for day in plan.dates),
        built_at=moment.isoformat(timespec="seconds"),
        last_event=plan.last_event.isoformat(sep=" "),
        users=users,
        tables=tables_of(spec),
        sampled_below=sample_bound(users, warehouse.sample),
        made_from=data_version(spec),
        last_load=plan.last_load,
        warehouse=warehouse.identity,
    )
    return publish(con, warehouse, spec, info, lock)


def _data_state(con: Connection, spec: Spec) -> tuple[datetime, datetime, int]:
    """Return the times of the first and the last event and the id of the last load.

    The last event is none that is later than the last load: a clock that is ahead moves nobody's
    as_of, and does not make outcomes known that have not happened.
    """
    schema = quote_name(spec.landing_schema)
    found = con.execute(f"select min(event_time), max(event_time) from {schema}.events").fetchone()
    if found is None or found[0] is None:
        raise WarehouseError(
            f"no events are loaded for spec {spec.name!r}: run `whyrank ingest FILE` first"
        )
    load, loaded_at = con.execute(
        f"select max(load_id), max(loaded_at) from {schema}.loads"
    ).fetchone() or (0, None)
    last = found[1] if loaded_at is None else min(found[1], max(loaded_at, found[0]))
    return found[0], last, int(load or 0)


def _built_load(con: Connection, spec: Spec, mark: str) -> int | None:
    """Return the last load that the models know, or None where they are of other SQL or not there.

    Models of changed users may know more than the last build that ended, if one was cut off:
    making the same days again changes nothing.
    """
    found = con.execute(
        f"select fingerprint, last_load from {quote_name(spec.landing_schema)}.builds "
        "order by built_at desc limit 1"
    ).fetchone()
    return int(found[1]) if found and found[0] == mark else None
