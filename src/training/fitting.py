"""Fit every candidate on every fold; what is done stays done, so that a killed run resumes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..evaluation.fold_scores import FoldScores
from ..evaluation.folds import Fold
from ..models.candidates import Trainer
from ..models.kinds.base import CannotFitError, FitSpec
from ..models.learned import LearnedScorer
from ..scoring.ranking import LABELS, band_codes
from ..scoring.scorecard import Scorecard
from ..spec.model import Spec
from ..stats.platt import Calibrator, fit_calibrator
from ..types import Floats, Log
from .calibration import CalibrationSet, margins_of, together
from .datasets import Backtest, Labelled, read_labelled, split_users, stack, user_codes

_SECONDS = "fit_seconds.txt"


class Fitter(Protocol):
    """Fits candidates on one set of training snapshots, as `models.candidates.Trainer` does."""

    def fit(self, name: str, params: Mapping[str, Any] | None = None) -> LearnedScorer:
        """Fit a candidate; its calibrator is still the identity."""
        ...


class TrainingBackend(Protocol):
    """Where candidates are fitted: here, or on a cluster."""

    def trainer(
        self, fold: Fold, half: int | None, read: Callable[[], Sequence[Labelled]]
    ) -> Fitter:
        """Return what fits on a fold's training snapshots, of one half of the users or of all.

        read: reads those snapshots here.
        """
        ...

    def halves(
        self, parts: Sequence[Labelled]
    ) -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
        """Return the same snapshots of two halves of the users."""
        ...


@dataclass(frozen=True)
class LocalBackend:
    """Candidates are fitted in this process, on what it reads."""

    plan: FitSpec

    def trainer(
        self, fold: Fold, half: int | None, read: Callable[[], Sequence[Labelled]]
    ) -> Fitter:
        """Return a trainer on what was read."""
        del fold, half
        return Trainer(self.plan, stack(read()))

    def halves(
        self, parts: Sequence[Labelled]
    ) -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
        """Return halves of the users, converted ones dealt evenly."""
        return split_users(parts, seed=self.plan.about.seed)


@dataclass(frozen=True)
class FoldFit:
    """One fold, fitted: the test's users and outcomes, the learned scorers, all raw scores."""

    fold: Fold
    part: Labelled
    scorers: Mapping[str, LearnedScorer]
    raw_scores: Mapping[str, Floats]


@dataclass(frozen=True)
class Fits:
    """All folds, fitted: what a comparison needs, and the last fold's calibrated scorers.

    by_fold: every fold's scorers, the calibration fold's first; those of tests are calibrated.
    own: every fold's calibrators by its own outcomes, which are known one horizon after its test.
    """

    scores: tuple[FoldScores, ...]
    parts: tuple[Labelled, ...]
    by_fold: tuple[Mapping[str, LearnedScorer], ...]
    own: tuple[Mapping[str, Calibrator], ...]
    scorers: Mapping[str, LearnedScorer]
    calibrators: Mapping[str, Calibrator]


def fit_folds(
    spec: Spec,
    backtest: Backtest,
    candidates: Sequence[str],
    *,
    params: Mapping[str, Mapping[str, Any]],
    folder: Path,
    log: Log,
    place: TrainingBackend | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Fits:
    """Fit candidates on each fold and calibrate them on the outcomes of the fold before.

    place: where they are fitted; here when None. progress: called with how many fits are done, of
    how many.

    Where there is none before the first test, it is calibrated on halves of its users. Every fit
    is kept in `folder` as it is done. A candidate that cannot learn from some fold's data is left
    out of all, and `log` says why. Raises DataError for one class only, or where none is left.
    """
    rounds = len(backtest.all_folds()) + (
        0 if backtest.calibration_fold else 2
    )  # two halves of the users
    work = _Work(
        spec, backtest, candidates, params, folder, log, place or LocalBackend(backtest.plan),
        _Count(rounds * len(candidates), progress),
    )  # fmt: skip
    try:
        return _fit_folds(work)
    except CannotFitError as error:
        rest = [name for name in candidates if name != error.candidate]
        if not rest:
            raise
        log(str(error))
        return fit_folds(
            spec, backtest, rest,
            params=params, folder=folder, log=log, place=place, progress=progress,
        )  # fmt: skip


def _fit_folds(work: _Work) -> Fits:
    spec, backtest = work.spec, work.backtest
    fits = [work.fold(fold) for fold in backtest.all_folds()]
    tests = fits[1:] if backtest.calibration_fold else fits
    codes = iter(user_codes([fit.part.table.user_ids for fit in tests]))
    scores, by_fold, own = [], [], []
    calibrators: dict[str, Calibrator] = {}
    before: FoldFit | None = None
    for fit in fits:
        scorers = fit.scorers
        if fit.fold in backtest.folds:
            seen = work.halves(fit) if before is None else _seen(spec, before, fit)
            calibrators = seen.calibrators(fit.raw_scores)
            scorers = {n: replace(s, calibrator=calibrators[n]) for n, s in scorers.items()}
            scores.append(_fold_scores(fit, seen, calibrators, next(codes), spec))
        by_fold.append(scorers)
        own.append({n: fit_calibrator(m, fit.part.labels) for n, m in fit.raw_scores.items()})
        before = fit
    bands = _bands(spec, read_labelled(spec, backtest, backtest.folds[-1].train[-1]))
    scorers = {name: replace(scorer, band_edges=bands) for name, scorer in by_fold[-1].items()}
    parts = tuple(fit.part for fit in tests)
    return Fits(tuple(scores), parts, tuple(by_fold), tuple(own), scorers, calibrators)


def _seen(spec: Spec, before: FoldFit, fit: FoldFit) -> CalibrationSet:
    again = margins_of(spec, before.scorers, fit.part.table)
    return CalibrationSet(before.raw_scores, before.part.labels, again)


def _fold_scores(
    fit: FoldFit,
    seen: CalibrationSet,
    calibrators: Mapping[str, Calibrator],
    users: NDArray[np.int64],
    spec: Spec,
) -> FoldScores:
    return FoldScores(
        name=fit.fold.cutoff.isoformat(),
        users=users,
        labels=fit.part.labels,
        raw_scores=fit.raw_scores,
        probabilities={
            name: calibrators[name].probability(m) for name, m in fit.raw_scores.items()
        },
        thresholds=seen.thresholds(fit.raw_scores, spec.training.capacity),
    )


@dataclass
class _Count:
    """How many fits are done, those that were kept by an earlier run as well."""

    total: int
    progress: Callable[[int, int], None]
    done: int = 0

    def show(self) -> None:
        """Tell it."""
        self.progress(self.done, self.total)


@dataclass(frozen=True)
class _Work:
    """Fits candidates, and keeps each fit in a folder as it is done."""

    spec: Spec
    backtest: Backtest
    candidates: Sequence[str]
    params: Mapping[str, Mapping[str, Any]]
    folder: Path
    log: Log
    place: TrainingBackend
    count: _Count

    def fold(self, fold: Fold) -> FoldFit:
        """Fit a fold's candidates on its training snapshots, and rank its test by them."""
        part = read_labelled(self.spec, self.backtest, fold.cutoff)
        scorers = self._fitted(fold, lambda: self._read(fold))
        return FoldFit(fold, part, scorers, margins_of(self.spec, scorers, part.table))

    def halves(self, fit: FoldFit) -> CalibrationSet:
        """Fit each half of the users, and look at the other half's outcomes.

        For a test without one before it: no training outcome is known early enough to be held out
        by its date, so it is held out by its user.
        """
        self.log(f"test {fit.fold.cutoff}: no test before it; calibrating on halves of the users")
        halves = self.place.halves(self._read(fit.fold))
        seen = []
        for place, (rest, held) in enumerate((halves, halves[::-1])):
            scorers = self._fitted(fit.fold, partial(tuple, rest), place)
            seen.append(
                CalibrationSet(
                    margins_of(self.spec, scorers, held[-1].table),
                    held[-1].labels,
                    margins_of(self.spec, scorers, fit.part.table),
                )
            )
        return together(seen)

    def _read(self, fold: Fold) -> list[Labelled]:
        return [read_labelled(self.spec, self.backtest, day) for day in fold.train]

    def _fitted(
        self, fold: Fold, read: Callable[[], Sequence[Labelled]], half: int | None = None
    ) -> dict[str, LearnedScorer]:
        """Fit what is not kept yet, on what `read` returns; the data are read if need be.

        What cannot be saved is fitted again by the next run.
        """
        part = "" if half is None else f"half-{half}"
        home = self.folder / f"test-{fold.cutoff.isoformat()}" / part
        trainer: Fitter | None = None
        scorers: dict[str, LearnedScorer] = {}
        for name in self.candidates:
            kept = home / name
            if not kept.exists():
                trainer = trainer or self.place.trainer(fold, half, read)
                self.log(f"test {fold.cutoff}: fitting {name}{part and f' on {part}'}")
                self.count.show()
                started = time.perf_counter()
                fitted = trainer.fit(name, self.params.get(name))
                if not fitted.unsaved:
                    _keep(fitted, kept, time.perf_counter() - started)
                scorers[name] = fitted
            if kept.exists():
                scorers[name] = LearnedScorer.load(kept)
            self.count.done += 1
        return scorers


def _bands(spec: Spec, part: Labelled) -> tuple[float, float]:
    """Return the percentiles that make as many users medium and high as the scorecard does."""
    hundredths = Scorecard(spec.scorecard).score_hundredths(part.table)
    codes = band_codes(hundredths, spec.bands)
    return float(100 * (codes < 1).mean()), float(100 * (codes < len(LABELS) - 1).mean())


def fit_seconds(folder: Path, fold: Fold, name: str) -> float | None:
    """Return how long a candidate's kept fit on a fold took, in seconds; None where none is kept.

    folder: the one that `fit_folds` kept its fits in. What the candidates of a fold share, such as
    the encoding of categories, counts for the first that needs it.
    """
    kept = folder / f"test-{fold.cutoff.isoformat()}" / name / _SECONDS
    return float(kept.read_text(encoding="ascii")) if kept.exists() else None


def _keep(scorer: LearnedScorer, folder: Path, seconds: float) -> None:
    """Write a scorer beside its place and rename it: it is there whole, or not at all."""
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    scorer.save(temporary)
    (temporary / _SECONDS).write_text(f"{seconds:.6f}", encoding="ascii")
    temporary.rename(folder)
