"""dbt builds, tests, documents and publishes the marts; what was planted is found in them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from whyrank.errors import WarehouseError
from whyrank.events.synthetic.saas import generate_saas
from whyrank.pipeline.build import build
from whyrank.pipeline.ingest import ingest
from whyrank.published.build import Published, tables_of
from whyrank.spec.load import parse_spec, spec_text
from whyrank.spec.model import Spec
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.dbt_project.run import run_dbt
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.publish import read_published

pytestmark = [pytest.mark.commands, pytest.mark.usefixtures("dbt")]
EXPERIMENTS = """
[experiments]
pre_period = "14d"
strata = ["country"]
metrics = [
    { name = "reads", kind = "count", events = ["page_view", "pricing_view"], within = "14d" },
    { name = "seconds", kind = "sum", events = ["page_view"], within = "14d" },
    { name = "order", kind = "any", events = ["signup"], within = "14d" },
    { name = "kept", kind = "active", after = "7d", within = "14d" },
]
"""


@dataclass(frozen=True)
class Built:
    spec: Spec
    warehouse: Warehouse
    published: Published
    events: pd.DataFrame
    arms: pd.Series

    def table(self, name: str) -> pd.DataFrame:
        """A published mart."""
        return pq.read_table(self.published.table(name)).to_pandas()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A world of 200 users, half of them in arm b of an experiment from their fourth event on."""
    folder = tmp_path_factory.mktemp("marts")
    made = generate_saas(folder / "raw.parquet", users=200, seed=11, days=60)
    events = pd.read_parquet(made.events).sort_values("event_time", kind="stable")
    users = sorted(events["user_id"].unique())
    arms = pd.Series(np.random.default_rng(0).permutation(len(users)) % 2, index=users)
    exposed = events.groupby("user_id").cumcount() >= 3
    events["experiment_id"] = np.where(exposed, "banner", None)
    events["variant"] = np.where(exposed, np.array(["a", "b"])[arms[events["user_id"]]], None)
    events.to_parquet(folder / "events.parquet")
    text = spec_text("saas").replace("[metrics]\n", '[metrics]\nrevenue = ["pricing_view"]\n')
    spec = parse_spec(text + EXPERIMENTS)
    store = open_warehouse(f"duckdb:///{folder}/w.duckdb")
    ingest(spec, store, events=folder / "events.parquet", users=made.users)
    published = build(spec, store, check=True).published
    return Built(spec, store, published, events[exposed], arms)


def test_every_mart_of_the_spec_is_published(built: Built) -> None:
    assert {path.stem for path in built.published.folder.glob("*.parquet")} == {
        *tables_of(built.spec),
        f"user_features_{built.published.as_of_dates[0]}",
    }
    assert len(tables_of(built.spec)) == 8
    plain = read_published(built.warehouse, "saas")
    with pytest.raises(WarehouseError, match="no table 'nothing'"):
        plain.table("nothing")


def test_an_experiments_raw_counts_are_the_planted_ones(built: Built) -> None:
    planted = built.arms[built.events["user_id"].unique()].value_counts()
    units = built.table("experiment_units")
    assert not units["is_mixed"].any()
    assert units["variant"].value_counts().to_dict() == {"a": planted[0], "b": planted[1]}
    first = built.events.groupby("user_id")["event_time"].min().dt.tz_localize(None)
    found = units.set_index("user_id")["first_exposure"]
    assert (found.sort_index() == first.sort_index()).all()
    # Reads from the first exposure on, up to and with the thirteenth day after it.
    day0 = first.dt.floor("D")[built.events["user_id"]].to_numpy()
    reads = built.events[
        built.events["event_name"].isin(["page_view", "pricing_view"]).to_numpy()
        & (built.events["event_time"].dt.tz_localize(None).to_numpy() < day0 + pd.Timedelta("14d"))
    ]
    expected = reads.groupby("user_id").size().reindex(found.index, fill_value=0)
    assert units.set_index("user_id")["reads"].tolist() == expected.tolist()
    daily = built.table("experiment_daily_metrics")
    last = daily[(daily["day"] == daily["day"].max()) & (daily["metric"] == "reads")]
    by_arm = expected.groupby(built.arms[expected.index].to_numpy())
    assert last.sort_values("variant")["mean"].tolist() == pytest.approx(by_arm.mean().tolist())
    assert last.sort_values("variant")["m2"].tolist() == pytest.approx(
        (by_arm.var(ddof=0) * by_arm.size()).tolist()
    )


def test_dbt_documents_every_column(built: Built) -> None:
    project = built.warehouse.files / "saas" / "dbt"
    run_dbt(project, "docs generate")
    manifest = json.loads((project / "target" / "manifest.json").read_text())
    catalog = json.loads((project / "target" / "catalog.json").read_text())
    assert Path(project / "target" / "index.html").exists()
    assert {f"model.whyrank.{name}" for name in tables_of(built.spec)} <= set(catalog["nodes"])
    for name, node in catalog["nodes"].items():
        described = manifest["nodes"][name]["columns"]
        assert set(node["columns"]) == set(described), name
        assert all(column["description"] for column in described.values()), name


@pytest.mark.parametrize(
    ("number", "said"),
    [(9, "SIGKILL, which a machine sends that runs out of memory"), (15, "SIGTERM")],
)
def test_a_dbt_that_is_killed_is_said_by_its_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    """A process that kills itself in the place of dbt's, having said something before."""

    def killed(*_: object) -> subprocess.CompletedProcess[str]:
        script = f"echo 'a warning' >&2; kill -{number} $$"
        return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)

    monkeypatch.setattr("whyrank.warehouse.dbt_project.run._run", killed)
    with pytest.raises(WarehouseError) as caught:
        run_dbt(tmp_path, "run")
    log = tmp_path / "logs" / "dbt.log"
    assert str(caught.value) == f"dbt run was ended by {said}: run this again (log: {log})"
