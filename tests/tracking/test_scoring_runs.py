"""A scored list leaves a run; a promotion is noted; neither can take a list away."""

from __future__ import annotations

import getpass
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.support.csv_rows import csv_rows
from tests.support.shops import Shop
from whyrank.pipeline.score import score
from whyrank.published.snapshot import Snapshot
from whyrank.ranking.results import Ranking
from whyrank.tracking import open_store, promote, registered
from whyrank.tracking.scoring_runs import log_scoring
from whyrank.warehouse.publish import read_published

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("train")]


@pytest.fixture(scope="module")
def client(shop: Shop) -> MlflowClient:
    return MlflowClient(shop.store.uri, shop.store.uri)


@pytest.fixture(scope="module")
def made(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Ranking:
    out = tmp_path_factory.mktemp("scored") / "top_users.csv"
    promote(shop.store, "shop", shop.training.run, "logistic")
    return score(
        shop.spec, shop.warehouse, store=shop.store, scorer="xgboost", top=12, out=out
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(shop: Shop, client: MlflowClient, made: Ranking) -> Run:
    found = log_scoring(shop.spec, shop.warehouse, made, store=shop.store)
    assert found is not None
    return client.get_run(found)


def test_a_list_names_the_model_it_came_from(
    shop: Shop, client: MlflowClient, made: Ranking, run: Run
) -> None:
    assert run.info.run_name == f"scoring {made.as_of} · {made.scorer} · top 12"
    params, metrics = run.data.params, run.data.metrics
    version = client.get_model_version(registered("shop"), params["model_version"])
    assert made.scorer == f"{version.tags['scorer']} v{version.version}" == params["scorer"]
    (used,) = run.inputs.model_inputs
    assert version.source == f"models:/{used.model_id}"
    assert metrics["users"] == made.population
    assert sum(metrics[f"band/{label}"] for label in ("low", "medium", "high")) == made.population
    (data,) = run.inputs.dataset_inputs
    assert data.tags[0].value == "scoring"
    assert run.data.tags["build"] == made.run_id


def test_points_stand_beside_log_odds_for_every_listed_user(
    client: MlflowClient, made: Ranking, run: Run, tmp_path: Path
) -> None:
    folder = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    assert (folder / "top_users.csv").read_bytes() == made.top_users.read_bytes()
    reasons = csv_rows(folder / "reasons.csv")
    page = (folder / "users.html").read_text(encoding="utf-8")
    assert (folder / "drift.png").read_bytes().startswith(b"\x89PNG")
    users = re.findall(r"<b>([^<]*)</b>(.*?)</details>", page, flags=re.DOTALL)
    assert [name for name, _ in users] == [user.user_id for user in made.users]
    for name, text in users:
        by_part: dict[str, list[float]] = {}
        for row in reasons:
            if row["user_id"] == name:
                both = by_part.setdefault(row["part"], [0.0, 0.0])
                for place, key in enumerate(("points", "log_odds")):
                    both[place] += float(row[key] or 0)
        rows_told = re.findall(r"<tr>(<td.*?)</tr>", text, flags=re.DOTALL)
        cells = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in rows_told]
        told = [[float(points or 0), float(odds or 0)] for _, points, odds, _ in cells]
        assert len(told) == len(by_part) > 0
        assert np.allclose(told, list(by_part.values()), atol=0.0051)


def test_drift_is_the_stability_index_against_the_training_snapshot(
    shop: Shop, client: MlflowClient, made: Ranking, run: Run, tmp_path: Path
) -> None:
    place = client.download_artifacts(run.info.run_id, "drift.csv", str(tmp_path))
    rows = {row["feature"]: row for row in csv_rows(Path(place))}
    published = read_published(shop.warehouse, "shop")
    day = shop.training.backtest.folds[-1].train[-1]
    then, now = (
        Snapshot.read(published.snapshot(date), ("mean_value",)).numeric("mean_value")
        for date in (day, made.as_of)
    )
    # By hand: tenths of the training snapshot, all known, so that no part is empty.
    assert not np.isnan(then).any()
    assert not np.isnan(now).any()
    cuts = [-np.inf, *np.quantile(then, np.arange(1, 10) / 10), np.inf]
    # Parts are closed above.
    shares = [
        np.array([((low < x) & (x <= high)).mean() for low, high in pairwise(cuts)])
        for x in (then, now)
    ]
    psi = ((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum()
    assert float(rows["mean_value"]["psi"]) == pytest.approx(psi, abs=1e-4)
    assert float(rows["mean_value"]["mean_now"]) == pytest.approx(now.mean(), rel=1e-5)
    largest = max(float(row["psi"]) for row in rows.values())
    assert run.data.metrics["drift_max_psi"] == pytest.approx(largest, abs=1e-4)


def test_an_id_is_data_on_the_page_and_in_the_description(
    shop: Shop, client: MlflowClient, made: Ranking, tmp_path: Path
) -> None:
    first = replace(made.users[0], user_id="<script>x</script>|[a](http://b)\x1b[31m")
    found = log_scoring(
        shop.spec, shop.warehouse, replace(made, users=(first, *made.users[1:])), store=shop.store
    )
    assert found is not None
    warn = client.get_run(found).data.tags["mlflow.note.content"]
    page = Path(client.download_artifacts(found, "users.html", str(tmp_path))).read_text("utf-8")
    for text in (warn, page):
        assert "<script" not in text
        assert "\x1b" not in text
    assert "[a](" not in warn
    rows = [line for line in warn.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {6}


def test_no_store_takes_a_list_away(shop: Shop, made: Ranking, tmp_path: Path) -> None:
    notes: list[str] = []
    gone = "http://ana:secret@127.0.0.1:9"
    assert log_scoring(shop.spec, shop.warehouse, made, tracking=gone, warn=notes.append) is None
    (said,) = notes
    assert "cannot be reached" in said
    assert "the list is written; no run of it is kept" in said
    assert "secret" not in said
    # A store that is broken, and one that is not there: which is not made for a list.
    broken = open_store(home=tmp_path / "broken")
    broken.home.mkdir()
    (broken.home / "mlflow.db").write_bytes(b"no database at all, but a file of some length")
    assert log_scoring(shop.spec, shop.warehouse, made, store=broken, warn=notes.append) is None
    assert "no run of it is kept" in notes[1]
    none = open_store(home=tmp_path / "none")
    assert log_scoring(shop.spec, shop.warehouse, made, store=none, warn=notes.append) is None
    assert len(notes) == 2
    assert not none.home.exists()


def test_a_promotion_says_who_when_and_what_was_before(shop: Shop, client: MlflowClient) -> None:
    name, run = registered("shop"), shop.training.run
    first, second = (
        client.get_model_version(name, str(promote(shop.store, "shop", run, scorer)))
        for scorer in ("xgboost", "logistic")
    )
    tags = second.tags
    assert tags["champion_before"] == f"xgboost v{first.version}"
    assert tags["promoted_by"] == getpass.getuser()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", tags["promoted_at"])
    about = client.get_registered_model(name).description
    rows = [line for line in about.splitlines() if line.startswith("| ")][1:]
    assert rows[0].startswith(f"| logistic v{second.version}\u00a0")
    assert rows[1].startswith(f"| xgboost v{first.version}\u00a0")
    names = [client.get_run(v.run_id).info.run_name for v in (first, second)]
    assert names == ["xgboost", "logistic (champion)"]
    # Once more is no other promotion.
    promote(shop.store, "shop", run, "logistic")
    assert client.get_registered_model(name).description == about


def test_a_version_without_a_profile_says_so(
    shop: Shop, client: MlflowClient, made: Ranking
) -> None:
    assert made.active is not None
    before = replace(made, active=replace(made.active, profile=None))
    found = log_scoring(shop.spec, shop.warehouse, before, store=shop.store)
    assert found is not None
    run = client.get_run(found)
    assert "train again" in run.data.tags["mlflow.note.content"]
    assert "drift_max_psi" not in run.data.metrics
