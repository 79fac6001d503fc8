"""Score and rank all users, and explain the ranks of a few."""

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
from ..scorer import LogOddsTotal, ModelReason
from ..scoring.ranking import LABELS, RankedUser, order_by_score
from ..scoring.reasons import placeholders, scorecard_reasons, sentences
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..spec.scorecard import HUNDREDTHS
from ..stats.platt import Calibrator
from ..types import Floats, Integers, RawScores
from .active_scorer import ActiveScorer
from .attributions import attributions, average_points, points_by_part


@dataclass(frozen=True)
class ScoredUsers:
    """Every user's score by the active scorer, in the order of the snapshot.

    Attributes:
        active: The scorer that ranks.
        snapshot: The users' features.
        raw: The raw score that users are ordered by, highest first.
        score: The score shown, 0 to 100.
        codes: Labels as positions in LABELS.
        hundredths: The scorecard's points, in hundredths.
        model_raw_score: The raw score of the learned scorer that ranks, or of the scorecard's
            companion. None without a learned scorer.
        probability: The probability of the target. None for a scorecard that was not trained.
        expected_spend: The expected spend within the horizon. None if no spend model was trained.
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
        """Return users' positions in the snapshot by rank; ties keep the order of user_id."""
        return order_by_score(self.raw)


def read_snapshot(
    spec: Spec, published: Published, active: ActiveScorer, as_of: date | None, *, everyone: bool
) -> Snapshot:
    """Read the features that the scorecard and the active scorer need from a snapshot.

    Args:
        spec: The spec.
        published: The build to read.
        active: The scorer that ranks.
        as_of: The date of the snapshot; the latest when None.
        everyone: Read all users, not only the population.

    Raises:
        WarehouseError: The date or a feature is not built.
    """
    features = required_features(spec, active)
    return Snapshot.read(published.snapshot(as_of), features, population_only=not everyone)


def required_features(spec: Spec, active: ActiveScorer) -> tuple[str, ...]:
    """Return the features that the scorecard, its reasons and the active scorer read."""
    in_reasons = sorted(set().union(*(placeholders(term.reason) for term in spec.scorecard.terms)))
    by_models = (
        *(active.model.features if active.model else ()),
        *(active.spend.features if active.spend else ()),
    )
    return tuple(dict.fromkeys((*Scorecard(spec.scorecard).features, *in_reasons, *by_models)))


def score_users(spec: Spec, snapshot: Snapshot, active: ActiveScorer) -> ScoredUsers:
    """Score every user of a snapshot."""
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
    background: Snapshot | None = None,
) -> list[RankedUser]:
    """Explain some users by the scorecard and, if there is one, by the learned scorer.

    Args:
        spec: The spec.
        scored: All users, scored.
        rows: Positions of the users to explain.
        ranks: The ranks of these users.
        background: The users whose average points explanations are compared with; all users of
            `scored` when None.
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
    mean_points = average_points(
        spec, scored.snapshot if background is None else background, explained.parts
    )
    for place, user in enumerate(users):
        by_part = points_by_part(spec, contributions, explained.parts, place)
        raw_values = dict(zip(explained.parts, explained.raw_values[place].tolist(), strict=True))
        users[place] = replace(
            user,
            model_reasons=tuple(found.reasons[place]),
            agreement=agreement(by_part, raw_values, mean_points),
            model=LogOddsTotal(explained.base, float(explained.log_odds[place])),
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
    """A learned scorer's explanation of some users' probabilities.

    Attributes:
        explained: The contributions.
        words: What was observed, in words, by user and part.
        reasons: The parts whose contributions are large and stable, by user.
    """

    explained: Explained
    words: Sequence[Mapping[str, str]]
    reasons: list[list[ModelReason]]


def explain_by_model(
    spec: Spec, scorer: LearnedScorer, table: Snapshot, rows: Sequence[Mapping[str, object]]
) -> ModelExplanation:
    """Explain users by a learned scorer.

    Args:
        spec: The spec.
        scorer: The learned scorer.
        table: The users to explain.
        rows: The same users as dictionaries of features.

    Raises:
        DataError: The scorer has no contributions.
    """
    explained = explain_rows(scorer, table, spec.training.groups)
    term_sentences = sentences(spec.scorecard, table, rows)
    words = words_of(explained, rows, spec.features, term_sentences)
    return ModelExplanation(explained, words, model_reasons(explained, words))


def _by_points(calibrator: Calibrator | None, points: float) -> dict[str, Any]:
    """Return the parts of a calibrated scorecard's probability: its base and a point's log-odds."""
    if calibrator is None:
        return {}
    total = LogOddsTotal(calibrator.intercept, calibrator.slope * points + calibrator.intercept)
    return {"card": total, "point_log_odds": calibrator.slope}


def _at(values: Floats | None, row: np.int64) -> float | None:
    return None if values is None else float(values[row])
