"""Find the scorer that a name means: the scorecard, or a registered one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import UsageError
from ..files import temporary_folder
from ..models.learned import LearnedScorer
from ..models.spend import SpendScorer
from ..ranking.active_scorer import MODEL_PLOTS, PROFILE, SCORECARD, ActiveScorer
from ..ranking.saved import load_scorer
from ..spec.model import Spec
from ..spec.versions import features_version, points_version, spec_version
from .registry import CHAMPION, fetch_scorer
from .stores import Store, open_store

SPEND_FOLDER = "spend"
BESIDE = "beside"


def choose_scorer(
    spec: Spec,
    name: str,
    store: Store | None = None,
    *,
    tracking: str | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> ActiveScorer:
    """Return the scorer of a name: champion, scorecard, a learned one's name, or models:/….

    Without a champion, "champion" is the scorecard. "scorecard" is the spec's points as they are; a
    registered scorecard, as champion or by its version, brings what was trained with it, and must
    have been measured with the points that the spec has now. store: where registered ones are; the
    one of `tracking`, or the default, when None, which is opened where it is needed. warn: called
    with what is told when a learned scorer ranks though the spec's points are others than those
    that it was compared with.

    Raises UsageError when there is no such scorer, or it was trained on other features, or measured
    with other points, than the spec has now. Raises TrackingError when the store cannot be used:
    another scorer would rank without a word.
    """
    if name == SCORECARD:
        return ActiveScorer.untrained(spec)
    with temporary_folder("scorer") as place:
        opened = store or open_store(tracking, warn=warn)
        return _read_scorer(spec, name, fetch_scorer(opened, spec.name, name, place), warn)


def _read_scorer(
    spec: Spec, name: str, found: tuple[str, int, Path] | None, warn: Callable[[str], None]
) -> ActiveScorer:
    """Read what was fetched into memory, as its copy goes, and check that it fits the spec."""
    if found is None:
        if name == CHAMPION:
            return ActiveScorer.untrained(spec)
        raise UsageError(
            f"no scorer {name!r} is registered for spec {spec.name!r}: run `whyrank train`, and "
            "see `whyrank compare` for the names"
        )
    scorer_name, version, folder = found
    scorer = load_scorer(folder, spec)
    said = f"scorer {scorer_name!r} (version {version})"
    spend, plots, companion = folder / SPEND_FOLDER, folder / MODEL_PLOTS, folder / BESIDE
    profile = folder / PROFILE
    if scorer.about is None:
        _refuse_other_points(spec, folder.with_name("spec.json"), said)
    else:
        about = scorer.about
        _refuse_other_features(spec, (about.spec, about.spec_version, about.features_version), said)
        if name == CHAMPION and _has_other_points(spec, folder.with_name("spec.json")):
            warn(
                f"the champion {said} ranks; the points of {spec.name!r} are others than when it "
                "was trained, and stand beside it: to rank by them, score with --scorer scorecard"
            )
    return ActiveScorer(
        scorer=scorer,
        version=version,
        spend=SpendScorer.load(spend) if spend.exists() else None,
        plots=plots.read_bytes() if plots.exists() else None,
        companion=LearnedScorer.load(companion) if companion.exists() else None,
        profile=profile.read_text(encoding="utf-8") if profile.exists() else None,
    )


def _refuse_other_features(spec: Spec, made: tuple[str, str, str], said: str) -> None:
    """Raise UsageError unless a scorer's spec (name, version, features) fits the one at hand."""
    name, version, features = made
    if name != spec.name or features != features_version(spec):
        raise UsageError(
            f"{said} was trained on spec {name} {version}, and the features of {spec.name!r} have "
            "changed since: run `whyrank train` again, or score with --scorer scorecard"
        )


def _has_other_points(spec: Spec, kept: Path) -> bool:
    """Return whether a registered scorer is kept with a spec that has other points or bands."""
    try:
        saved = Spec.model_validate_json(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return points_version(saved) != points_version(spec)


def _refuse_other_points(spec: Spec, kept: Path, said: str) -> None:
    """Raise UsageError unless a registered scorecard had the points that the spec has now."""
    try:
        saved = Spec.model_validate_json(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(
            f"{said} is kept with a spec that this version of whyrank cannot read: run `whyrank "
            "train` again, or score with --scorer scorecard"
        ) from None
    made = spec_version(saved)
    _refuse_other_features(spec, (saved.name, made, features_version(saved)), said)
    if points_version(saved) != points_version(spec):
        raise UsageError(
            f"{said} was measured with the points of spec {saved.name} {made}, and "
            f"{spec_version(spec)} has others: run `whyrank train` and `whyrank compare --promote` "
            "again, or score by the points as they are now with --scorer scorecard"
        )
