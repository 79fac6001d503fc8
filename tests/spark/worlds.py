"""What several tests look at, made once: a training on a cluster beside one on this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path

import duckdb

from whyrank.models.learned import LearnedScorer
from whyrank.pipeline.build import build
from whyrank.pipeline.generate import generate
from whyrank.pipeline.ingest import ingest
from whyrank.pipeline.train import Training, train
from whyrank.spec.load import load_spec
from whyrank.spec.model import Spec
from whyrank.tracking import Store, open_store
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.open import open_warehouse

CANDIDATES = ("recency", "xgboost")
USERS = 4000
SAMPLE = 2500  # of them
# Tables by day have a file or two for each: a few weeks teach as much as months, sooner.
DAYS = 45
SHORT = {'horizon = "30d"': 'horizon = "10d"', 'every = "15d"': 'every = "5d"'}
# Features may be called as columns are that scores pass through.
RENAMED = {
    "page_views_30d": "hundredths",
    "pricing_views_30d": "margin",
    "active_days_30d": "probability",
    "repeat_session_rate": "code",
    "bounce_rate": "part",
    "logins_30d": "reached",
    "sessions_30d": "place",
    "session_events": "decile",
    "spam_share": "below",
}


@dataclass(frozen=True)
class Learned:
    """One log in two warehouses, and a training in each."""

    spec: Spec
    spec_file: Path
    events: Path
    users: Path
    here: Warehouse
    there: Warehouse
    stores: dict[str, Store]
    trained: dict[str, Training]
    folder: Path

    def scorer(self, where: str, name: str = "xgboost") -> LearnedScorer:
        training = self.trained[where]
        test = training.backtest.folds[-1].cutoff
        return LearnedScorer.load(training.folder / f"test-{test.isoformat()}" / name)


def learn(master: str, folder: Path) -> Learned:
    """Load, build and train on a cluster and here."""
    path = spec_file(folder)
    spec = load_spec(str(path))
    places = {
        "here": open_warehouse(f"duckdb:///{folder}/here.duckdb"),
        "there": open_warehouse(f"{master}?folder={folder}/spark&sample={SAMPLE}"),
    }
    made = generate(spec, folder / "made.parquet", users=USERS, seed=3, days=DAYS)
    events = thinned(made.events, folder / "events.parquet")
    stores, trained = {}, {}
    dates: tuple[date, ...] = ()
    for name, warehouse in places.items():
        ingest(spec, warehouse, events=events, users=made.users)
        build(spec, warehouse, as_of=dates)
        stores[name] = open_store(home=folder / f"mlflow-{name}")
        trained[name] = train(
            spec, warehouse, stores[name], candidates=list(CANDIDATES), folds=1, n_boot=60
        )
        # The cluster makes in one build the snapshots that a training here asked for.
        dates = trained[name].backtest.published.as_of_dates
    return Learned(
        spec, path, events, made.users, places["here"], places["there"], stores, trained, folder
    )


def thinned(made: Path, path: Path) -> Path:
    """Write a log with an eighth of its page views, which are most of it."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.execute(
            f"copy (select * from '{made}' where event_name <> 'page_view' or "
            f"md5(event_id) < '2' order by event_time, event_id) to '{path}' (format parquet)"
        )
    return path


def spec_file(folder: Path) -> Path:
    """Write the spec saas with a shorter horizon, and some features called otherwise."""
    text = (files("whyrank.spec") / "saas.toml").read_text(encoding="utf-8")
    for line, other in SHORT.items():
        assert line in text
        text = text.replace(line, other)
    for name, other in RENAMED.items():
        assert f'name = "{name}"' in text
        text = re.sub(rf"\b{name}\b", other, text)
    path = folder / "saas.toml"
    path.write_text(text, encoding="utf-8")
    return path
