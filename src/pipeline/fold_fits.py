"""Fit every candidate on every fold; what is done stays done, so that a killed run resumes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.comparison import FoldScores
from ..evaluation.folds import Fold
from ..models.candidates import MEMBERS, RANK_AVERAGE, RankAverage, Trainer
from ..models.learned import Calibrator, LearnedScorer, fit_calibrator
from ..scorer import Floats
from ..scoring.ranking import LABELS, band_codes
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from .build import Say
from .training_data import Course, Labelled, check_positives, read_labelled, stack, user_codes

SCORECARD = Scorecard.name


@dataclass(frozen=True)
class FoldFit:
    """One fold, fitted: the test's users and outcomes, each scorer's margins and thresholds."""

    fold: Fold
    part: Labelled
    margins: Mapping[str, Floats]


@dataclass(frozen=True)
class Fits:
    """All folds, fitted: what a comparison needs, and the last fold's calibrated scorers."""

    scores: tuple[FoldScores, ...]
    parts: tuple[Labelled, ...]
    scorers: Mapping[str, LearnedScorer]
    calibrators: Mapping[str, Calibrator]


def run_key(course: Course, candidates: Sequence[str], params: Mapping[str, Any]) -> str:
    """Return twelve hex digits of everything that fits depend on: data, dates, candidates, seed.

    The data count by the bytes of their snapshots, so the same key means the same result.
    """
    told = {
        "plan": [str(course.plan.monotone()), *course.plan.numbers, *course.plan.texts],
        "about": asdict(course.plan.about),
        "folds": [[str(day) for day in (fold.test, *fold.train)] for fold in course.all_folds()],
        "candidates": list(candidates),
        "params": {name: dict(found) for name, found in params.items()},
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    days = {day for fold in course.all_folds() for day in (*fold.train, fold.test)}
    for day in sorted(days):
        with course.published.snapshot(day).open("rb") as file:
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
    earlier: list[FoldFit | None] = [*fits[:-1]] if course.warm_up else [None, *fits[:-1]]
    codes = user_codes([fit.part.table.user_ids for fit in tests])
    scores = []
    calibrators: dict[str, Calibrator] = {}
    for fit, before, users in zip(tests, earlier, codes, strict=True):
        check_positives(fit.fold, fit.part)
        calibrators = {name: _calibrator(name, before, fit) for name in fit.margins}
        scores.append(
            FoldScores(
                name=fit.fold.test.isoformat(),
                users=users,
                labels=fit.part.labels,
                margins=fit.margins,
                chances={n: calibrators[n].probability(m) for n, m in fit.margins.items()},
                thresholds={n: _threshold(before, n, spec.training.capacity) for n in fit.margins},
            )
        )
    last = course.folds[-1]
    bands = _bands(spec, fits[-1].part)
    scorers = {
        name: replace(
            LearnedScorer.load(_kept(folder, last, name)),
            calibrator=calibrators[name],
            bands=bands,
        )
        for name in candidates
    }
    return Fits(tuple(scores), tuple(fit.part for fit in tests), scorers, calibrators)


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
    return FoldFit(fold, part, margins)


def _calibrator(name: str, before: FoldFit | None, fit: FoldFit) -> Calibrator:
    """Fit on the test before; without one, a margin that is no log-odds gets the base rate."""
    if before is not None and name in before.margins:
        return fit_calibrator(before.margins[name], before.part.labels)
    if name in {SCORECARD, RANK_AVERAGE, "recency"}:
        return Calibrator(0.0, -4.0)
    del fit
    return Calibrator()


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
