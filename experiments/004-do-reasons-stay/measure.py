"""How far reasons stay when values are nudged, on generated worlds.

    python experiments/004-do-reasons-stay/measure.py FOLDER

A world of 4,000 users per seed, kept in FOLDER; the candidates of the last test are fitted as
`whyrank train` fits them, and the 200 users that each ranks best are explained.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from whyrank.models.candidates import Trainer
from whyrank.models.explain import explain_rows
from whyrank.models.learned import LearnedScorer
from whyrank.models.stability import MAX_SIGN_FLIPS, sign_flip_rates, stability
from whyrank.pipeline.backtest import plan_backtest
from whyrank.pipeline.build import build
from whyrank.pipeline.generate import generate
from whyrank.pipeline.ingest import ingest
from whyrank.spec.load import load_spec
from whyrank.spec.model import Spec
from whyrank.training.datasets import Labelled, read_labelled, stack
from whyrank.warehouse.open import open_warehouse

SEEDS = (1, 2, 3, 4, 5)
USERS, DAYS, BEST = 4000, 150, 200
CANDIDATES = ("logistic", "xgboost", "lightgbm")
# The boosters' parameters until more and smaller steps were chosen on Olist.
BEFORE = {
    "xgboost": {
        "n_estimators": 200, "max_depth": 3, "learning_rate": 0.03, "subsample": 0.7,
        "colsample_bytree": 0.5, "min_child_weight": 20.0, "reg_lambda": 10.0,
    },
    "lightgbm": {
        "n_estimators": 200, "learning_rate": 0.03, "num_leaves": 8, "min_child_samples": 200,
        "subsample": 0.7, "subsample_freq": 1, "colsample_bytree": 0.5, "reg_lambda": 10.0,
    },
}  # fmt: skip


def trained(spec: Spec, folder: Path, seed: int) -> tuple[Trainer, Labelled]:
    """Generate and build a world; return what fits its candidates, and its test."""
    folder.mkdir(parents=True, exist_ok=True)
    warehouse = open_warehouse(f"duckdb:///{folder / 'w.duckdb'}")
    made = generate(spec, folder / "events.parquet", users=USERS, seed=seed, days=DAYS)
    ingest(spec, warehouse, events=made.events, users=made.users)
    build(spec, warehouse)
    backtest = plan_backtest(spec, warehouse, folds=1)
    fold = backtest.folds[-1]
    data = stack([read_labelled(spec, backtest, day) for day in fold.train])
    return Trainer(backtest.plan, data), read_labelled(spec, backtest, fold.cutoff)


def figures(spec: Spec, scorer: LearnedScorer, test: Labelled) -> dict[str, float]:
    """Return what is told of one scorer, on the users it ranks best."""
    order = np.argsort(-scorer.raw_score(test.table), kind="stable")
    best = test.table.take(order[:BEST])
    groups = spec.training.groups
    found, explained = stability(scorer, best), explain_rows(scorer, best, groups)
    turns = sign_flip_rates(scorer, best, groups, rng=np.random.default_rng(1))
    return {
        "kept": float(found.kept.mean()),
        "another": float(found.by_chance.mean()),
        "told and turned": float((turns * explained.stable).mean()),
        "fewest told": float(explained.stable.sum(axis=1).min()),
    }


def lines(folder: Path) -> Iterator[str]:
    """Yield a line per world, scorer and parameters, then the means."""
    spec = load_spec("saas")
    yield "seed  parameters  scorer     kept  another's  told and turned  fewest told"
    all_kept: dict[tuple[str, str], list[float]] = {}
    for seed in SEEDS:
        trainer, test = trained(spec, folder / str(seed), seed)
        for when, params in (("now", {}), ("before", BEFORE)):
            for name in CANDIDATES if when == "now" else BEFORE:
                found = figures(spec, trainer.fit(name, params.get(name)), test)
                all_kept.setdefault((when, name), []).append(found["kept"])
                yield (
                    f"{seed:>4}  {when:<10}  {name:<8}  {found['kept']:.1%}  "
                    f"{found['another']:>9.1%}  {found['told and turned']:>15.3%}  "
                    f"{found['fewest told']:>11.0f}"
                )
    for (when, name), kept in all_kept.items():
        yield f"mean  {when:<10}  {name:<8}  {np.mean(kept):.1%}"
    for name in BEFORE:
        less = np.subtract(all_kept["now", name], all_kept["before", name])
        error = less.std(ddof=1) / np.sqrt(len(less))
        yield f"{name}: now minus before {less.mean():+.1%}, standard error {error:.1%}"
    yield f"told and turned can be at most {MAX_SIGN_FLIPS:.1%}, whatever the scorer"


def main(arguments: Sequence[str]) -> None:
    """Print everything."""
    for line in lines(Path(arguments[0])):
        print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
