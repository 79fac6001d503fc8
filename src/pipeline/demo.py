"""demo: the whole way in one call, on a generated world or on a public data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ..errors import UsageError
from ..scorer import Reason
from ..spec.model import Spec
from ..warehouse.engine import Warehouse, sole_writer
from ..warehouse.landing import LoadResult
from .build import build
from .claims import claim, end_claim
from .connect import ingest_connector
from .evaluate import Evaluation, evaluate
from .export import export_features
from .generate import generate
from .ingest import ingest
from .score import Ranking, score

Say = Callable[[str], None]
OLIST_AS_OF = date(2018, 6, 1)
OLIST_HORIZON = "60d"


@dataclass(frozen=True)
class Demo:
    """What a demo made: loads, the ranking, and an evaluation where the log allows one."""

    loads: tuple[LoadResult, ...]
    ranking: Ranking
    features: Path
    evaluation: Evaluation | None


def demo(
    spec: Spec,
    warehouse: Warehouse,
    *,
    folder: Path = Path("data"),
    users: int = 100,
    seed: int = 7,
    source: Path | None = None,
    top: int = 20,
    say: Say = lambda _: None,
) -> Demo:
    """Generate (or read `source`), ingest, build, test, score; write three CSV files to `folder`.

    saas: raw_events.csv, user_features.csv and top_users.csv of a generated world. olist: the
    ranking as of 2018-06-01, with its evaluation over the 60 days that followed.

    Raises UsageError when the warehouse holds events of this spec that are not a demo's,
    WarehouseError when another process is writing; it is one writer from claim to ranking.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with sole_writer(warehouse):
        if spec.name == "olist":
            return _olist(spec, warehouse, folder, source, top, say)
        if source is not None:
            raise UsageError(f"spec {spec.name!r} generates its own events: leave --input out")
        return _generated(spec, warehouse, folder, users, seed, top, say)


def _generated(
    spec: Spec, warehouse: Warehouse, folder: Path, users: int, seed: int, top: int, say: Say
) -> Demo:
    events = folder / "raw_events.csv"
    if not claim(spec, warehouse, [events, events.with_name("raw_events_users.csv")]):
        raise UsageError(
            f"warehouse {warehouse.name} holds events of spec {spec.name!r} that are not the "
            "demo's: give the demo another --warehouse"
        )
    say(f"generating {users:,} users")
    made = generate(spec, events, users=users, seed=seed)
    loads = ingest(spec, warehouse, events=made.events, users=made.users, own=False, say=say)
    end_claim(spec, warehouse)
    return _finish(spec, warehouse, folder, loads, top, say)


def _olist(
    spec: Spec, warehouse: Warehouse, folder: Path, source: Path | None, top: int, say: Say
) -> Demo:
    if source is None:
        raise UsageError("the olist demo needs the data set's folder: give --input DIR")
    loads = ingest_connector(spec, warehouse, "olist", source, say=say)
    return _finish(spec, warehouse, folder, loads, top, say, as_of=OLIST_AS_OF)


def _finish(
    spec: Spec,
    warehouse: Warehouse,
    folder: Path,
    loads: list[LoadResult],
    top: int,
    say: Say,
    as_of: date | None = None,
) -> Demo:
    build(spec, warehouse, as_of=[as_of] if as_of else [], check=True, say=say)
    say("scoring")
    features = folder / "user_features.csv"
    export_features(spec, warehouse, features)
    ranking = score(spec, warehouse, top=top, out=folder / "top_users.csv")
    measured = evaluate(spec, warehouse, as_of=as_of, horizon=OLIST_HORIZON) if as_of else None
    return Demo(tuple(loads), ranking, features, measured)


def story(reasons: tuple[Reason, ...], most: int = 3) -> str:
    """Return the largest reasons in one line.

    >>> story((Reason("a", "booked a call", 30.0), Reason("b", "signed up", 24.0)), most=1)
    'booked a call, +30'
    """
    return "; ".join(str(reason) for reason in reasons[:most])
