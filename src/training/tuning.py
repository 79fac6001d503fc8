"""Tune candidates on the folds before the last one, never on the last one itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..evaluation.folds import Fold
from ..evaluation.ranking_metrics import roc_auc
from ..models.candidates import Trainer
from ..models.catalogue import BLEND, MEMBERS, kind_of
from ..models.tuning import TUNED, tune
from ..spec.model import Spec
from ..types import Log
from .cache_key import run_key
from .datasets import Backtest, read_labelled, stack

Params = Mapping[str, Any]
TRIALS = "tuning.db"  # in the folder of a spec's trainings


def tuned_params(
    spec: Spec,
    backtest: Backtest,
    candidates: Sequence[str],
    *,
    trials: int,
    folder: Path,
    log: Log,
    progress: Callable[[int, int], None],
) -> dict[str, dict[str, Any]]:
    """Return better parameters for the candidates that have a search, by name.

    trials: of each kind of model; 0 leaves the defaults. Raises DataError when there is only one
    fold, and so nothing but the last test to tune on.
    """
    if trials == 0:
        return {}
    earlier = backtest.all_folds()[:-1]
    if not earlier:
        raise DataError(
            "tuning needs a fold before the last one, and the log reaches back for one only: "
            "leave --tune out, or load older events"
        )
    studies = search_names(backtest, candidates)
    evaluators = [_FoldEvaluator(spec, backtest, fold) for fold in earlier]
    found: dict[str, dict[str, Any]] = {}
    for kind, study in studies.items():
        log(f"tuning {kind}")
        objectives = [evaluator.objective(kind) for evaluator in evaluators]
        best = tune(
            kind, objectives,
            trials=trials, seed=backtest.plan.about.seed, store=folder / TRIALS,
            study=study, progress=progress,
        )  # fmt: skip
        found |= {name: best for name in candidates if kind_of(name) == kind}
    if found and BLEND in candidates:
        found[BLEND] = {name: found[name] for name in MEMBERS if name in found}
    return found


def search_names(backtest: Backtest, candidates: Sequence[str]) -> dict[str, str]:
    """Return the names of the searches by kind of model, for the kinds that are tuned."""
    kinds = [kind for kind in TUNED if any(kind_of(c) == kind for c in candidates)]
    key = run_key(backtest, kinds, {})
    return {kind: f"{key}-{kind}" for kind in kinds}


class _FoldEvaluator:
    """Evaluates parameters on one fold, whose training data are read once."""

    def __init__(self, spec: Spec, backtest: Backtest, fold: Fold) -> None:
        parts = [read_labelled(spec, backtest, day) for day in fold.train]
        self._trainer = Trainer(backtest.plan, stack(parts))
        self._test = read_labelled(spec, backtest, fold.cutoff)

    def objective(self, kind: str) -> Callable[[dict[str, Any]], float]:
        """Return the function from parameters of a kind to the ROC AUC on this fold."""

        def roc_auc_of(params: dict[str, Any]) -> float:
            raw_score = self._trainer.fit(kind, params).raw_score(self._test.table)
            return roc_auc(raw_score, self._test.labels)

        return roc_auc_of
