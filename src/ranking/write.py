"""The files of a ranked list: the top, everybody's scores, points and attributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ..published.build import Published
from ..scoring.ranking import LABELS, write_all_scores, write_propensities, write_top_users
from ..scoring.reasons_csv import write_reasons
from ..spec.model import Spec
from ..spec.scorecard import HUNDREDTHS
from ..types import Integers
from .active_scorer import MODEL_PLOTS
from .disagreements import sides_of
from .rank import ScoredUsers, explain_users
from .results import RankingResult

TOP_USERS = "top_users"
ALL_SCORES = "all_scores.parquet"
PROPENSITIES = "user_propensity_scores.csv"
REASONS = "reasons.csv"
DISAGREEMENTS = "disagreements.csv"
BESIDE_THE_LIST = (ALL_SCORES, PROPENSITIES, REASONS, DISAGREEMENTS, MODEL_PLOTS)


def list_users(
    spec: Spec,
    published: Published,
    scored: ScoredUsers,
    top: int,
    out: Path,
    stamps: Mapping[str, str],
) -> RankingResult:
    """List the top of those who stand, and write everyone's score beside `out`."""
    order = scored.order()
    users = explain_users(spec, scored, order[:top], range(1, top + 1))
    _write_everyone(out, scored, order, stamps)
    sides = sides_of(spec, scored)
    apart = np.empty(0, dtype=np.int64) if sides is None else sides.order(len(users))
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    counts = np.bincount(scored.codes, minlength=len(LABELS))
    others = explain_users(spec, scored, apart, ranks[apart].tolist())
    named = [user.user_id for user in (*users, *others)]
    return RankingResult(
        users=tuple(users),
        apart=tuple(others),
        labels=dict(zip(LABELS, (int(n) for n in counts), strict=True)),
        details=_details(published, spec.users.pass_through, named),
        all_scores=named_after(out, ALL_SCORES),
        sides=None if sides is None else sides.take(apart),
        changed=None if sides is None else sides.changed(),
    )


def named_after(out: Path, name: str) -> Path:
    """Return the path of what stands beside a list, such as vip_reasons.csv beside vip.csv.

    >>> named_after(Path("a/vip.csv"), "reasons.csv").name
    'vip_reasons.csv'
    >>> named_after(Path("a/top_users.csv"), "reasons.csv").name
    'reasons.csv'
    """
    return out.with_name(name if out.stem == TOP_USERS else f"{out.stem}_{name}")


def _write_everyone(
    out: Path, scored: ScoredUsers, order: Integers, stamps: Mapping[str, str]
) -> None:
    """Write every user's score beside `out`, and a learned scorer's probabilities and spend."""
    beside = {}
    if scored.probability is not None:
        beside["probability"] = scored.probability
        beside["scorecard_score"] = scored.hundredths / HUNDREDTHS
    write_all_scores(
        named_after(out, ALL_SCORES), scored.snapshot.user_ids, order,
        score=scored.score, codes=scored.codes, beside=beside,
    )  # fmt: skip
    if scored.probability is not None:
        write_propensities(
            named_after(out, PROPENSITIES), scored.snapshot.user_ids, order,
            probability=scored.probability, expected_spend=scored.expected_spend,
            codes=scored.codes, stamps={key: stamps[key] for key in ("as_of", "scorer")},
        )  # fmt: skip


def write_attributions(
    spec: Spec, out: Path, found: RankingResult, stamps: Mapping[str, str], model: str
) -> None:
    """Write the exported users' table by feature, and on whom the two scorers disagree."""
    by_feature = {key: stamps[key] for key in ("as_of", "scorer")}
    write_reasons(named_after(out, REASONS), found.users, stamps=by_feature, model=model)
    write_top_users(
        named_after(out, DISAGREEMENTS), found.apart, stamps=stamps, details=found.details,
        pass_through=spec.users.pass_through, more=found.sides.columns() if found.sides else {},
    )  # fmt: skip


def _details(
    published: Published, names: Sequence[str], user_ids: Sequence[str]
) -> dict[str, dict[str, str | None]]:
    """Return what is passed through for a few users, by user_id."""
    if not names or not user_ids:
        return {}
    table = pq.read_table(published.table("user_details"), filters=[("user_id", "in", user_ids)])
    return {str(row["user_id"]): {name: row[name] for name in names} for row in table.to_pylist()}
