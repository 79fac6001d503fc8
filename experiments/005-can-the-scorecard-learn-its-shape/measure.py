"""Compare cards and logistic regression on every fold, optbinning's scores beside them.

Usage: python measure.py SPEC WAREHOUSE FOLDS FOLDER [AS_OF], after the two other scripts.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from whyrank.cli.options import open_both
from whyrank.evaluation.comparison import compare
from whyrank.evaluation.fold_scores import FoldScores
from whyrank.pipeline.backtest import plan_backtest
from whyrank.pipeline.calibrate_shape import shape_card
from whyrank.scoring.shape_fit import Limits
from whyrank.training.datasets import read_labelled, stack, user_codes
from whyrank.training.shape_proposal import SHAPED, raw_scores_beside


def main(spec_name: str, url: str, folds: int, folder: Path, as_of: date | None) -> None:
    """Print ROC AUC by test, and mean differences to the scorecard and to optbinning's."""
    spec, warehouse = open_both(spec_name, url)
    backtest = plan_backtest(spec, warehouse, as_of=as_of, folds=folds)
    tests, raw_scores = [], []
    for fold in backtest.folds:
        parts = [read_labelled(spec, backtest, day) for day in fold.train]
        test = read_labelled(spec, backtest, fold.cutoff)
        made = shape_card(spec, backtest.plan.numeric, parts, Limits(), seed=0)
        found = raw_scores_beside(spec, backtest, stack(parts), made, test.table)
        found["optbinning"] = pd.read_parquet(folder / f"{fold.cutoff}-optbinning.parquet")[
            "score"
        ].to_numpy()
        tests.append(test)
        raw_scores.append(found)
        kept = ", ".join(f"{term.name} {term.points:g}" for term in made.card.terms)
        print(f"{fold.cutoff}: {len(made.card.terms)} terms: {kept}")
    users = user_codes([test.table.user_ids for test in tests])
    scores = [
        FoldScores(str(test.as_of), who, test.labels, said, {}, dict.fromkeys(said))
        for test, who, said in zip(tests, users, raw_scores, strict=True)
    ]
    for reference in ("scorecard", "optbinning"):
        result = compare(scores, reference=reference, rng=np.random.default_rng(0))
        for name in raw_scores[0]:
            by_fold = " ".join(
                f"{result.fold_values[t][name]['roc_auc']:.4f}" for t in result.fold_names
            )
            change = (
                ""
                if name == reference
                else result.difference("pooled", "roc_auc", name, reference).numbers()
            )
            print(f"{name:<11} {by_fold}  mean {result.pooled[name]['roc_auc']}  {change}")
        if reference == "scorecard":
            gap, gained = (
                result.difference("pooled", "roc_auc", name, "scorecard").value
                for name in ("logistic", SHAPED)
            )
            print(f"shaped gains {gained:+.4f}, logistic {gap:+.4f}")


if __name__ == "__main__":
    name, url, folds, folder, *rest = sys.argv[1:]
    main(name, url, int(folds), Path(folder), date.fromisoformat(rest[0]) if rest else None)
