"""A scorecard as a learned scorer: its points exactly, its contributions by feature."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from tests.support.examples import examples
from tests.support.scorecards import ROWS, scorecards, table
from tests.support.tables import ABOUT, data, plan
from whyrank.models.candidates import Trainer
from whyrank.models.kinds.base import CannotFitError, TrainingData
from whyrank.models.learned import LearnedScorer
from whyrank.models.points import PointsModel, fit_points, points_by_feature
from whyrank.published.snapshot import Snapshot
from whyrank.scoring.scorecard import Scorecard
from whyrank.spec.load import load_spec
from whyrank.spec.scorecard import BandsSpec, ScorecardSpec

BANDS = BandsSpec(medium=30, high=60)


def scorer_of(card: ScorecardSpec, known: Snapshot) -> LearnedScorer:
    labels = np.arange(len(known)) % 3 == 0
    encoding, model = fit_points(card, BANDS, 0.05, known, labels)
    return LearnedScorer(encoding, model, np.zeros(1), ABOUT)


@settings(max_examples=examples(13), deadline=None)
@given(scorecards(), ROWS, ROWS)
def test_margins_are_the_points_and_contributions_add_up(
    card: ScorecardSpec, learnt: list[tuple[object, ...]], rows: list[tuple[object, ...]]
) -> None:
    """Nulls, texts that no map names, groups and clipping included; kept and read again too."""
    known, users = Snapshot(table([*learnt, *learnt])), Snapshot(table(rows))
    scorer = scorer_of(card, known)
    with TemporaryDirectory() as folder:
        scorer.save(Path(folder) / "kept")
        read = LearnedScorer.load(Path(folder) / "kept")
    points = Scorecard(card).score(users)
    for one in (scorer, read):
        assert isinstance(one.model, PointsModel)
        assert one.model.points(one.encoding.matrix(users)).tolist() == points.tolist()
        # By hand: usual points have the log-odds of the share that was reached, a third.
        usual = Scorecard(card).score(known).mean()
        share = np.mean(np.arange(len(known)) % 3 == 0)
        wanted = np.log(share / (1 - share)) + 0.05 * (points - usual)
        assert one.raw_score(users) == pytest.approx(wanted)
        found = one.contributions(users)
        assert found.base + np.asarray(found.values).sum(axis=1) == pytest.approx(wanted)
    assert (points_by_feature(card, users, scorer.features) >= -100).all()


def test_what_a_cap_and_clipping_move_is_dealt_in_proportion() -> None:
    """A group of 30 + 10 capped at 20 counts 15 + 5; of 10 points 40 cannot be taken, but 10."""
    term = {"transform": "flag", "reason": "r"}
    card = ScorecardSpec.model_validate(
        {
            "terms": [
                {**term, "name": "a", "feature": "a", "points": 30, "group": "g"},
                {**term, "name": "b", "feature": "b", "points": 10, "group": "g"},
                {**term, "name": "c", "feature": "c", "points": 80},
                {**term, "name": "d", "feature": "d", "points": -30},
                {**term, "name": "e", "feature": "e", "points": -10},
            ],
            "groups": {"g": {"cap": 20, "reason": "at most 20"}},
        }
    )
    users = Snapshot(pa.table({"a": [1, 0], "b": [1, 1], "c": [1, 0], "d": [0, 1], "e": [0, 1]}))
    assert points_by_feature(card, users, "abcde").tolist() == [
        [15.0, 5.0, 80.0, 0.0, 0.0],
        [0.0, 10.0, 0.0, -7.5, -2.5],
    ]


def test_without_a_card_or_positives_enough_it_cannot_be_fitted() -> None:
    """The card of saas has 12 terms, so 120 rows have to have reached the target."""
    known = data()
    with pytest.raises(CannotFitError, match="'scorecard_shaped' is left out: there is no score"):
        Trainer(plan(spec=None), known).fit("scorecard_shaped")
    few = known.labels & (np.cumsum(known.labels) <= 119)
    trainer = Trainer(plan(spec=load_spec("saas")), replace(known, labels=few))
    with pytest.raises(CannotFitError, match="119 training rows reached .* 12 terms .* 120 at le"):
        trainer.fit("scorecard_shaped")


def test_training_data_without_halves_take_the_latest_for_the_later() -> None:
    known = data()
    assert isinstance(known, TrainingData)
    assert (known.rows().late == known.latest).all()
