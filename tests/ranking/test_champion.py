"""The scorecard as champion keeps what its training made: probabilities, spend, both accounts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from tests.support.csv_rows import csv_rows
from tests.support.shops import Shop, train_shop
from whyrank.cli.text import explanation_lines, ranking_lines
from whyrank.errors import DataError, UsageError
from whyrank.models.learned import LearnedScorer
from whyrank.models.spend import SpendScorer
from whyrank.pipeline.compare import compare as compare_run
from whyrank.pipeline.score import explain, score
from whyrank.published.snapshot import Snapshot
from whyrank.ranking.active_scorer import MODEL_PLOTS
from whyrank.ranking.drift import read_profile
from whyrank.ranking.saved import load_scorer
from whyrank.scoring.points_scorer import PointsScorer
from whyrank.scoring.scorecard import Scorecard
from whyrank.spec.model import Spec
from whyrank.tracking import (
    TrackingError,
    UnreachableError,
    fetch_scorer,
    promote,
    registered,
)
from whyrank.tracking.active_scorer import choose_scorer
from whyrank.tracking.client import using
from whyrank.training.plots import draw_user
from whyrank.warehouse.publish import read_published

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("train")]


def test_a_version_is_found_by_its_number_and_by_an_alias(shop: Shop, version: int) -> None:
    by_alias, by_number = (
        choose_scorer(shop.spec, f"models:/{registered('shop')}{which}", shop.store)
        for which in ("@champion", f"/{version}")
    )
    assert by_alias.version == by_number.version == version
    assert by_alias.name == by_number.name == "scorecard"
    with pytest.raises(TrackingError, match="the registry has no such model version"):
        choose_scorer(shop.spec, f"models:/{registered('shop')}@nobody", shop.store)


def test_a_training_that_is_logged_whole_is_not_logged_again(shop: Shop) -> None:
    again, _ = train_shop(shop.spec, shop.warehouse, shop.store)
    assert again.run == shop.training.run


@pytest.fixture(scope="module")
def version(shop: Shop) -> int:
    """The registered scorecard's version, which is champion."""
    return promote(shop.store, shop.spec.name, shop.training.run, "scorecard")


def with_points(spec: Spec, first: float, second: float) -> Spec:
    """Return the spec with other weights on its two terms."""
    loyal, recent = spec.scorecard.terms
    terms = (
        loyal.model_copy(update={"points": first}),
        recent.model_copy(update={"points": second}),
    )
    return spec.model_copy(update={"scorecard": spec.scorecard.model_copy(update={"terms": terms})})


def test_scoring_by_the_champion_scorecard_writes_all_that_a_champion_writes(
    shop: Shop, version: int, tmp_path: Path
) -> None:
    out = tmp_path / "top_users.csv"
    made = score(shop.spec, shop.warehouse, store=shop.store, top=25, out=out)
    assert made.scorer == f"scorecard v{version}"
    table = Snapshot.read(
        read_published(shop.warehouse, "shop").snapshot(made.as_of),
        tuple(feature.name for feature in shop.spec.features),
    )
    points = Scorecard(shop.spec.scorecard).score(table)
    found = fetch_scorer(shop.store, "shop", "champion")
    assert found is not None
    calibrator = PointsScorer.load(found[2], shop.spec).calibrator
    assert calibrator is not None
    probabilities = dict(
        zip(table.user_ids.to_pylist(), calibrator.probability(points).tolist(), strict=True)
    )
    everyone = csv_rows(tmp_path / "user_propensity_scores.csv")
    assert {row["user_id"] for row in everyone} == set(probabilities)
    for row in everyone:
        assert float(row["probability"]) == pytest.approx(probabilities[row["user_id"]], abs=1e-6)
        assert float(row["expected_spend"]) >= 0
    assert len({row["expected_spend"] for row in everyone}) > 100
    top = csv_rows(out)
    scores = [float(row["score"]) for row in top]
    assert scores == sorted(np.round(points, 2), reverse=True)[:25]
    assert all(row["score"] == row["scorecard_score"] and row["probability"] for row in top)
    assert all(row["scorecard_reasons"] and row["model_reasons"] for row in top)
    both = csv_rows(tmp_path / "reasons.csv")
    assert {row["user_id"] for row in both} == {row["user_id"] for row in top}
    assert any(row["log_odds"] and row["points"] for row in both)
    assert len(csv_rows(tmp_path / "disagreements.csv")) == 25
    assert (tmp_path / "model_plots.png").read_bytes().startswith(b"\x89PNG")
    text = "\n".join(ranking_lines(made, most=3))
    assert f"by scorecard v{version}" in text
    assert top[0]["scorecard_reasons"].split("; ")[0] in text
    assert f"{shop.training.comparison.selected} beside points" in text


def test_explaining_under_the_champion_scorecard_shows_points_and_log_odds(
    shop: Shop, version: int, tmp_path: Path
) -> None:
    chosen = shop.training.comparison.selected
    assert chosen is not None
    made = score(shop.spec, shop.warehouse, store=shop.store, top=1, out=tmp_path / "top.csv")
    one = explain(shop.spec, shop.warehouse, made.users[0].user_id, store=shop.store)
    assert (one.user.rank, one.explainer) == (1, chosen)
    # The log-odds are those that the learned scorer itself gives, by part.
    learned = explain(shop.spec, shop.warehouse, one.user.user_id, store=shop.store, scorer=chosen)
    assert one.user.attributions == learned.user.attributions
    assert one.user.model_reasons == learned.user.model_reasons
    assert sum(i.points or 0 for i in one.user.attributions) == pytest.approx(one.user.score)
    text = "\n".join(explanation_lines(one))
    assert f"{one.user.score:.2f} points, " in text
    assert f"log-odds of {chosen} beside the scorecard's points" in text
    draw_user(one, tmp_path / "why.png")
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


def test_agreement_is_of_points_beyond_the_usual_and_log_odds(shop: Shop, tmp_path: Path) -> None:
    """By hand from reasons.csv of everybody, who are fewer than the usual is told by.

    By a scorer that reads all features: of the two that both cards read, there is no rank to tell.
    """
    out = tmp_path / "top_users.csv"
    made = score(shop.spec, shop.warehouse, store=shop.store, scorer="logistic", top=1_000, out=out)
    said: dict[str, dict[str, tuple[float, float]]] = {}
    for row in csv_rows(tmp_path / "reasons.csv"):
        mine = said.setdefault(row["user_id"], {})
        before = mine.get(row["part"], (0.0, 0.0))
        mine[row["part"]] = (
            before[0] + float(row["points"] or 0), before[1] + float(row["log_odds"] or 0),
        )  # fmt: skip
    parts = sorted({part for found in said.values() for part in found})
    points, moved = (
        np.array([[found.get(p, (0.0, 0.0))[k] for p in parts] for found in said.values()])
        for k in (0, 1)
    )
    beyond = points - points.mean(axis=0)
    told = {row["user_id"]: row["agreement"] for row in csv_rows(out)}
    assert len(told) == len(said) > 400
    for place, user in enumerate(said):
        wanted = spearmanr(beyond[place], moved[place]).statistic
        assert float(told[user]) == pytest.approx(wanted, abs=0.00051)  # three decimals
    # The same in an explanation, and in a list of everybody, whoever else is in them.
    everyone = tmp_path / "everyone.csv"
    score(
        shop.spec, shop.warehouse,
        store=shop.store, scorer="logistic", top=2_000, out=everyone, everyone=True,
    )  # fmt: skip
    by_all = {row["user_id"]: row["agreement"] for row in csv_rows(everyone)}
    assert len(by_all) > len(told)
    assert told.items() <= by_all.items()
    for user in made.users[:3]:
        one = explain(shop.spec, shop.warehouse, user.user_id, store=shop.store, scorer="logistic")
        assert f"rank agreement of the two: {told[user.user_id]}" in explanation_lines(one)


@pytest.fixture
def later_versions(shop: Shop) -> Iterator[dict[str, list[int]]]:
    """Versions of another training, registered after the shop's: as many as make ten and more."""
    with using(shop.store) as ml:
        client = ml.MlflowClient()
        name = registered("shop")
        mine = {
            v.tags["scorer"]: v for v in client.search_model_versions(f"name = '{name}'")
            if v.tags["training"] == shop.training.run
        }  # fmt: skip
        made: dict[str, list[int]] = {}
        latest = 0
        while latest < 11:
            for scorer in ("logistic", "xgboost"):
                copied = client.create_model_version(
                    name, mine[scorer].source, tags={"scorer": scorer, "training": "another"}
                )
                latest = int(copied.version)
                made.setdefault(scorer, []).append(latest)
        yield made
        for version in (version for versions in made.values() for version in versions):
            client.delete_model_version(name, str(version))


def test_a_scorer_by_its_name_is_the_latest_and_a_champion_is_of_its_own_training(
    shop: Shop, later_versions: dict[str, list[int]]
) -> None:
    for name, versions in later_versions.items():
        assert len(versions) > 1
        assert max(versions) > 9  # as texts, "9" would come after "10"
        chosen = choose_scorer(shop.spec, name, shop.store)
        assert (chosen.name, chosen.version) == (name, max(versions))
        moved = compare_run(shop.spec, shop.store, run=shop.training.run, promote_scorer=name)
        assert moved.promoted is not None
        own = moved.promoted[1]
        assert 0 < own < min(min(later) for later in later_versions.values())
        champion = choose_scorer(shop.spec, "champion", shop.store)
        assert (champion.name, champion.version) == (name, own)
    with pytest.raises(TrackingError, match="run 'another' registered no scorer 'recency'"):
        promote(shop.store, "shop", "another", "recency")
    promote(shop.store, "shop", shop.training.run, "scorecard")


def test_bare_points_need_no_training_and_bring_none(shop: Shop, tmp_path: Path) -> None:
    out = tmp_path / "vip.csv"
    made = score(shop.spec, shop.warehouse, store=shop.store, scorer="scorecard", out=out)
    assert (made.scorer, made.propensities, made.attribution_files) == ("scorecard", None, None)
    assert {path.name for path in tmp_path.iterdir()} == {"vip.csv", "vip_all_scores.parquet"}
    assert made.all_scores == tmp_path / "vip_all_scores.parquet"


def test_a_list_leaves_nothing_of_the_one_before(shop: Shop, version: int, tmp_path: Path) -> None:
    """By the champion, by another name, then by bare points: each set is one list's own."""
    beside = {
        "all_scores.parquet", "user_propensity_scores.csv", "reasons.csv", "disagreements.csv",
        "model_plots.png",
    }  # fmt: skip
    out = tmp_path / "top_users.csv"
    score(shop.spec, shop.warehouse, store=shop.store, out=out)
    assert {path.name for path in tmp_path.iterdir()} == {"top_users.csv", *beside}
    score(shop.spec, shop.warehouse, store=shop.store, out=tmp_path / "vip.csv")
    named = {f"vip_{name}" for name in beside} | {"vip.csv"}
    assert {path.name for path in tmp_path.iterdir()} == {"top_users.csv", *beside, *named}
    score(shop.spec, shop.warehouse, store=shop.store, out=out, scorer="scorecard")
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {"top_users.csv", "all_scores.parquet", *named}
    # What is not a list of whyrank's stays, and stops a list that would take its place.
    mine = tmp_path / "reasons.csv"
    mine.write_text("why,we,left\nprice,1,2\n")
    with pytest.raises(UsageError, match=r"reasons\.csv: is no list of whyrank's"):
        score(shop.spec, shop.warehouse, store=shop.store, out=out)
    assert mine.read_text() == "why,we,left\nprice,1,2\n"
    assert {path.name for path in tmp_path.iterdir()} == {*found, "reasons.csv"}


def test_points_that_changed_are_told_when_a_learned_champion_ranks(
    shop: Shop, tmp_path: Path
) -> None:
    learned = promote(shop.store, "shop", shop.training.run, "xgboost")
    changed, notes = with_points(shop.spec, 50, 50), list[str]()
    out = tmp_path / "top_users.csv"
    made = score(changed, shop.warehouse, store=shop.store, out=out, warn=notes.append)
    assert made.scorer == f"xgboost v{learned}"
    (warn,) = notes
    assert f"(version {learned}) ranks; the points of 'shop' are others" in warn
    assert "--scorer scorecard" in warn
    score(shop.spec, shop.warehouse, store=shop.store, out=out, warn=notes.append)
    score(changed, shop.warehouse, store=shop.store, out=out, warn=notes.append, scorer="xgboost")
    assert len(notes) == 1
    promote(shop.store, "shop", shop.training.run, "scorecard")


def test_a_store_that_is_gone_stops_all_but_bare_points(
    shop: Shop, version: int, tmp_path: Path
) -> None:
    gone, out = "http://127.0.0.1:9", tmp_path / "top_users.csv"
    user = score(shop.spec, shop.warehouse, store=shop.store, out=out).users[0].user_id
    before = out.read_bytes()
    for scorer in ("champion", "xgboost", f"models:/whyrank-shop/{version}"):
        with pytest.raises(UnreachableError, match="cannot be reached"):
            score(shop.spec, shop.warehouse, tracking=gone, out=out, scorer=scorer)
        with pytest.raises(UnreachableError, match="cannot be reached"):
            explain(shop.spec, shop.warehouse, user, tracking=gone, scorer=scorer)
    assert out.read_bytes() == before
    made = score(shop.spec, shop.warehouse, tracking=gone, out=out, scorer="scorecard")
    assert made.scorer == "scorecard"
    one = explain(shop.spec, shop.warehouse, user, tracking=gone, scorer="scorecard")
    assert one.scorer == "scorecard"


def test_a_registered_scorecard_of_other_points_is_refused(
    shop: Shop, version: int, tmp_path: Path
) -> None:
    spec, name = shop.spec, f"models:/whyrank-shop/{version}"
    assert choose_scorer(spec, name, shop.store).stamp == f"scorecard v{version}"
    changed = with_points(spec, 50, 50)
    for asked in ("champion", name):
        with pytest.raises(UsageError, match=r"\(version \d+\) was measured with the points of"):
            choose_scorer(changed, asked, shop.store)
    made = score(
        changed, shop.warehouse, store=shop.store, scorer="scorecard", out=tmp_path / "t.csv"
    )
    assert made.scorer == "scorecard"
    other = spec.model_copy(update={"features": spec.features[:-1]})
    with pytest.raises(UsageError, match="the features of 'shop' have changed since"):
        choose_scorer(other, name, shop.store)
    # Other words, or another version of the same points, change nothing of what was measured.
    loyal, recent = spec.scorecard.terms
    said = loyal.model_copy(update={"reason": "loyal"})
    card = spec.scorecard.model_copy(update={"terms": (said, recent)})
    worded = spec.model_copy(update={"scorecard": card, "version": "2"})
    assert choose_scorer(worded, name, shop.store).companion is not None


def test_a_scorecard_kept_with_an_unreadable_spec_is_refused(
    shop: Shop, version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fetch_scorer(shop.store, "shop", "champion")
    assert found is not None
    shutil.copytree(found[2], tmp_path / "scorer")
    (tmp_path / "spec.json").write_text('{"name": "shop", "of_later_days": 1}', encoding="utf-8")
    monkeypatch.setattr(
        "whyrank.tracking.active_scorer.fetch_scorer", lambda *_: (*found[:2], tmp_path / "scorer")
    )
    with pytest.raises(UsageError, match="this version of whyrank cannot read"):
        choose_scorer(shop.spec, "champion", shop.store)


DAMAGES = {
    "empty": lambda _: b"",
    "cut off": lambda body: body[: len(body) // 2],
    "other bytes": lambda body: bytes(255 - byte for byte in body),
    "deep": lambda _: b"[" * 50_000 + b"]" * 50_000,
    "other JSON": lambda _: b"{}",
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_of_a_scorer_is_said_in_one_line(
    shop: Shop, tmp_path: Path, how: str
) -> None:
    """Every file of every kind of scorer, damaged alone."""
    saved = shop.training.folder / "result" / "registered"
    files = [path for path in sorted(saved.rglob("*")) if path.is_file()]
    assert {path.suffix for path in files} >= {".json", ".npy", ".ubj", ".txt"}
    for path in files:
        scorer, *inside = path.relative_to(saved).parts
        if inside[0] == MODEL_PLOTS:
            continue
        if inside[0] == "profile.json":  # not of the scorer: read when drift is told
            with pytest.raises(DataError, match=r"profile\.json.* is damaged: train again"):
                read_profile(DAMAGES[how](path.read_bytes()).decode("latin-1"))
            continue
        copy = tmp_path / str(files.index(path))
        shutil.copytree(saved / scorer, copy)
        broken = copy.joinpath(*inside)
        broken.write_bytes(DAMAGES[how](path.read_bytes()))
        load = SpendScorer.load if inside[0] == "spend" else partial(load_scorer, spec=shop.spec)
        if inside[0] == "beside":
            load = LearnedScorer.load
        where = copy / inside[0] if inside[0] in {"spend", "beside"} else copy
        with pytest.raises(DataError) as caught:
            load(where)
        assert "\n" not in str(caught.value), path
        assert str(copy) in str(caught.value)
