"""Data frames in, data frames out: the whole way in memory, without any file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from ..published.snapshot import Snapshot
from ..ranking.active_scorer import SCORECARD, ActiveScorer
from ..ranking.rank import explain_by_model, score_users
from ..reports.frames import reason_records
from ..scorer import ModelReason, Reason, Scale
from ..scoring.ranking import LABELS
from ..scoring.reasons import scorecard_reasons
from ..spec.load import load_spec
from ..spec.model import Spec
from ..tracking.active_scorer import choose_scorer
from ..warehouse.frames import features_of

if TYPE_CHECKING:
    import pandas as pd

    from ..tracking import Store


def rank_events(
    events: pd.DataFrame,
    spec: Spec | str = "saas",
    *,
    users: pd.DataFrame | None = None,
    aliases: pd.DataFrame | None = None,
    as_of: date | None = None,
    everyone: bool = False,
    scorer: str = SCORECARD,
    store: Store | None = None,
    tracking: str | None = None,
) -> pd.DataFrame:
    """Rank the users of a frame of events: rank, user_id, score, label, reasons, one row a user.

    Columns are mapped as the spec's [source] says; times without a zone are read in its time_zone.
    as_of: the day after the last event when None. scorer: scorecard, champion, a learned scorer's
    name or models:/…, as `score` takes them; store: where learned ones are found, the one of
    `tracking` (a tracking URI, or the default) when None. reasons is a list of texts whose points,
    or log-odds of a learned scorer, end them; the scorecard's add up to the score. reason_records
    is the same as data: part, text, amount, unit. A scorer that knows probabilities adds
    probability. `attrs["refused"]` of the result tells how many rows were refused, by reason, and
    `attrs["scorer"]` which scorer ranked.

    Raises DataError when the frame lacks a column that is needed, holds what cannot be read or has
    no acceptable row; UsageError for what is no frame, no date or no scorer of this spec;
    TrackingError when the store of a learned scorer cannot be used.

    >>> import pandas as pd
    >>> events = pd.DataFrame({
    ...     "user_id": ["ana", "ana", "bo"],
    ...     "event_time": pd.to_datetime(["2026-03-01", "2026-03-02", "2026-03-02"]),
    ...     "event_name": ["demo_request", "pricing_view", "page_view"],
    ... })
    >>> rank_events(events)["user_id"].tolist()
    ['ana', 'bo']
    """
    parsed = load_spec(spec) if isinstance(spec, str) else spec
    day = None if as_of is None else [_day(as_of)]
    active = choose_scorer(parsed, scorer, store, tracking=tracking)
    table, refused = features_of(events, parsed, users=users, aliases=aliases, as_of=day)
    if not everyone:
        table = table.filter(table.column("in_population"))
    ranked = _ranked(Snapshot(table), parsed, active)
    ranked.attrs |= {"refused": refused, "scorer": active.stamp}
    return ranked


def _day(as_of: object) -> date:
    """Return a date, or the day of a time; raise UsageError for anything else."""
    if isinstance(as_of, datetime):  # pandas' Timestamp is one
        return as_of.date()
    if isinstance(as_of, date):
        return as_of
    raise UsageError(
        f"as_of: {as_of!r} is a {type(as_of).__name__}: give a date, such as date(2026, 3, 1)"
    )


def _ranked(snapshot: Snapshot, spec: Spec, active: ActiveScorer) -> pd.DataFrame:
    import pandas as pd

    scored = score_users(spec, snapshot, active)
    order = scored.order()
    why, unit = _reasons(snapshot.take(order), spec, active)
    columns = {
        "rank": np.arange(1, len(order) + 1),
        "user_id": snapshot.take(order).user_ids.to_pylist(),
        "score": scored.score[order],
        "label": [LABELS[code] for code in scored.codes[order]],
        "reasons": [[str(reason) for reason in reasons] for reasons in why],
        "reason_records": [reason_records(reasons, unit) for reasons in why],
    }
    if scored.probability is not None:
        columns["probability"] = scored.probability[order]
    return pd.DataFrame(columns)


def _reasons(
    snapshot: Snapshot, spec: Spec, active: ActiveScorer
) -> tuple[Sequence[Sequence[Reason | ModelReason]], Scale]:
    """Return each user's reasons by the scorer that ranks, and their unit; none without a why."""
    rows = snapshot.rows()
    if active.by_points:
        given = active.scorer.contributions(snapshot)
        return scorecard_reasons(spec.scorecard, given, rows), "points"
    if active.explainer is None:
        return [[] for _ in rows], "log-odds"
    return explain_by_model(spec, active.explainer, snapshot, rows).reasons, "log-odds"
