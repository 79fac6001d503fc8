"""The files of a ranked list: the top, every user's scores, attributions, disagreements."""

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
from .disagreements import find_disagreements
from .rank import ScoredUsers, explain_users
from .results import RankingResult

TOP_USERS = "top_users"
ALL_SCORES = "all_scores.parquet"
PROPENSITIES = "user_propensity_scores.csv"
REASONS = "reasons.csv"
DISAGREEMENTS = "disagreements.csv"
SIBLING_FILES = (ALL_SCORES, PROPENSITIES, REASONS, DISAGREEMENTS, MODEL_PLOTS)


def list_users(
    spec: Spec,
    published: Published,
    scored: ScoredUsers,
    top: int,
    out: Path,
    stamps: Mapping[str, str],
) -> RankingResult:
    """List the top users, and write every user's score next to `out`."""
    order = scored.order()
    users = explain_users(spec, scored, order[:top], range(1, top + 1))
    _write_everyone(out, scored, order, stamps)
    found = find_disagreements(spec, scored)
    disagreeing = np.empty(0, dtype=np.int64) if found is None else found.order(len(users))
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    counts = np.bincount(scored.codes, minlength=len(LABELS))
    others = explain_users(spec, scored, disagreeing, ranks[disagreeing].tolist())
    named = [user.user_id for user in (*users, *others)]
    return RankingResult(
        users=tuple(users),
        disagreeing=tuple(others),
        labels=dict(zip(LABELS, (int(n) for n in counts), strict=True)),
        details=_details(published, spec.users.pass_through, named),
        all_scores=sibling_path(out, ALL_SCORES),
        disagreements=None if found is None else found.take(disagreeing),
        side_changes=None if found is None else found.side_changes(),
    )


def sibling_path(out: Path, name: str) -> Path:
    """Return the path of a file next to a list, such as vip_reasons.csv next to vip.csv.

    >>> sibling_path(Path("a/vip.csv"), "reasons.csv").name
    'vip_reasons.csv'
    >>> sibling_path(Path("a/top_users.csv"), "reasons.csv").name
    'reasons.csv'
    """
    return out.with_name(name if out.stem == TOP_USERS else f"{out.stem}_{name}")


def _write_everyone(
    out: Path, scored: ScoredUsers, order: Integers, stamps: Mapping[str, str]
) -> None:
    """Write every user's score next to `out`, and a trained scorer's probabilities and spend."""
    extra_columns = {}
    if scored.probability is not None:
        extra_columns["probability"] = scored.probability
        extra_columns["scorecard_score"] = scored.hundredths / HUNDREDTHS
    write_all_scores(
        sibling_path(out, ALL_SCORES), scored.snapshot.user_ids, order,
        score=scored.score, codes=scored.codes, extra_columns=extra_columns,
    )  # fmt: skip
    if scored.probability is not None:
        write_propensities(
            sibling_path(out, PROPENSITIES), scored.snapshot.user_ids, order,
            probability=scored.probability, expected_spend=scored.expected_spend,
            codes=scored.codes, stamps={key: stamps[key] for key in ("as_of", "scorer")},
        )  # fmt: skip


def write_attributions(
    spec: Spec, out: Path, found: RankingResult, stamps: Mapping[str, str], model: str
) -> None:
    """Write the listed users' attributions, and the users whom both scorers rank apart."""
    more = found.disagreements.columns() if found.disagreements else {}
    by_feature = {key: stamps[key] for key in ("as_of", "scorer")}
    write_reasons(sibling_path(out, REASONS), found.users, stamps=by_feature, model=model)
    write_top_users(
        sibling_path(out, DISAGREEMENTS), found.disagreeing, stamps=stamps, details=found.details,
        pass_through=spec.users.pass_through, more=more,
    )  # fmt: skip


def _details(
    published: Published, names: Sequence[str], user_ids: Sequence[str]
) -> dict[str, dict[str, str | None]]:
    """Return the columns that are passed through for a few users, by user_id."""
    if not names or not user_ids:
        return {}
    table = pq.read_table(published.table("user_details"), filters=[("user_id", "in", user_ids)])
    return {str(row["user_id"]): {name: row[name] for name in names} for row in table.to_pylist()}
