"""score and explain: from a published snapshot to a ranking with reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import WarehouseError
from ..features.matrix import Snapshot
from ..scorer import Integers
from ..scoring.ranking import (
    LABELS,
    RankedUser,
    band_codes,
    order_by_score,
    write_all_scores,
    write_top_users,
)
from ..scoring.reasons import places, scorecard_reasons
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..spec.references import suggest
from ..spec.scorecard import HUNDREDTHS
from ..warehouse.engine import Warehouse
from ..warehouse.published import Published, read_published
from .specs import spec_version


@dataclass(frozen=True)
class Ranking:
    """What score made: the exported users, and where everything was written."""

    users: tuple[RankedUser, ...]
    population: int
    labels: Mapping[str, int]
    as_of: date
    last_event: str
    run_id: str
    top_users: Path
    all_scores: Path


@dataclass(frozen=True)
class Explanation:
    """One user's standing and the full account of their score."""

    user: RankedUser
    population: int
    in_population: bool
    as_of: date
    features: Mapping[str, object]


def score(
    spec: Spec,
    warehouse: Warehouse,
    *,
    as_of: date | None = None,
    top: int = 20,
    out: Path = Path("data/top_users.csv"),
    everyone: bool = False,
) -> Ranking:
    """Rank the spec's population as of a date; write the top as CSV and all scores as Parquet.

    as_of: a date that was built; the latest one when None. everyone: rank all users, not only the
    spec's population. `all_scores.parquet` is written beside `out`.

    Raises WarehouseError when that date is not built, or the spec changed since.
    """
    published = read_published(warehouse, spec.name)
    snapshot, hundredths = _scored(spec, published, as_of, everyone=everyone)
    order = order_by_score(hundredths)
    codes = band_codes(hundredths, spec.bands)
    users = _ranked(spec, snapshot, hundredths, codes, order[:top], range(1, top + 1))
    chosen = as_of or published.as_of_dates[-1]
    all_scores = out.parent / "all_scores.parquet"
    write_all_scores(all_scores, snapshot.user_ids, hundredths, order, spec.bands)
    stamps = {
        "as_of": chosen.isoformat(),
        "run_id": published.info.build_id,
        "scorer": Scorecard.name,
        "spec_version": spec_version(spec),
    }
    details = _details(published, spec.users.pass_through, [user.user_id for user in users])
    write_top_users(
        out, users, stamps=stamps, details=details, pass_through=spec.users.pass_through
    )
    counts = np.bincount(codes, minlength=len(LABELS))
    return Ranking(
        users=tuple(users),
        population=len(snapshot),
        labels=dict(zip(LABELS, (int(n) for n in counts), strict=True)),
        as_of=chosen,
        last_event=published.info.last_event,
        run_id=published.info.build_id,
        top_users=out,
        all_scores=all_scores,
    )


def explain(
    spec: Spec, warehouse: Warehouse, user_id: str, *, as_of: date | None = None
) -> Explanation:
    """Say where one user stands as of a date and what every part of the score was worth.

    A user outside the population is explained too, with the rank they would have.

    Raises WarehouseError when the date is not built or there is no such user in it.
    """
    published = read_published(warehouse, spec.name)
    snapshot, hundredths = _scored(spec, published, as_of, everyone=True)
    found = pc.index(snapshot.user_ids, user_id).as_py()
    if found < 0:
        chosen = as_of or published.as_of_dates[-1]
        near = pc.starts_with(snapshot.user_ids, user_id[:3])
        known = snapshot.user_ids.filter(near).slice(0, 2000).to_pylist()
        hint = suggest(user_id, known).replace("none are declared", "")
        raise WarehouseError(
            f"no user {user_id!r} has an event before {chosen}"
            + (f"; {hint}" if hint.startswith("did") else "")
        )
    inside = snapshot.numbers("in_population") > 0
    better = inside & (hundredths > hundredths[found])
    tied_before = inside[:found] & (hundredths[:found] == hundredths[found])
    rank = int(better.sum() + tied_before.sum()) + 1
    row = np.array([found])
    (user,) = _ranked(spec, snapshot, hundredths, band_codes(hundredths, spec.bands), row, [rank])
    features = _all_features(spec, published, as_of, user_id)
    return Explanation(
        user,
        int(inside.sum()),
        bool(inside[found]),
        as_of or published.as_of_dates[-1],
        features,
    )


def _scored(
    spec: Spec, published: Published, as_of: date | None, *, everyone: bool
) -> tuple[Snapshot, Integers]:
    scorecard = Scorecard(spec.scorecard)
    others = sorted(set().union(*(places(term.reason) for term in spec.scorecard.terms)))
    features = tuple(dict.fromkeys((*scorecard.features, *others)))
    snapshot = Snapshot.read(published.snapshot(as_of), features, population_only=not everyone)
    return snapshot, scorecard.score_hundredths(snapshot)


def _ranked(
    spec: Spec,
    snapshot: Snapshot,
    hundredths: Integers,
    codes: Integers,
    rows: Integers,
    ranks: Sequence[int] | range,
) -> list[RankedUser]:
    """Explain the users at these rows, and only those."""
    part = snapshot.take(rows)
    features = part.rows()
    reasons = scorecard_reasons(
        spec.scorecard, Scorecard(spec.scorecard).contributions(part), features
    )
    return [
        RankedUser(
            rank=rank,
            user_id=str(values["user_id"]),
            score=float(hundredths[row]) / HUNDREDTHS,
            label=LABELS[int(codes[row])],
            reasons=tuple(why),
        )
        for rank, row, values, why in zip(ranks, rows, features, reasons, strict=False)
    ]


def _details(
    published: Published, names: Sequence[str], user_ids: Sequence[str]
) -> dict[str, dict[str, str | None]]:
    """Return what is passed through for a few users, by user_id."""
    if not names or not user_ids:
        return {}
    table = pq.read_table(published.table("user_details"), filters=[("user_id", "in", user_ids)])
    return {str(row["user_id"]): {name: row[name] for name in names} for row in table.to_pylist()}


def _all_features(
    spec: Spec, published: Published, as_of: date | None, user_id: str
) -> dict[str, object]:
    table = pq.read_table(published.snapshot(as_of), filters=[("user_id", "==", user_id)])
    row: dict[str, object] = table.to_pylist()[0]
    return {feature.name: row[feature.name] for feature in spec.features}
