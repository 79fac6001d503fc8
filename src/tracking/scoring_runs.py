"""What is kept of a scored list: a run beside the trainings, with the list and where it is from."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import WhyrankError
from ..files import temporary_folder
from ..published.build import Published
from ..published.snapshot import Snapshot
from ..ranking.drift import Drift, drifts, read_profile, write_drifts
from ..ranking.results import Ranking
from ..reports.figures import PSI_FAR, drift_figure
from ..spec.model import Spec
from ..spec.versions import spec_version
from ..warehouse.base import Warehouse
from ..warehouse.publish import read_published
from . import DataRecord, Store, log_result, open_store
from .code_version import code_commit, code_version
from .markdown import cell, table_row
from .scoring_page import USERS_PAGE, write_users_page

_FIRST = 10  # users that the description lists
_DIGITS = 16
_DECIMALS = 5


def log_scoring(
    spec: Spec,
    warehouse: Warehouse,
    made: Ranking,
    *,
    everyone: bool = False,
    store: Store | None = None,
    tracking: str | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> str | None:
    """Log a list that `score` has written to the spec's experiment; return its run's id.

    The list stays whatever comes of it: a store that fails is reported to `warn`, and None is
    returned. Without a store nothing is made: a list by points alone needs none. store: the one of
    `tracking` (a tracking URI, or the default) when None.

    The run holds the list, reasons of both kinds, every listed user on a page (users.html), counts,
    the scorer's version, and how far features have moved since it was trained (drift.csv,
    drift.png: population stability indices against its latest training snapshot).
    """
    try:
        there = store or open_store(tracking)
        if not there.exists:
            return None
        return _log(spec, warehouse, made, there, everyone=everyone)
    except (WhyrankError, OSError) as error:
        warn(f"{error}: the list is written; no run of it is kept")
        return None


def _log(spec: Spec, warehouse: Warehouse, made: Ranking, store: Store, *, everyone: bool) -> str:
    published = read_published(warehouse, spec.name)
    found, trained = _drifts(published, made, everyone=everyone)
    active = made.active
    version = str(active.version) if active is not None and active.version else ""
    with temporary_folder("scoring") as folder:
        _write_files(folder, made, found)
        return log_result(
            store,
            spec.name,
            f"scoring {made.as_of} · {made.scorer} · top {len(made.users)}",
            kind="scoring",
            description=_note(made, found, trained),
            params={
                "as_of": made.as_of,
                "scorer": made.scorer,
                "model_version": version or "none: the spec's points",
                "beside": made.explainer or "none",
                "top": len(made.users),
                "population": "all" if everyone else spec.population.in_words,
                "build": made.run_id,
                "spec_version": spec_version(spec),
                "out": str(made.top_users),
            },
            metrics=_metrics(made, found),
            artifacts=folder,
            tags={
                "scorer": made.scorer,
                "code": code_version(),
                "build": made.run_id,
                "list_sha256": _digest(made.top_users),
            },
            commit=code_commit(),
            data=[_data(spec, published, made)],
            model=version or None,
        )


def _drifts(
    published: Published, made: Ranking, *, everyone: bool
) -> tuple[list[Drift] | None, str]:
    """Return how far the scorer's features have moved, and since when; None where none is known."""
    profile = read_profile(None if made.active is None else made.active.profile)
    if profile is None:
        return None, ""
    trained, spreads = profile
    names = tuple(spread.feature for spread in spreads)
    path = published.snapshot(made.as_of)
    table = Snapshot.read(path, names, population_only=not everyone)
    return drifts(spreads, table), trained


def _write_files(folder: Path, made: Ranking, found: Sequence[Drift] | None) -> None:
    shutil.copyfile(made.top_users, folder / "top_users.csv")
    if made.attribution_files is not None:
        for path, name in zip(
            made.attribution_files, ("reasons.csv", "disagreements.csv"), strict=True
        ):
            shutil.copyfile(path, folder / name)
    write_users_page(folder / USERS_PAGE, made)
    if found is not None:
        write_drifts(folder / "drift.csv", found)
        drift_figure(
            folder / "drift.png",
            f"Features now and in training, {made.as_of}",
            [one.feature for one in found],
            np.array([one.psi for one in found]),
        )


def _metrics(made: Ranking, found: Sequence[Drift] | None) -> dict[str, float]:
    metrics: dict[str, float] = {"users": made.population, "listed": len(made.users)}
    metrics |= {f"band/{label}": count for label, count in made.labels.items()}
    probabilities = [user.probability for user in made.users if user.probability is not None]
    if probabilities:
        metrics["listed_expected_conversions"] = float(np.sum(probabilities))
    if found:
        metrics["drift_max_psi"] = found[0].psi
        metrics["drift_features_far"] = sum(one.psi > PSI_FAR for one in found)
        metrics |= {f"drift/{one.feature}": one.psi for one in found}
    return {name: round(value, _DECIMALS) for name, value in metrics.items()}


def _note(made: Ranking, found: Sequence[Drift] | None, trained: str) -> str:
    """Return what stands under the run's name, as Markdown."""
    bands = ", ".join(f"{n:,} {label}" for label, n in reversed(list(made.labels.items())))
    lines = [
        f"**{len(made.users)} of {made.population:,} users by {cell(made.scorer)}, "
        f"as of {made.as_of}**  ",
        f"{bands}. Every listed user, points beside log-odds: Artifacts, `{USERS_PAGE}`.",
        "",
    ]
    if found:
        far = [f"{cell(one.feature)} ({one.psi:.2f})" for one in found if one.psi > PSI_FAR]
        lines.append(
            f"Features since training ({trained}): "
            + (
                f"far from it (PSI above {PSI_FAR:g}): {', '.join(far)}."
                if far
                else "none moved far."
            )
        )
    elif made.active is not None and made.active.version:
        lines.append("Features since training: not kept with this version; train again.")
    lines += ["", "| rank | user | score | label | reasons |", "|---|---|---|---|---|"]
    for user in made.users[:_FIRST]:
        reasons = user.model_reasons or user.reasons
        why = "; ".join(cell(str(reason)) for reason in reasons[:2])
        lines.append(
            table_row([str(user.rank), cell(user.user_id), f"{user.score:.2f}", user.label, why])
        )
    return "\n".join(lines)


def _data(spec: Spec, published: Published, made: Ranking) -> DataRecord:
    path = published.snapshot(made.as_of)
    profile: Mapping[str, Any] = {"num_rows": made.population, "build": made.run_id}
    name = f"{spec.name} snapshot {made.as_of}"
    return DataRecord("scoring", name, _digest(path), str(path), profile)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]
