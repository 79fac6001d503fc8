"""scorecard_shaped in train: what calibrate --shape proposes, leak-free, kept to be reviewed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from tests.support.csv_rows import csv_rows
from tests.support.shops import SPEC, Shop
from whyrank.errors import DataError
from whyrank.models.kinds import scorecard_shaped
from whyrank.models.learned import LearnedScorer
from whyrank.pipeline.calibrate_shape import calibrate_shape
from whyrank.pipeline.score import score
from whyrank.scoring.scorecard import Scorecard
from whyrank.spec.load import parse_spec
from whyrank.spec.model import Spec
from whyrank.tracking.active_scorer import choose_scorer
from whyrank.training import fitting as fold_fits
from whyrank.training.datasets import Backtest, Labelled, read_labelled
from whyrank.training.fitting import Fits, fit_folds

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("train")]
NAME = "scorecard_shaped"


@pytest.fixture(scope="module")
def files(shop: Shop) -> dict[str, str]:
    """The files of the candidate's run that are not pictures, by name."""
    client = MlflowClient(shop.store.uri, shop.store.uri)
    query = f"tags.training = '{shop.training.run}' and tags.scorer = '{NAME}'"
    parent = client.get_run(shop.training.run)
    (run,) = client.search_runs([parent.info.experiment_id], query)
    return {
        name: Path(
            download_artifacts(
                run_id=run.info.run_id, artifact_path=name, tracking_uri=shop.store.uri
            )
        ).read_text(encoding="utf-8")
        for name in ("shaped.toml", "scorecard.diff")
    }


@pytest.fixture(scope="module")
def applied(files: dict[str, str]) -> Spec:
    return parse_spec(files["shaped.toml"])


def test_its_run_keeps_the_spec_that_calibrate_shape_proposes(
    shop: Shop, applied: Spec, files: dict[str, str], tmp_path: Path
) -> None:
    source = tmp_path / "shop.toml"
    source.write_text(SPEC, encoding="utf-8")
    made = calibrate_shape(
        shop.spec, shop.warehouse, source=source,
        as_of=shop.training.backtest.folds[-1].cutoff, n_boot=40,
    )  # fmt: skip
    assert applied == parse_spec(made.text)
    assert applied.scorecard != shop.spec.scorecard
    changed = {line for line in files["scorecard.diff"].splitlines() if line.startswith("+")}
    assert 'version = "1-shaped"' in {line[1:] for line in changed}
    for term in applied.scorecard.terms:
        assert f"+points = {term.points:g}" in changed


def test_it_ranks_as_the_spec_applied_does(shop: Shop, applied: Spec, tmp_path: Path) -> None:
    """The same order of the same users, and probabilities that follow the points."""
    lists = {}
    for name, spec, scorer in ((NAME, shop.spec, NAME), ("applied", applied, "scorecard")):
        out = tmp_path / f"{name}.csv"
        score(spec, shop.warehouse, store=shop.store, scorer=scorer, top=50, out=out)
        lists[name] = [row["user_id"] for row in csv_rows(out)]
    assert lists[NAME] == lists["applied"]
    learned = choose_scorer(shop.spec, NAME, shop.store).model
    assert isinstance(learned, LearnedScorer)
    backtest = shop.training.backtest
    table = read_labelled(shop.spec, backtest, backtest.folds[-1].cutoff).table
    points = Scorecard(applied.scorecard).score(table)
    raw_score = learned.raw_score(table)
    per_point = np.ptp(raw_score) / np.ptp(points)
    assert raw_score == pytest.approx(raw_score.min() + per_point * (points - points.min()))
    # Ties are ties: nobody is ranked by what lies below a hundredth of a point.
    assert len(np.unique(raw_score)) == len(np.unique(points)) < len(points)
    wanted = 1 / (1 + np.exp(-learned.calibrator.log_odds(raw_score)))
    assert learned.probability(table) == pytest.approx(wanted)


def fits_of(
    shop: Shop, backtest: Backtest, names: list[str], folder: Path
) -> tuple[Fits, list[str]]:
    said: list[str] = []
    return fit_folds(shop.spec, backtest, names, params={}, folder=folder, log=said.append), said


def test_outcomes_of_a_test_do_not_reach_its_own_fit(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the outcomes of the last test turned round, its card and probabilities are the same."""
    backtest = shop.training.backtest
    before, _ = fits_of(shop, backtest, [NAME], tmp_path / "before")
    last = backtest.folds[-1].cutoff

    def turned(spec: Spec, of: Backtest, day: date) -> Labelled:
        part = read_labelled(spec, of, day)
        return replace(part, labels=~part.labels) if day == last else part

    monkeypatch.setattr(fold_fits, "read_labelled", turned)
    after, _ = fits_of(shop, backtest, [NAME], tmp_path / "after")
    assert (after.scores[-1].labels == ~before.scores[-1].labels).all()
    assert after.scores[-1].raw_scores[NAME].tolist() == before.scores[-1].raw_scores[NAME].tolist()
    assert (
        after.scores[-1].probabilities[NAME].tolist()
        == before.scores[-1].probabilities[NAME].tolist()
    )
    assert after.own[-1][NAME] != before.own[-1][NAME]


def test_with_few_positives_it_is_left_out_and_said(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backtest = shop.training.backtest
    monkeypatch.setattr(scorecard_shaped, "POSITIVES_BY_TERM", 100_000)
    found, said = fits_of(shop, backtest, ["recency", NAME], tmp_path)
    assert list(found.scorers) == ["recency"]
    told = [line for line in said if NAME in line and "left out" in line]
    assert len(told) == 1
    assert "training rows reached the target, and the shapes of 2 terms" in told[0]
    with pytest.raises(DataError, match=f"candidate '{NAME}' is left out"):
        fits_of(shop, backtest, [NAME], tmp_path)
