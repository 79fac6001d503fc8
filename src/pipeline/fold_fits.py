"""Fit every candidate on every fold; what is done stays done, so that a killed run resumes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.comparison import FoldScores
from ..evaluation.folds import Fold
from ..models.candidates import MEMBERS, RANK_AVERAGE, RankAverage, Trainer
from ..models.learned import Calibrator, LearnedScorer, fit_calibrator
from ..scorer import Floats
from ..scoring.ranking import LABELS, band_codes
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from .build import Say
from .scorers import SCORECARD
from .training_data import Course, Labelled, check_positives, read_labelled, stack, user_codes

# Of those that fit; XGBoost goes by two names, and its version comes with the fits it made.
_LIBRARIES = ("whyrank", "scikit-learn", "lightgbm", "imbalanced-learn")


@dataclass(frozen=True)
class FoldFit:
    """One fold, fitted: the test's users and outcomes, the learned scorers, all margins."""

    fold: Fold
    part: Labelled
    scorers: Mapping[str, LearnedScorer]
    margins: Mapping[str, Floats]


@dataclass(frozen=True)
class Fits:
    """All folds, fitted: what a comparison needs, and the last fold's calibrated scorers.

    by_fold: every fold's calibrated scorers, the warm-up's first.
    """

    scores: tuple[FoldScores, ...]
    parts: tuple[Labelled, ...]
    by_fold: tuple[Mapping[str, LearnedScorer], ...]
    scorers: Mapping[str, LearnedScorer]
    calibrators: Mapping[str, Calibrator]


def run_key(course: Course, candidates: Sequence[str], params: Mapping[str, Any]) -> str:
    """Return twelve hex digits of everything that fits depend on: data, dates, candidates, seed.

    The data count by the bytes of their snapshots and outcomes, and libraries by their versions.
    """
    told = {
        "plan": [str(course.plan.monotone()), *course.plan.numbers, *course.plan.texts],
        "about": asdict(course.plan.about),
        "folds": [[str(day) for day in (fold.test, *fold.train)] for fold in course.all_folds()],
        "candidates": list(candidates),
        "params": {name: dict(found) for name, found in params.items()},
    }
    told["libraries"] = {name: metadata.version(name) for name in _LIBRARIES}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    days = {day for fold in course.all_folds() for day in (*fold.train, fold.test)}
    snapshots = [course.published.snapshot(day) for day in sorted(days)]
    for path in (course.published.table("outcomes"), *snapshots):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def fit_folds(
    spec: Spec,
    course: Course,
    candidates: Sequence[str],
    *,
    params: Mapping[str, Mapping[str, Any]],
    folder: Path,
    say: Say,
) -> Fits:
    """Fit candidates on each fold and calibrate them on the outcomes of the fold before.

    Every fit is kept in `folder` as it is done. Raises DataError for one class only.
    """
    fits = [
        _fit_fold(spec, course, fold, candidates, params=params, folder=folder, say=say)
        for fold in course.all_folds()
    ]
    tests = fits[1:] if course.warm_up else fits
    codes = iter(user_codes([fit.part.table.user_ids for fit in tests]))
    scores, by_fold = [], []
    calibrators: dict[str, Calibrator] = {}
    before: FoldFit | None = None
    for fit in fits:
        calibrators = {name: _calibrator(name, before, fit) for name in fit.margins}
        by_fold.append(
            {n: replace(scorer, calibrator=calibrators[n]) for n, scorer in fit.scorers.items()}
        )
        if fit.fold in course.folds:
            check_positives(fit.fold, fit.part)
            scores.append(_fold_scores(fit, before, calibrators, next(codes), spec))
        before = fit
    bands = _bands(spec, read_labelled(spec, course, course.folds[-1].train[-1]))
    scorers = {name: replace(scorer, bands=bands) for name, scorer in by_fold[-1].items()}
    parts = tuple(fit.part for fit in tests)
    return Fits(tuple(scores), parts, tuple(by_fold), scorers, calibrators)


def _fold_scores(
    fit: FoldFit,
    before: FoldFit | None,
    calibrators: Mapping[str, Calibrator],
    users: NDArray[np.int64],
    spec: Spec,
) -> FoldScores:
    return FoldScores(
        name=fit.fold.test.isoformat(),
        users=users,
        labels=fit.part.labels,
        margins=fit.margins,
        chances={name: calibrators[name].probability(m) for name, m in fit.margins.items()},
        thresholds={n: _threshold(before, n, spec.training.capacity) for n in fit.margins},
    )


def _fit_fold(
    spec: Spec,
    course: Course,
    fold: Fold,
    candidates: Sequence[str],
    *,
    params: Mapping[str, Mapping[str, Any]],
    folder: Path,
    say: Say,
) -> FoldFit:
    part = read_labelled(spec, course, fold.test)
    trainer: Trainer | None = None
    scorers: dict[str, LearnedScorer] = {}
    for name in candidates:
        kept = _kept(folder, fold, name)
        if not kept.exists():
            if trainer is None:
                parts = [read_labelled(spec, course, day) for day in fold.train]
                trainer = Trainer(course.plan, stack(parts))
            say(f"test {fold.test}: fitting {name}")
            _keep(trainer.fit(name, params.get(name)), kept)
        scorers[name] = LearnedScorer.load(kept)
    margins = {SCORECARD: Scorecard(spec.scorecard).score(part.table)}
    margins |= {name: scorer.margin(part.table) for name, scorer in scorers.items()}
    members = tuple(scorers[name] for name in MEMBERS if name in scorers)
    if len(members) > 1:
        margins[RANK_AVERAGE] = RankAverage(members).margin(part.table)
    return FoldFit(fold, part, scorers, margins)


def _calibrator(name: str, before: FoldFit | None, fit: FoldFit) -> Calibrator:
    """Fit on the test before; without one, everybody gets the training data's base rate."""
    if before is not None:
        return fit_calibrator(before.margins[name], before.part.labels)
    about = next(iter(fit.scorers.values())).about
    share = about.positives / about.users
    return Calibrator(0.0, float(np.log(share / (1 - share))))


def _bands(spec: Spec, part: Labelled) -> tuple[float, float]:
    """Return the percentiles that make as many users medium and high as the scorecard does."""
    hundredths = Scorecard(spec.scorecard).score_hundredths(part.table)
    codes = band_codes(hundredths, spec.bands)
    return float(100 * (codes < 1).mean()), float(100 * (codes < len(LABELS) - 1).mean())


def _threshold(before: FoldFit | None, name: str, capacity: float) -> float | None:
    """Return the margin that the best `capacity` of the test before reached."""
    if before is None:
        return None
    return float(np.quantile(before.margins[name], 1 - capacity, method="higher"))


def _kept(folder: Path, fold: Fold, name: str) -> Path:
    return folder / f"test-{fold.test.isoformat()}" / name


def _keep(scorer: LearnedScorer, folder: Path) -> None:
    """Write a scorer beside its place and rename it: it is there whole, or not at all."""
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    scorer.save(temporary)
    temporary.rename(folder)
