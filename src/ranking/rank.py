"""Where everybody stands by a scorer, and the account of a few users by all that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.explain import agreement, explain_rows, model_reasons, words_of
from ..models.learned import Calibrator
from ..published.build import Published
from ..published.snapshot import Snapshot
from ..scorer import Account
from ..scoring.ranking import LABELS, RankedUser, band_codes, order_by_score
from ..scoring.reasons import places, scorecard_reasons, sentences
from ..scoring.scorecard import Scorecard
from ..serving import percentile_codes
from ..spec.model import Spec
from ..spec.scorecard import HUNDREDTHS
from ..types import Floats, Integers
from .active_scorer import Chosen
from .attributions import influences, points_by_part, usual_points


@dataclass(frozen=True)
class Standing:
    """Everybody's score by one scorer, in the order of the snapshot.

    score: 0 to 100. codes: bands as positions in LABELS. hundredths: the scorecard's points.
    margin: of the learned scorer that ranks, or that stands beside the scorecard; None without
    one. probability: of the target, None for points that no training stands behind.
    expected_spend: within the horizon, None where that was not trained.
    """

    chosen: Chosen
    snapshot: Snapshot
    score: Floats
    codes: Integers
    hundredths: Integers
    margin: Floats | None
    probability: Floats | None
    expected_spend: Floats | None = None

    @property
    def rank_by(self) -> Integers | Floats:
        """What users are ordered by, the highest first: hundredths of points, or the margin."""
        if self.chosen.learned is None or self.margin is None:
            return self.hundredths
        return self.margin

    def order(self) -> NDArray[np.int64]:
        """Return positions from first to last; ties keep the order of user_id."""
        if self.chosen.learned is None:
            return order_by_score(self.hundredths)
        return np.argsort(-self.rank_by, kind="stable")


def read_features(
    spec: Spec, published: Published, chosen: Chosen, as_of: date | None, *, everyone: bool
) -> Snapshot:
    """Read what scorecard and scorer need of a snapshot.

    Raises WarehouseError when the date or a feature is not built.
    """
    read = features_read(spec, chosen)
    return Snapshot.read(published.snapshot(as_of), read, population_only=not everyone)


def features_read(spec: Spec, chosen: Chosen) -> tuple[str, ...]:
    """Return the features that scorecard, its reasons and a scorer read."""
    said = sorted(set().union(*(places(term.reason) for term in spec.scorecard.terms)))
    learned = (chosen.learned, chosen.beside)
    also = (
        *(name for scorer in learned if scorer for name in scorer.features),
        *(chosen.spend.features if chosen.spend else ()),
    )
    return tuple(dict.fromkeys((*Scorecard(spec.scorecard).features, *said, *also)))


def stand(spec: Spec, snapshot: Snapshot, chosen: Chosen) -> Standing:
    """Score everybody in a snapshot."""
    hundredths = Scorecard(spec.scorecard).score_hundredths(snapshot)
    spend = chosen.spend.expected(snapshot) if chosen.spend else None
    if chosen.learned is None:
        points = hundredths / HUNDREDTHS
        return Standing(
            chosen=chosen,
            snapshot=snapshot,
            score=points,
            codes=band_codes(hundredths, spec.bands),
            hundredths=hundredths,
            margin=chosen.beside.margin(snapshot) if chosen.beside else None,
            probability=chosen.calibrator.probability(points) if chosen.calibrator else None,
            expected_spend=spend,
        )
    margin = chosen.learned.margin(snapshot)
    score = chosen.learned.score_of(margin)
    return Standing(
        chosen=chosen,
        snapshot=snapshot,
        score=score,
        codes=percentile_codes(chosen.learned, score),
        hundredths=hundredths,
        margin=margin,
        probability=chosen.learned.calibrator.probability(margin),
        expected_spend=spend,
    )


def account(
    spec: Spec,
    standing: Standing,
    rows: Integers,
    ranks: Sequence[int] | range,
    *,
    usual: Snapshot | None = None,
) -> list[RankedUser]:
    """Explain the users at these rows, and only those, by the scorecard and by the scorer.

    usual: whom they are compared with; all that stand when None.
    """
    part = standing.snapshot.take(rows)
    features = part.rows()
    contributions = Scorecard(spec.scorecard).contributions(part)
    points = scorecard_reasons(spec.scorecard, contributions, features)
    users = [
        RankedUser(
            rank=rank,
            user_id=str(features[place]["user_id"]),
            score=float(standing.score[row]),
            label=LABELS[int(standing.codes[row])],
            reasons=tuple(points[place]),
            scorecard_score=float(standing.hundredths[row]) / HUNDREDTHS,
            probability=_at(standing.probability, row),
            **_by_points(standing.chosen.calibrator, float(standing.hundredths[row]) / HUNDREDTHS),
        )
        for place, (rank, row) in enumerate(zip(ranks, rows, strict=False))
    ]
    learned = standing.chosen.explainer
    if learned is None:
        return users
    explained = explain_rows(learned, part, spec.training.groups)
    said = sentences(spec.scorecard, part, features)
    words = words_of(explained, features, spec.features, said)
    moved = model_reasons(explained, words)
    points_usual = usual_points(
        spec, standing.snapshot if usual is None else usual, explained.parts
    )
    for place, user in enumerate(users):
        by_part = points_by_part(spec, contributions, explained.parts, place)
        log_odds = dict(zip(explained.parts, explained.margins[place].tolist(), strict=True))
        users[place] = replace(
            user,
            model_reasons=tuple(moved[place]),
            agreement=agreement(by_part, log_odds, points_usual),
            model=Account(explained.base, float(explained.log_odds[place])),
            influences=influences(
                spec, contributions, user.reasons, explained, words[place], features[place], place
            ),
        )
    return users


def _by_points(calibrator: Calibrator | None, points: float) -> dict[str, Any]:
    """Return what a calibrated scorecard's probability is made of: its base, and every point."""
    if calibrator is None:
        return {}
    account = Account(calibrator.intercept, calibrator.slope * points + calibrator.intercept)
    return {"card": account, "point_log_odds": calibrator.slope}


def _at(values: Floats | None, row: np.int64) -> float | None:
    return None if values is None else float(values[row])
