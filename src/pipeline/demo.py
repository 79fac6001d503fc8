"""demo: the whole way in one call, on a synthetic dataset or on a public one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ..errors import UsageError
from ..ranking.results import Ranking
from ..ranking.write import SIBLING_FILES
from ..scoring.lists import refuse_foreign
from ..spec.model import Spec
from ..types import BuildProgress, Log
from ..warehouse.base import Warehouse, sole_writer
from ..warehouse.contracts import LoadResult
from ..warehouse.synthetic_claim import claim, end_claim
from .build import build
from .connect import ingest_connector
from .evaluate import Evaluation, evaluate
from .export import export_features
from .generate import generate, refuse_others
from .ingest import ingest
from .score import score

OLIST_AS_OF = date(2018, 6, 1)
OLIST_HORIZON = "60d"
_FEATURES = "user_features.csv"
_LIST = "top_users.csv"


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
    force: bool = False,
    log: Log = lambda _: None,
    progress: BuildProgress = lambda *_: None,
) -> Demo:
    """Generate (or read `source`), ingest, build, test, score; write three CSV files to `folder`.

    saas: raw_events.csv, user_features.csv and top_users.csv of a synthetic dataset. olist: the
    ranking as of 2018-06-01, with its evaluation over the 60 days that followed.

    Files of these names that whyrank did not write are kept, unless `force` says to replace them.
    progress: called with how many models, then data tests, are done, of how many, and the seconds
    left, as `build` tells them.

    Raises UsageError when the warehouse holds events of this spec that are not a demo's, or a file
    would be replaced that whyrank did not write; WarehouseError when another process is writing;
    it is one writer from claim to ranking. InstallError without dbt, before anything is
    written.
    """
    warehouse.check_ready()
    folder.mkdir(parents=True, exist_ok=True)
    if not force:
        refuse_foreign(_lists(folder), "move it away, choose another folder, or say --force")
    way = _Way(spec, warehouse, folder, top, force, log, progress)
    with sole_writer(warehouse):
        if spec.name == "olist":
            return way.olist(source)
        if source is not None:
            raise UsageError(f"spec {spec.name!r} generates its own events: leave --input out")
        return way.generated(users, seed)


@dataclass(frozen=True)
class _Way:
    """From events to a list, in a folder."""

    spec: Spec
    warehouse: Warehouse
    folder: Path
    top: int
    force: bool
    log: Log
    progress: BuildProgress

    def generated(self, users: int, seed: int) -> Demo:
        """Load a synthetic dataset, in place of an earlier one."""
        spec, warehouse = self.spec, self.warehouse
        events = self.folder / "raw_events.csv"
        if not self.force:  # before the warehouse makes room
            refuse_others(spec, events)
        if not claim(spec, warehouse, [events, events.with_name("raw_events_users.csv")]):
            raise UsageError(
                f"warehouse {warehouse.name} holds events of spec {spec.name!r} that are not the "
                "demo's: give the demo another --warehouse"
            )
        self.log(f"generating {users:,} users")
        made = generate(spec, events, users=users, seed=seed, force=self.force)
        loads = ingest(
            spec, warehouse, events=made.events, users=made.users, own=False, log=self.log
        )
        end_claim(spec, warehouse)
        return self._finished(loads)

    def olist(self, source: Path | None) -> Demo:
        """Load the Olist data set."""
        if source is None:
            raise UsageError("the olist demo needs the data set's folder: give --input DIR")
        loads = ingest_connector(self.spec, self.warehouse, "olist", source, log=self.log)
        return self._finished(loads, OLIST_AS_OF)

    def _finished(self, loads: list[LoadResult], as_of: date | None = None) -> Demo:
        spec, warehouse = self.spec, self.warehouse
        build(
            spec, warehouse,
            as_of=[as_of] if as_of else [], check=True, log=self.log, progress=self.progress,
        )  # fmt: skip
        self.log("scoring")
        if self.force:
            for path in _lists(self.folder):
                path.unlink(missing_ok=True)
        features = self.folder / _FEATURES
        export_features(spec, warehouse, features)
        ranking = score(spec, warehouse, top=self.top, out=self.folder / _LIST)
        measured = evaluate(spec, warehouse, as_of=as_of, horizon=OLIST_HORIZON) if as_of else None
        return Demo(tuple(loads), ranking, features, measured)


def _lists(folder: Path) -> list[Path]:
    """Return the files that a demo's scoring may write."""
    return [folder / name for name in (_FEATURES, _LIST, *SIBLING_FILES)]
