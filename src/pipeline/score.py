"""score and explain: from a published snapshot to a ranking with reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import WarehouseError
from ..files import atomic_write_set
from ..published.build import Published
from ..ranking.active_scorer import MODEL_PLOTS
from ..ranking.rank import explain_users, read_snapshot, score_users
from ..ranking.results import Explanation, Ranking
from ..ranking.spark import explain_on_spark, rank_on_spark
from ..ranking.write import (
    ALL_SCORES,
    DISAGREEMENTS,
    PROPENSITIES,
    REASONS,
    SIBLING_FILES,
    list_users,
    sibling_path,
    write_attributions,
)
from ..scoring.lists import refuse_foreign
from ..scoring.ranking import (
    write_top_users,
)
from ..spec.model import Spec
from ..spec.references import suggest
from ..spec.versions import spec_version
from ..tracking import CHAMPION, Store
from ..tracking.active_scorer import choose_scorer
from ..types import Log
from ..warehouse.base import Warehouse
from ..warehouse.builds import read_built
from ..warehouse.landing.links import link_of


def score(
    spec: Spec,
    warehouse: Warehouse,
    *,
    as_of: date | None = None,
    top: int = 20,
    out: Path = Path("data/top_users.csv"),
    everyone: bool = False,
    scorer: str = CHAMPION,
    store: Store | None = None,
    tracking: str | None = None,
    log: Log = lambda _: None,
    warn: Log = lambda _: None,
) -> Ranking:
    """Rank the spec's population as of a date; write the top as CSV and all scores as Parquet.

    Files next to `out`:

    - `all_scores.parquet`: every user's score.
    - `user_propensity_scores.csv`: every user's probability, expected spend, decile and band.
    - `reasons.csv`: the exported users' points and log-odds by feature.
    - `disagreements.csv`: users whom scorecard and learned scorer rank apart, with both sets of
      reasons.
    - `model_plots.png`: how the scorer ranked on the last backtest fold.

    All but the first need a trained scorer: a learned one, or the scorecard as champion. Names
    start with that of `out`, such as `vip_reasons.csv` next to `vip.csv`; next to `top_users.csv`
    they are as listed. All files are replaced as one set, and files of an earlier list that this
    one lacks are removed. On Spark, every user's scores and probabilities stay as a folder of
    Parquet in the shared folder, and are not written as CSV.

    Args:
        spec: The spec.
        warehouse: The warehouse.
        as_of: A date that was built; the latest one when None.
        top: Users to export.
        out: The CSV file to write.
        everyone: Rank all users, not only the spec's population.
        scorer: champion (the scorecard if there is none), scorecard, a learned scorer's name, or
            models:/NAME/VERSION.
        store: Where learned scorers are found; the store of `tracking` when None. "scorecard" needs
            none.
        tracking: A tracking URI; the default one when None.
        log: Called with steps other than scoring.
        warn: Called with what a reader of the list has to know: loads after the build, or points
            that differ from those of the champion's training.

    Raises:
        WarehouseError: The date is not built, or the spec's features changed since.
        UsageError: The scorer is not registered, was trained on other features or compared with
            other points, or a file that is not whyrank's would be replaced.
    """
    others = [sibling_path(out, name) for name in SIBLING_FILES]
    refuse_foreign([out, *others])
    published = read_built(spec, warehouse, warn=warn)
    active = choose_scorer(spec, scorer, store, tracking=tracking, warn=warn)
    day = as_of or published.as_of_dates[-1]
    explainer = active.explainer.name if active.explainer else ""
    stamps = {
        "as_of": day.isoformat(),
        "run_id": published.info.build_id,
        "scorer": active.stamp,
        "spec_version": spec_version(spec),
    }
    with atomic_write_set(out, others) as folder:
        here = folder / out.name
        if warehouse.distributed:
            # Everybody's scores and probabilities stay in the shared folder.
            found = rank_on_spark(
                spec, warehouse, published, active, as_of,
                everyone=everyone, top=top, stamps=stamps, log=log,
            )  # fmt: skip
        else:
            features = read_snapshot(spec, published, active, as_of, everyone=everyone)
            found = list_users(
                spec, published, score_users(spec, features, active), top, here, stamps
            )
        if active.model is not None:
            write_attributions(spec, here, found, stamps, explainer)
        if active.plots is not None:
            sibling_path(here, MODEL_PLOTS).write_bytes(active.plots)
        write_top_users(
            here, found.users, stamps=stamps, details=found.details,
            pass_through=spec.users.pass_through,
        )  # fmt: skip
    written = {name: path for name in SIBLING_FILES if (path := sibling_path(out, name)).exists()}
    both = (written[REASONS], written[DISAGREEMENTS]) if REASONS in written else None
    return Ranking(
        users=found.users,
        population=sum(found.labels.values()),
        labels=found.labels,
        as_of=day,
        last_event=published.info.last_event,
        run_id=published.info.build_id,
        scorer=active.stamp,
        top_users=out,
        all_scores=written.get(ALL_SCORES, found.all_scores),
        propensities=written.get(PROPENSITIES),
        explainer=explainer,
        attribution_files=both,
        capacity=spec.training.capacity,
        side_changes=found.side_changes,
        plots=written.get(MODEL_PLOTS),
        active=active,
    )


def explain(
    spec: Spec,
    warehouse: Warehouse,
    user_id: str,
    *,
    as_of: date | None = None,
    scorer: str = CHAMPION,
    store: Store | None = None,
    tracking: str | None = None,
    warn: Log = lambda _: None,
) -> Explanation:
    """Explain one user's rank as of a date, and what each part of the score contributes.

    A user outside the population is explained too, with the rank they would have. An id that a link
    gave to another person is explained as that person. Log-odds of a learned scorer are given
    besides the scorecard's points: of the scorer that ranks or, with the scorecard as champion, of
    the one that its training selected.

    Raises WarehouseError when the date is not built, the spec's features changed since, or there is
    no such user in it.
    """
    published = read_built(spec, warehouse, warn=warn)
    active = choose_scorer(spec, scorer, store, tracking=tracking, warn=warn)
    day = as_of or published.as_of_dates[-1]
    explainer = active.explainer.name if active.explainer else ""
    again = partial(
        explain, spec, warehouse, as_of=as_of, scorer=scorer, store=store, tracking=tracking
    )
    features = read_snapshot(spec, published, active, as_of, everyone=True)
    if warehouse.distributed:
        one = explain_on_spark(spec, warehouse, published, active, as_of, user_id)
        if one is None:
            return _of_person(spec, warehouse, published, user_id, day, features.user_ids, again)
        return Explanation(
            one.user, one.population, one.in_population, day, active.stamp, one.features, explainer
        )
    scored = score_users(spec, features, active)
    found = pc.index(features.user_ids, user_id).as_py()
    if found < 0:
        return _of_person(spec, warehouse, published, user_id, day, features.user_ids, again)
    inside = scored.snapshot.numeric("in_population") > 0
    key = scored.raw
    better = inside & (key > key[found])
    tied_before = inside[:found] & (key[:found] == key[found])
    rank = int(better.sum() + tied_before.sum()) + 1
    (user,) = explain_users(spec, scored, np.array([found]), [rank])
    return Explanation(
        user,
        int(inside.sum()),
        bool(inside[found]),
        day,
        active.stamp,
        _all_features(spec, published, as_of, user_id),
        explainer,
    )


def _of_person(
    spec: Spec,
    warehouse: Warehouse,
    published: Published,
    user_id: str,
    day: date,
    ids: pa.ChunkedArray,
    again: Callable[[str], Explanation],
) -> Explanation:
    """Explain the person to whom a link in the snapshot gives an id.

    Raises:
        WarehouseError: There is no such link, or it leads to several people.
    """
    link = link_of(spec, warehouse, published.info, user_id, day)
    if link is None:
        raise _nobody(user_id, day, ids)
    try:
        return replace(again(link.user_id), link=link)
    except WarehouseError as error:
        raise WarehouseError(f"{link}: {error}") from None


def _nobody(user_id: str, day: date, ids: pa.ChunkedArray) -> WarehouseError:
    """Return the error for an unknown user id, which suggests a similar one."""
    known = ids.filter(pc.starts_with(ids, user_id[:3])).slice(0, 2000).to_pylist()
    hint = suggest(user_id, known).replace("none are declared", "")
    return WarehouseError(
        f"no user {user_id!r} has an event before {day}"
        + (f"; {hint}" if hint.startswith("did") else "")
    )


def _all_features(
    spec: Spec, published: Published, as_of: date | None, user_id: str
) -> dict[str, object]:
    table = pq.read_table(published.snapshot(as_of), filters=[("user_id", "==", user_id)])
    row: dict[str, object] = table.to_pylist()[0]
    return {feature.name: row[feature.name] for feature in spec.features}
