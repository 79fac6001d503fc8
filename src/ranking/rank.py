"""The rank of every user by a scorer, and explanations of a few users by all that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.explain import Explained, agreement, explain_rows, model_reasons, words_of
from ..models.learned import LearnedScorer
from ..published.build import Published
from ..published.snapshot import Snapshot
from ..scorer import Account, ModelReason
from ..scoring.ranking import LABELS, RankedUser, order_by_score
from ..scoring.reasons import places, scorecard_reasons, sentences
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..spec.scorecard import HUNDREDTHS
from ..stats.platt import Calibrator
from ..types import Floats, Integers, RawScores
from .active_scorer import ActiveScorer
from .attributions import attributions, average_points, points_by_part


@dataclass(frozen=True)
class ScoredUsers:
    """Everybody's score by the active scorer, in the order of the snapshot.

    raw: what users are ordered by, the highest first. score: 0 to 100. codes: labels as positions
    in LABELS. hundredths: the scorecard's points. model_raw_score: that of the learned scorer
    that ranks, or is the companion of the scorecard; None without one. probability: of the target,
    None for points that no training stands behind. expected_spend: within the horizon, None where
    that was not trained.
    """

    active: ActiveScorer
    snapshot: Snapshot
    raw: RawScores
    score: Floats
    codes: Integers
    hundredths: Integers
    model_raw_score: Floats | None
    probability: Floats | None
    expected_spend: Floats | None = None

    def order(self) -> NDArray[np.int64]:
        """Return positions from first to last; ties keep the order of user_id."""
        return order_by_score(self.raw)


def read_features(
    spec: Spec, published: Published, active: ActiveScorer, as_of: date | None, *, everyone: bool
) -> Snapshot:
    """Read what scorecard and scorer need of a snapshot.

    Raises WarehouseError when the date or a feature is not built.
    """
    read = features_read(spec, active)
    return Snapshot.read(published.snapshot(as_of), read, population_only=not everyone)


def features_read(spec: Spec, active: ActiveScorer) -> tuple[str, ...]:
    """Return the features that scorecard, its reasons and a scorer read."""
    said = sorted(set().union(*(places(term.reason) for term in spec.scorecard.terms)))
    also = (
        *(active.model.features if active.model else ()),
        *(active.spend.features if active.spend else ()),
    )
    return tuple(dict.fromkeys((*Scorecard(spec.scorecard).features, *said, *also)))


def score_users(spec: Spec, snapshot: Snapshot, active: ActiveScorer) -> ScoredUsers:
    """Score everybody in a snapshot."""
    scorer, model = active.scorer, active.model
    raw = scorer.raw_score(snapshot)
    hundredths = raw if active.by_points else Scorecard(spec.scorecard).score_hundredths(snapshot)
    model_raw_score = raw if model is scorer else model.raw_score(snapshot) if model else None
    return ScoredUsers(
        active=active,
        snapshot=snapshot,
        raw=raw,
        score=scorer.score_of(raw),
        codes=scorer.bands_of(raw),
        hundredths=hundredths,
        model_raw_score=model_raw_score,
        probability=scorer.probability_of(raw),
        expected_spend=active.spend.expected(snapshot) if active.spend else None,
    )


def explain_users(
    spec: Spec,
    scored: ScoredUsers,
    rows: Integers,
    ranks: Sequence[int] | range,
    *,
    usual: Snapshot | None = None,
) -> list[RankedUser]:
    """Explain the users at these rows, and only those, by the scorecard and by the scorer.

    usual: whom they are compared with; all that stand when None.
    """
    part = scored.snapshot.take(rows)
    features = part.rows()
    contributions = Scorecard(spec.scorecard).contributions(part)
    points = scorecard_reasons(spec.scorecard, contributions, features)
    calibrator = scored.active.point_calibrator
    users = [
        RankedUser(
            rank=rank,
            user_id=str(features[place]["user_id"]),
            score=float(scored.score[row]),
            label=LABELS[int(scored.codes[row])],
            reasons=tuple(points[place]),
            scorecard_score=float(scored.hundredths[row]) / HUNDREDTHS,
            probability=_at(scored.probability, row),
            **_by_points(calibrator, float(scored.hundredths[row]) / HUNDREDTHS),
        )
        for place, (rank, row) in enumerate(zip(ranks, rows, strict=False))
    ]
    learned = scored.active.explainer
    if learned is None:
        return users
    found = explain_by_model(spec, learned, part, features)
    explained = found.explained
    points_usual = average_points(
        spec, scored.snapshot if usual is None else usual, explained.parts
    )
    for place, user in enumerate(users):
        by_part = points_by_part(spec, contributions, explained.parts, place)
        log_odds = dict(zip(explained.parts, explained.raw_scores[place].tolist(), strict=True))
        users[place] = replace(
            user,
            model_reasons=tuple(found.reasons[place]),
            agreement=agreement(by_part, log_odds, points_usual),
            model=Account(explained.base, float(explained.log_odds[place])),
            attributions=attributions(
                spec,
                contributions,
                user.reasons,
                explained,
                found.words[place],
                features[place],
                place,
            ),
        )
    return users


@dataclass(frozen=True)
class ModelExplanation:
    """What a learned scorer gives for some users' probabilities.

    words: by user and part, what was seen. reasons: the parts that are large and stable, by user.
    """

    explained: Explained
    words: Sequence[Mapping[str, str]]
    reasons: list[list[ModelReason]]


def explain_by_model(
    spec: Spec, scorer: LearnedScorer, table: Snapshot, rows: Sequence[Mapping[str, object]]
) -> ModelExplanation:
    """Explain users by a learned scorer; rows: the same users as dictionaries of features.

    Raises DataError for a scorer that cannot say why.
    """
    explained = explain_rows(scorer, table, spec.training.groups)
    said = sentences(spec.scorecard, table, rows)
    words = words_of(explained, rows, spec.features, said)
    return ModelExplanation(explained, words, model_reasons(explained, words))


def _by_points(calibrator: Calibrator | None, points: float) -> dict[str, Any]:
    """Return what a calibrated scorecard's probability is made of: its base, and every point."""
    if calibrator is None:
        return {}
    explain_users = Account(calibrator.intercept, calibrator.slope * points + calibrator.intercept)
    return {"card": explain_users, "point_log_odds": calibrator.slope}


def _at(values: Floats | None, row: np.int64) -> float | None:
    return None if values is None else float(values[row])
