"""calibrate: propose points for the scorecard from data, and write a new spec only when asked."""

from __future__ import annotations

import difflib
from datetime import date
from pathlib import Path

from scipy.stats import spearmanr

from ..files import atomic_write
from ..ranking.active_scorer import SCORECARD
from ..scoring.calibration import (
    Against,
    term_shares,
)
from ..scoring.scorecard import Scorecard
from ..spec.load import spec_text
from ..spec.model import Spec
from ..spec.rewrite import with_scorecard
from ..training.checks import LEVEL, N_BOOT, check_calibration
from ..training.datasets import read_labelled
from ..training.points_calibration import (
    CALIBRATED,
    MODEL,
    UNROUNDED,
    Calibration,
    Rounding,
    compare_cards,
    learn_points,
)
from ..types import Log
from ..warehouse.base import Warehouse
from .backtest import plan_backtest


def calibrate(
    spec: Spec,
    warehouse: Warehouse,
    *,
    source: str | Path,
    against: str = "outcome",
    as_of: date | None = None,
    horizon: str | None = None,
    apply_to: Path | None = None,
    n_boot: int = N_BOOT,
    level: float = LEVEL,
    seed: int = 0,
    log: Log = lambda _: None,
) -> Calibration:
    """Propose whole points learnt before a date, and rank that date with old and new ones.

    source: the spec's name or file, whose text is rewritten. against: outcome (a logistic fit of
    the scorecard's own terms, their signs kept) or importance (XGBoost's mean |SHAP| of the same
    terms). apply_to: a new file for the calibrated spec; nothing is written when None, and no file
    is ever replaced. n_boot: bootstrap replicates over users. level: of all intervals.

    Raises UsageError for another `against`, a file that exists already, or a level that so few
    replicates cannot tell.
    """
    check_calibration(
        spec, against=against, apply_to=apply_to, horizon=horizon, n_boot=n_boot, level=level
    )
    backtest = plan_backtest(
        spec, warehouse, as_of=as_of, horizon=horizon, folds=1, seed=seed, log=log
    )
    fold = backtest.folds[-1]
    train = [read_labelled(spec, backtest, day) for day in fold.train]
    test = read_labelled(spec, backtest, fold.cutoff)
    log("calibrating")
    kind: Against = "outcome" if against == "outcome" else "importance"
    found, model = learn_points(spec, train, kind, seed, level)
    raw_scores = {
        SCORECARD: Scorecard(spec.scorecard).score(test.table),
        CALIBRATED: Scorecard(found.proposed).score(test.table),
        MODEL: model.decision_function(term_shares(spec.scorecard, test.table)),
    }
    settings = {"n_boot": n_boot, "level": level, "seed": seed, "capacity": spec.training.capacity}
    comparison = compare_cards(raw_scores, test, SCORECARD, **settings)  # type: ignore[arg-type]
    real = {
        CALIBRATED: raw_scores[CALIBRATED],
        UNROUNDED: Scorecard(found.unrounded).score(test.table),
    }
    rounding = Rounding(
        float(spearmanr(real[CALIBRATED], real[UNROUNDED]).statistic),
        compare_cards(real, test, UNROUNDED, **settings),  # type: ignore[arg-type]
    )
    before = spec_text(source)
    after = with_scorecard(before, found.proposed, spec.bands, f"{spec.version}-calibrated")
    diff = difflib.unified_diff(
        before.splitlines(), after.splitlines(), str(source), "calibrated", lineterm="", n=0
    )
    if apply_to is not None:
        with atomic_write(apply_to) as temporary:
            temporary.write_text(after, encoding="utf-8", newline="")
    return Calibration(
        found, comparison, rounding, fold.train, tuple(diff), after, apply_to,
        backtest.published.info.sample, raw_scores, test, backtest.published,
    )  # fmt: skip
