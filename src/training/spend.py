"""Expected spend on every fold: fitted, recalibrated on the test before, measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..evaluation.folds import Fold
from ..evaluation.spend import SpendReport, spend_report
from ..models.candidates import Trainer
from ..models.catalogue import MEMBERS
from ..models.learned import LearnedScorer
from ..models.spend import SpendScorer
from ..models.spend_fits import choose_spender, fit_spend, spenders_of
from ..spec.model import Spec
from ..stats.platt import Calibrator
from ..types import Say
from .datasets import Course, Labelled, read_labelled, stack
from .fitting import Fits


@dataclass(frozen=True)
class SpendFits:
    """What was found of spend: reports by test and way, and the chosen way, ready to be used.

    level: of the reports' intervals.
    """

    reports: Mapping[str, Mapping[str, SpendReport]]
    chosen: SpendScorer
    level: float

    def to_dict(self) -> dict[str, Any]:
        """Return the reports as JSON can hold them."""
        reports = {
            test: {name: asdict(report) for name, report in found.items()}
            for test, found in self.reports.items()
        }
        return {"chosen": self.chosen.name, "level": self.level, "reports": reports}


def fit_spend_folds(
    spec: Spec, course: Course, fits: Fits, *, n_boot: int, level: float, say: Say
) -> SpendFits | None:
    """Fit every way to expect spend on every fold; None where outcomes carry no value.

    A fold's totals are set right on the test before it, whose outcomes are all known by then. The
    way to use is chosen by the Gini on the tests before the last.
    """
    bought = spec.training.purchases
    members = [name for name in MEMBERS if name in fits.scorers]
    if bought is None or bought.value is None or not members:
        return None
    if not any((part.spend > 0).any() for part in fits.parts):
        return None
    reports: dict[str, dict[str, SpendReport]] = {}
    before: _Before | None = None
    scorers: dict[str, SpendScorer] = {}
    for fold, fitted, own in zip(course.all_folds(), fits.by_fold, fits.own, strict=True):
        say(f"test {fold.test}: expecting spend")
        test = read_labelled(spec, course, fold.test)
        chances = tuple(fitted[name] for name in members)
        raw = _fit_fold(spec, course, fold, chances, bought.value)
        scorers = _recalibrated(raw, before)
        if fold in course.folds and (test.spend > 0).any():
            reports[fold.test.isoformat()] = {
                name: spend_report(
                    scorer.expected(test.table),
                    test.spend,
                    rng=np.random.default_rng(course.plan.about.seed),
                    n_boot=n_boot,
                    level=level,
                )
                for name, scorer in scorers.items()
            }
        before = _Before(raw, test, own)
    tests = list(reports)
    earlier = tests[:-1] or tests
    ginis = [(n, float(np.mean([reports[t][n].gini for t in earlier]))) for n in scorers]
    return SpendFits(reports, scorers[choose_spender(ginis)], level)


@dataclass(frozen=True)
class _Before:
    """The test before: its fits, what came, and what that makes of its own chances."""

    scorers: Mapping[str, SpendScorer]
    test: Labelled
    own: Mapping[str, Calibrator]


def _recalibrated(raw: Mapping[str, SpendScorer], before: _Before | None) -> dict[str, SpendScorer]:
    """Set totals right by what the fits of the test before expected there, and what came.

    The hurdle's chances are calibrated on that test already, so its expectation there is taken
    with that test's own calibration: else the drift of the base rate would count twice.
    """
    if before is None:
        return dict(raw)
    found = {}
    for name, scorer in raw.items():
        past = before.scorers[name]
        if past.chances:
            chances = (replace(was, calibrator=before.own[was.name]) for was in past.chances)
            past = replace(past, chances=tuple(chances))
        found[name] = scorer.recalibrated(past.expected(before.test.table), before.test.spend)
    return found


def _fit_fold(
    spec: Spec, course: Course, fold: Fold, chances: tuple[LearnedScorer, ...], value: str
) -> dict[str, SpendScorer]:
    parts = [read_labelled(spec, course, day) for day in fold.train]
    data = stack(parts)
    spend = np.concatenate([part.spend for part in parts])
    trainer = Trainer(course.plan, data)
    return {
        name: fit_spend(
            name, course.plan, data, spend, trainer=trainer, chances=chances, value=value
        )
        for name in spenders_of(course.plan)
    }
