"""Fit every candidate on every fold. Each fit is saved, so that a killed run resumes."""

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
from .calibration import CalibrationSet, concatenate, raw_scores_of
from .datasets import Backtest, Labelled, read_labelled, split_users, stack, user_codes

_SECONDS = "fit_seconds.txt"


class Fitter(Protocol):
    """Fits candidates on one set of training snapshots, like `models.candidates.Trainer`."""

    def fit(self, name: str, params: Mapping[str, Any] | None = None) -> LearnedScorer:
        """Fit a candidate. Its calibrator is the identity until it is calibrated."""
        ...


class TrainingBackend(Protocol):
    """Where candidates are fitted: in this process or on a cluster."""

    def trainer(
        self, fold: Fold, half: int | None, read: Callable[[], Sequence[Labelled]]
    ) -> Fitter:
        """Return a fitter for a fold's training snapshots.

        Args:
            fold: The fold.
            half: The half of the users to fit on, 0 or 1; all users when None.
            read: Reads those snapshots into this process.
        """
        ...

    def halves(
        self, parts: Sequence[Labelled]
    ) -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
        """Split snapshots into two halves of the users."""
        ...


@dataclass(frozen=True)
class LocalBackend:
    """Fits candidates in this process."""

    plan: FitSpec

    def trainer(
        self, fold: Fold, half: int | None, read: Callable[[], Sequence[Labelled]]
    ) -> Fitter:
        """Return a trainer on the snapshots that `read` returns."""
        del fold, half
        return Trainer(self.plan, stack(read()))

    def halves(
        self, parts: Sequence[Labelled]
    ) -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
        """Split snapshots into two halves of the users, with as many conversions in each."""
        return split_users(parts, seed=self.plan.about.seed)


@dataclass(frozen=True)
class FoldFit:
    """A fitted fold.

    Attributes:
        fold: The fold.
        part: Its users as of the cutoff, and their outcomes.
        scorers: The learned scorers fitted on its training snapshots.
        raw_scores: All scorers' raw scores of those users.
    """

    fold: Fold
    part: Labelled
    scorers: Mapping[str, LearnedScorer]
    raw_scores: Mapping[str, Floats]


@dataclass(frozen=True)
class Fits:
    """All folds, fitted and calibrated.

    Attributes:
        scores: What a comparison needs of each backtest fold.
        parts: The backtest folds' users and outcomes.
        by_fold: Every fold's scorers, the calibration fold first. Those of backtest folds are
            calibrated.
        own: Every fold's calibrators on its own outcomes, which are known one horizon after its
            cutoff.
        scorers: The last fold's scorers, calibrated.
        calibrators: The last fold's calibrators.
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
    backend: TrainingBackend | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Fits:
    """Fit candidates on each fold and calibrate them on the outcomes of the fold before.

    Without a calibration fold, the first fold is cross-fitted on halves of its users to calibrate
    it. A candidate that cannot learn from some fold's data is left out of all folds.

    Args:
        spec: The spec.
        backtest: The folds and the data.
        candidates: The candidates to fit.
        params: Parameters by candidate, if they were tuned.
        folder: Where every fit is saved as soon as it is done.
        log: Called with each fit, and with why a candidate is left out.
        backend: Where candidates are fitted; in this process when None.
        progress: Called with the number of fits done and their total.

    Raises:
        DataError: There is only one class, or no candidate is left.
    """
    halves = 0 if backtest.calibration_fold else 2
    rounds = len(backtest.all_folds()) + halves
    work = _FoldFitter(
        spec, backtest, candidates, params, folder, log, backend or LocalBackend(backtest.plan),
        _Progress(rounds * len(candidates), progress),
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
            params=params, folder=folder, log=log, backend=backend, progress=progress,
        )  # fmt: skip


def _fit_folds(work: _FoldFitter) -> Fits:
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
            held_out = work.halves(fit) if before is None else _held_out(spec, before, fit)
            calibrators = held_out.calibrators(fit.raw_scores)
            scorers = {n: replace(s, calibrator=calibrators[n]) for n, s in scorers.items()}
            scores.append(_fold_scores(fit, held_out, calibrators, next(codes), spec))
        by_fold.append(scorers)
        own.append({n: fit_calibrator(m, fit.part.labels) for n, m in fit.raw_scores.items()})
        before = fit
    bands = _bands(spec, read_labelled(spec, backtest, backtest.folds[-1].train[-1]))
    scorers = {name: replace(scorer, band_edges=bands) for name, scorer in by_fold[-1].items()}
    parts = tuple(fit.part for fit in tests)
    return Fits(tuple(scores), parts, tuple(by_fold), tuple(own), scorers, calibrators)


def _held_out(spec: Spec, before: FoldFit, fit: FoldFit) -> CalibrationSet:
    """Return the calibration set of a fold: the outcomes of the fold before."""
    later = raw_scores_of(spec, before.scorers, fit.part.table)
    return CalibrationSet(before.raw_scores, before.part.labels, later)


def _fold_scores(
    fit: FoldFit,
    held_out: CalibrationSet,
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
        thresholds=held_out.thresholds(fit.raw_scores, spec.training.capacity),
    )


@dataclass
class _Progress:
    """Counts the fits that are done, including those saved by an earlier run."""

    total: int
    progress: Callable[[int, int], None]
    done: int = 0

    def show(self) -> None:
        """Report the count."""
        self.progress(self.done, self.total)


@dataclass(frozen=True)
class _FoldFitter:
    """Fits the candidates of a fold, and saves each fit as soon as it is done."""

    spec: Spec
    backtest: Backtest
    candidates: Sequence[str]
    params: Mapping[str, Mapping[str, Any]]
    folder: Path
    log: Log
    backend: TrainingBackend
    count: _Progress

    def fold(self, fold: Fold) -> FoldFit:
        """Fit candidates on a fold's training snapshots, and score its users as of the cutoff."""
        part = read_labelled(self.spec, self.backtest, fold.cutoff)
        scorers = self._fitted(fold, lambda: self._read(fold))
        return FoldFit(fold, part, scorers, raw_scores_of(self.spec, scorers, part.table))

    def halves(self, fit: FoldFit) -> CalibrationSet:
        """Return a calibration set by cross-fitting on two halves of the users.

        It is for a fold without one before it. No training outcome is known early enough to be held
        out by date, so outcomes are held out by user.
        """
        self.log(f"fold {fit.fold.cutoff}: no fold before it; calibrating on halves of the users")
        halves = self.backend.halves(self._read(fit.fold))
        held_out = []
        for place, (rest, held) in enumerate((halves, halves[::-1])):
            scorers = self._fitted(fit.fold, partial(tuple, rest), place)
            held_out.append(
                CalibrationSet(
                    raw_scores_of(self.spec, scorers, held[-1].table),
                    held[-1].labels,
                    raw_scores_of(self.spec, scorers, fit.part.table),
                )
            )
        return concatenate(held_out)

    def _read(self, fold: Fold) -> list[Labelled]:
        return [read_labelled(self.spec, self.backtest, day) for day in fold.train]

    def _fitted(
        self, fold: Fold, read: Callable[[], Sequence[Labelled]], half: int | None = None
    ) -> dict[str, LearnedScorer]:
        """Load the fits that are saved, and fit the others.

        Data are read only if something is fitted. Fits that cannot be saved are repeated in the
        next run.
        """
        part = "" if half is None else f"half-{half}"
        home = self.folder / f"test-{fold.cutoff.isoformat()}" / part
        trainer: Fitter | None = None
        scorers: dict[str, LearnedScorer] = {}
        for name in self.candidates:
            kept = home / name
            if not kept.exists():
                trainer = trainer or self.backend.trainer(fold, half, read)
                self.log(f"fold {fold.cutoff}: fitting {name}{part and f' on {part}'}")
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
    """Return the percentiles that label as many users medium and high as the scorecard does."""
    hundredths = Scorecard(spec.scorecard).score_hundredths(part.table)
    codes = band_codes(hundredths, spec.bands)
    return float(100 * (codes < 1).mean()), float(100 * (codes < len(LABELS) - 1).mean())


def fit_seconds(folder: Path, fold: Fold, name: str) -> float | None:
    """Return the duration of a candidate's saved fit on a fold, in seconds; None if none is saved.

    Work that the candidates of a fold share, such as the target encoding, counts for the first one.

    Args:
        folder: The folder in which `fit_folds` saved its fits.
        fold: The fold.
        name: The candidate.
    """
    kept = folder / f"test-{fold.cutoff.isoformat()}" / name / _SECONDS
    return float(kept.read_text(encoding="ascii")) if kept.exists() else None


def _keep(scorer: LearnedScorer, folder: Path, seconds: float) -> None:
    """Save a scorer atomically: write it under a temporary name, then rename it."""
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    scorer.save(temporary)
    (temporary / _SECONDS).write_text(f"{seconds:.6f}", encoding="ascii")
    temporary.rename(folder)
