"""Expected spend on every fold: fitted, recalibrated on the test before, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from ..evaluation.spend import SpendReport, spend_report
from ..models.candidates import Trainer
from ..models.catalogue import MEMBERS
from ..models.learned import LearnedScorer
from ..models.spend import SpendScorer
from ..models.spend_fits import fit_spend, select_spend_method, spend_methods_of
from ..spec.model import Spec
from ..stats.platt import Calibrator
from ..types import Log
from .datasets import Backtest, Labelled, read_labelled, stack
from .fitting import Fits


@dataclass(frozen=True)
class SpendFits:
    """The fitted spend models.

    Attributes:
        reports: Evaluations by fold and method.
        selected: The selected spend model, fitted on the last fold.
        level: The confidence level of the reports' intervals.
    """

    reports: Mapping[str, Mapping[str, SpendReport]]
    selected: SpendScorer
    level: float

    def to_dict(self) -> dict[str, Any]:
        """Return the reports as JSON can hold them."""
        reports = {
            test: {name: asdict(report) for name, report in found.items()}
            for test, found in self.reports.items()
        }
        return {"selected": self.selected.name, "level": self.level, "reports": reports}


def fit_spend_folds(
    spec: Spec, backtest: Backtest, fits: Fits, *, n_boot: int, level: float, log: Log
) -> SpendFits | None:
    """Fit every spend model on every fold; return None if outcomes carry no value.

    A fold's expected totals are recalibrated on the fold before, whose outcomes are known by then.
    The model is selected by its mean Gini on the folds before the last.
    """
    bought = spec.training.purchases
    members = [name for name in MEMBERS if name in fits.scorers]
    if bought is None or bought.value is None or not members:
        return None
    if not any((part.spend > 0).any() for part in fits.parts):
        return None
    reports: dict[str, dict[str, SpendReport]] = {}
    before: _Before | None = None
    refunded: set[date] = set()
    scorers: dict[str, SpendScorer] = {}
    for fold, fitted, own in zip(backtest.all_folds(), fits.by_fold, fits.own, strict=True):
        log(f"fold {fold.cutoff}: spend models")
        parts = [read_labelled(spec, backtest, day) for day in (*fold.train, fold.cutoff)]
        for part in parts:
            if part.refunded and part.as_of not in refunded:
                refunded.add(part.as_of)  # a date may be in several folds
                log(
                    f"as of {part.as_of}: the refunds of {part.refunded:,} users exceed their "
                    "purchases within the horizon; their spend counts as 0"
                )
        *past, test = parts
        probabilities = tuple(fitted[name] for name in members)
        raw = _fit_fold(backtest, past, probabilities, bought.value)
        scorers = _recalibrated(raw, before)
        if fold in backtest.folds and (test.spend > 0).any():
            reports[fold.cutoff.isoformat()] = {
                name: spend_report(
                    scorer.expected(test.table),
                    test.spend,
                    rng=np.random.default_rng(backtest.plan.about.seed),
                    n_boot=n_boot,
                    level=level,
                )
                for name, scorer in scorers.items()
            }
        before = _Before(raw, test, own)
    folds = list(reports)
    earlier = folds[:-1] or folds
    ginis = [(n, float(np.mean([reports[t][n].gini for t in earlier]))) for n in scorers]
    return SpendFits(reports, scorers[select_spend_method(ginis)], level)


@dataclass(frozen=True)
class _Before:
    """The fold before: its spend models, its outcomes and its calibrators on them."""

    scorers: Mapping[str, SpendScorer]
    test: Labelled
    own: Mapping[str, Calibrator]


def _recalibrated(raw: Mapping[str, SpendScorer], before: _Before | None) -> dict[str, SpendScorer]:
    """Rescale totals by the expected and the actual spend on the fold before.

    The hurdle's probabilities are calibrated on that fold already. So its expectation there uses
    that fold's own calibrators; otherwise the drift of the base rate would be corrected twice.
    """
    if before is None:
        return dict(raw)
    found = {}
    for name, scorer in raw.items():
        past = before.scorers[name]
        if past.probabilities:
            probabilities = (
                replace(was, calibrator=before.own[was.name]) for was in past.probabilities
            )
            past = replace(past, probabilities=tuple(probabilities))
        found[name] = scorer.recalibrated(past.expected(before.test.table), before.test.spend)
    return found


def _fit_fold(
    backtest: Backtest,
    parts: Sequence[Labelled],
    probabilities: tuple[LearnedScorer, ...],
    value: str,
) -> dict[str, SpendScorer]:
    data = stack(parts)
    spend = np.concatenate([part.spend for part in parts])
    trainer = Trainer(backtest.plan, data)
    return {
        name: fit_spend(
            name,
            backtest.plan,
            data,
            spend,
            trainer=trainer,
            probabilities=probabilities,
            value=value,
        )
        for name in spend_methods_of(backtest.plan)
    }
