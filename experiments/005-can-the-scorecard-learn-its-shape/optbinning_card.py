"""Fit optbinning's scorecard on the snapshots that snapshots.py wrote; write its scores of tests.

Runs in an environment of its own, with optbinning, pandas and pyarrow.

Usage: python optbinning_card.py FOLDER
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pandas as pd
from optbinning import BinningProcess, Scorecard
from sklearn.linear_model import LogisticRegression

FOLDER = Path(sys.argv[1])
for path in sorted(FOLDER.glob("*-train.parquet")):
    train, test = pd.read_parquet(path), pd.read_parquet(str(path).replace("-train", "-test"))
    names = [name for name in train.columns if name != "converted"]
    texts = [name for name in names if train[name].dtype == object]
    started = time.perf_counter()
    card = Scorecard(
        binning_process=BinningProcess(names, categorical_variables=texts),
        estimator=LogisticRegression(max_iter=1000),
        scaling_method="min_max",
        scaling_method_params={"min": 0, "max": 100},
    ).fit(train[names], train["converted"].astype(int))
    # A high score is a low risk there, and the event is the risk.
    scores = pd.DataFrame({"score": -card.score(test[names])})
    scores.to_parquet(str(path).replace("-train", "-optbinning"))
    points = card.table(style="summary")
    print(
        f"{path.name[:10]}: {len(train):,} rows, {time.perf_counter() - started:.0f} s, "
        f"{points['Variable'].nunique()} terms, {len(points)} bins"
    )
