"""calibrate --shape: propose other terms, shapes and bands of the scorecard, and measure them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np

from ..evaluation.comparison import compare
from ..files import atomic_write
from ..ranking.active_scorer import SCORECARD
from ..scoring.shape_fit import Limits
from ..scoring.shaped_card import in_bands, shape_card
from ..spec.load import spec_text
from ..spec.model import Spec
from ..spec.rewrite import with_scorecard
from ..training.checks import LEVEL, MOST_TERMS, N_BOOT, check_calibration, check_shape
from ..training.datasets import read_labelled, stack
from ..training.shape_proposal import ShapeProposal, diff_lines, fold_scores, raw_scores_beside
from ..types import Log
from ..warehouse.base import Warehouse
from .backtest import plan_backtest


def calibrate_shape(
    spec: Spec,
    warehouse: Warehouse,
    *,
    source: str | Path,
    limits: Limits | None = None,
    as_of: date | None = None,
    horizon: str | None = None,
    folds: int = 1,
    apply_to: Path | None = None,
    n_boot: int = N_BOOT,
    level: float = LEVEL,
    seed: int = 0,
    log: Log = lambda _: None,
) -> ShapeProposal:
    """Propose terms, shapes, whole points and bands learnt before a date, and rank that date.

    source: the spec's name or file, whose text is rewritten. folds: tests a horizon apart, the last
    as of `as_of`; each has a shape of its own, learnt from its own training snapshots, and the last
    one's is proposed. apply_to: a new file for the spec; nothing is written when None, and no file
    is ever replaced. n_boot: bootstrap replicates over users. level: of all intervals.

    Raises UsageError for limits that cannot be kept or a file that exists already.
    """
    limits = limits or Limits(MOST_TERMS)
    check_calibration(
        spec, against="outcome", apply_to=apply_to, horizon=horizon, n_boot=n_boot, level=level
    )
    check_shape(spec, against="outcome", terms=limits.terms, pinned=limits.pinned)
    backtest = plan_backtest(
        spec, warehouse, as_of=as_of, horizon=horizon, folds=folds, seed=seed, log=log
    )
    tests, raw_scores, made = [], [], None
    for fold in backtest.folds:
        test = read_labelled(spec, backtest, fold.cutoff)
        log(f"test {fold.cutoff}: shaping the scorecard")
        data = stack([read_labelled(spec, backtest, day) for day in fold.train])
        made = shape_card(spec, backtest.plan.numeric, data.rows(), limits, seed=seed, level=level)
        raw_scores.append(raw_scores_beside(spec, backtest, data, made, test.table))
        tests.append(test)
    assert made is not None  # noqa: S101 - there is a fold, or plan_backtest has raised
    before = spec_text(source)
    after = with_scorecard(before, made.card, made.bands, made.spec(spec).version)
    diff = diff_lines(before.splitlines(), after.splitlines(), str(source))
    if apply_to is not None:
        with atomic_write(apply_to) as temporary:
            temporary.write_text(after, encoding="utf-8", newline="")
    rng = np.random.default_rng(seed)
    return ShapeProposal(
        made,
        compare(
            fold_scores(tests, raw_scores), reference=SCORECARD, capacity=spec.training.capacity,
            n_boot=n_boot, level=level, rng=rng,
        ),
        (
            in_bands(spec.scorecard, spec.bands, tests[-1].table),
            in_bands(made.card, made.bands, tests[-1].table),
        ),
        spec, backtest.folds[-1].train, diff, after, apply_to, backtest.published, tests[-1].table,
        backtest.published.info.sample,
    )  # fmt: skip
