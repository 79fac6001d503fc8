"""Where everybody stands by a scorer, and the account of a few users by all that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ..features.matrix import Snapshot
from ..models.explain import Explained, agreement, explain_rows, model_reasons
from ..scorer import Contributions, Floats, Integers
from ..scoring.ranking import LABELS, RankedUser, band_codes, order_by_score
from ..scoring.reasons import places, scorecard_reasons
from ..scoring.scorecard import Scorecard
from ..serving import percentile_codes
from ..spec.model import Spec
from ..spec.scorecard import HUNDREDTHS
from ..warehouse.published import Published
from .scorers import Chosen


@dataclass(frozen=True)
class Standing:
    """Everybody's score by one scorer, in the order of the snapshot.

    rank_by: what users are ordered by, the highest first: points in hundredths, or a learned
    scorer's margin. score: 0 to 100. codes: bands as positions in LABELS. hundredths: the
    scorecard's points. probability: of the target, None for the scorecard. expected_spend: within
    the horizon, None where that was not trained.
    """

    chosen: Chosen
    snapshot: Snapshot
    rank_by: Integers | Floats
    score: Floats
    codes: Integers
    hundredths: Integers
    probability: Floats | None
    expected_spend: Floats | None = None

    def order(self) -> NDArray[np.int64]:
        """Return positions from first to last; ties keep the order of user_id."""
        if self.chosen.learned is None:
            return order_by_score(self.hundredths)
        return np.argsort(-self.rank_by, kind="stable")


def stand(
    spec: Spec, published: Published, chosen: Chosen, as_of: date | None, *, everyone: bool
) -> Standing:
    """Score a snapshot; raises WarehouseError when the date or a feature is not built."""
    scorecard = Scorecard(spec.scorecard)
    said = sorted(set().union(*(places(term.reason) for term in spec.scorecard.terms)))
    learned = chosen.learned
    also = (
        *(learned.features if learned else ()),
        *(chosen.spend.features if chosen.spend else ()),
    )
    read = dict.fromkeys((*scorecard.features, *said, *also))
    snapshot = Snapshot.read(published.snapshot(as_of), tuple(read), population_only=not everyone)
    hundredths = scorecard.score_hundredths(snapshot)
    if learned is None:
        codes = band_codes(hundredths, spec.bands)
        score = hundredths / HUNDREDTHS
        return Standing(chosen, snapshot, hundredths, score, codes, hundredths, None)
    margin = learned.margin(snapshot)
    return Standing(
        chosen=chosen,
        snapshot=snapshot,
        rank_by=margin,
        score=learned.score_of(margin),
        codes=percentile_codes(learned, margin),
        hundredths=hundredths,
        probability=learned.calibrator.probability(margin),
        expected_spend=chosen.spend.expected(snapshot) if chosen.spend else None,
    )


def disagreements(standing: Standing, most: int) -> NDArray[np.int64]:
    """Return positions of users whom scorecard and scorer put furthest apart, widest gap first.

    The gap is between their shares of users ranked below, ties in the middle.
    """
    model, points = _share_below(standing.rank_by), _share_below(standing.hundredths)
    return np.argsort(-np.abs(model - points), kind="stable")[:most]


def _share_below(values: Integers | Floats) -> Floats:
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, side="left")
    through = np.searchsorted(ordered, values, side="right")
    shares: Floats = (below + through) / (2 * len(values))
    return shares


def account(
    spec: Spec, standing: Standing, rows: Integers, ranks: Sequence[int] | range
) -> list[RankedUser]:
    """Explain the users at these rows, and only those, by the scorecard and by the scorer."""
    part = standing.snapshot.take(rows)
    features = part.rows()
    contributions = Scorecard(spec.scorecard).contributions(part)
    points = scorecard_reasons(spec.scorecard, contributions, features)
    learned = standing.chosen.learned
    explained = explain_rows(learned, part) if learned is not None and learned.explains else None
    by_name = {feature.name: feature for feature in spec.features}
    moved = (
        model_reasons(explained, features, by_name) if explained is not None else [[] for _ in rows]
    )
    users = []
    for place, (rank, row) in enumerate(zip(ranks, rows, strict=False)):
        users.append(
            RankedUser(
                rank=rank,
                user_id=str(features[place]["user_id"]),
                score=float(standing.score[row]),
                label=LABELS[int(standing.codes[row])],
                reasons=tuple(points[place]),
                scorecard_score=float(standing.hundredths[row]) / HUNDREDTHS,
                probability=_at(standing.probability, row),
                model_reasons=tuple(moved[place]),
                agreement=_agreement(spec, contributions, explained, place),
            )
        )
    return users


def points_by_feature(spec: Spec, contributions: Contributions, place: int) -> dict[str, float]:
    """Return one user's points by feature: a feature's terms together, caps left aside."""
    found: dict[str, float] = {}
    for column, term in enumerate(spec.scorecard.terms):
        points = float(contributions.values[place, column]) / HUNDREDTHS
        found[term.feature] = found.get(term.feature, 0.0) + points
    return found


def _agreement(
    spec: Spec, contributions: Contributions, explained: Explained | None, place: int
) -> float | None:
    if explained is None:
        return None
    moved = dict(zip(explained.names, explained.values[place].tolist(), strict=True))
    return agreement(points_by_feature(spec, contributions, place), moved)


def _at(values: Floats | None, row: np.int64) -> float | None:
    return None if values is None else float(values[row])
