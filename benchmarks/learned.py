"""python -m benchmarks.learned: explaining the exported users, and scoring a million.

In one process, cases interleaved round by round, medians. The world is the synthetic one of 20,000
users, trained as the product trains; larger populations repeat its users under other ids.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from whyrank.models.candidates import Trainer
from whyrank.models.learned import LearnedScorer
from whyrank.pipeline.backtest import plan_backtest
from whyrank.pipeline.training_world import make_training_world
from whyrank.published.build import Published
from whyrank.published.snapshot import Snapshot
from whyrank.ranking.active_scorer import ActiveScorer
from whyrank.ranking.rank import explain_users, score_users
from whyrank.spec.load import load_spec
from whyrank.spec.model import Spec
from whyrank.training.datasets import read_labelled, stack
from whyrank.warehouse.base import Warehouse
from whyrank.warehouse.open import open_warehouse
from whyrank.warehouse.publish import read_published

TREES = 300
EXPORTED = 1_000
SMALL, LARGE = 10_000, 1_000_000


def trained(folder: Path) -> tuple[Spec, Warehouse, LearnedScorer]:
    """Generate and build a world; train XGBoost with 300 trees as the product would."""
    spec = load_spec("saas")
    warehouse = open_warehouse(f"duckdb:///{folder / 'w.duckdb'}")
    make_training_world(spec, warehouse)
    backtest = plan_backtest(spec, warehouse, folds=1)
    data = stack([read_labelled(spec, backtest, day) for day in backtest.folds[-1].train])
    scorer = Trainer(backtest.plan, data).fit("xgboost", {"n_estimators": TREES})
    return spec, warehouse, scorer


def population(published: Published, scorer: LearnedScorer, spec: Spec, users: int) -> Snapshot:
    """Return the latest snapshot's users over and over, under ids of their own."""
    terms = tuple(term.feature for term in spec.scorecard.terms)
    names = tuple(dict.fromkeys((*scorer.features, *terms, *(f.name for f in spec.features))))
    one = Snapshot.read(published.snapshot(None), names, population_only=False)
    rows = np.arange(users) % len(one)
    table = one.take(rows)._table  # noqa: SLF001 - a benchmark may look inside
    ids = pa.array([f"u{number:08d}" for number in range(users)])
    table = table.set_column(table.schema.get_field_index("user_id"), "user_id", ids)
    return Snapshot(table.combine_chunks())


def interleaved(cases: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run every case once a round, in turn, after one round that does not count."""
    seen: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, case in cases.items():
            start = time.perf_counter()
            case()
            if number:
                seen[name].append(time.perf_counter() - start)
    return seen


def report(title: str, seen: Mapping[str, list[float]]) -> None:
    """Print medians, with the lowest and the highest."""
    print(f"\n{title}")
    for name, times in seen.items():
        middle = statistics.median(times)
        print(f"  {name:<44} {middle:7.3f} s [{min(times):.3f}, {max(times):.3f}]")


def main() -> None:
    """Measure both, and print the ratios that count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="whyrank-bench-") as temporary:
        spec, warehouse, scorer = trained(Path(temporary))
        published = read_published(warehouse, spec.name)
        bench_explaining(spec, published, scorer, rounds)
        bench_scoring(spec, published, scorer, rounds)


def bench_explaining(spec: Spec, published: Published, scorer: LearnedScorer, rounds: int) -> None:
    """The accounts of the top 1,000, from populations of 10 thousand and 1 million."""
    active = ActiveScorer(scorer)
    cases = {}
    for users in (SMALL, LARGE):
        scored = score_users(spec, population(published, scorer, spec, users), active)
        rows, ranks = scored.order()[:EXPORTED], range(1, EXPORTED + 1)
        cases[f"explain {EXPORTED:,} of {users:,}"] = partial(
            explain_users, spec, scored, rows, ranks
        )
    seen = interleaved(cases, rounds)
    report(f"explaining {EXPORTED:,} users, {TREES} trees, medians of {rounds}", seen)
    small, large = (statistics.median(times) for times in seen.values())
    print(f"  at {LARGE:,} / at {SMALL:,}: {large / small:.2f}")


def bench_scoring(spec: Spec, published: Published, scorer: LearnedScorer, rounds: int) -> None:
    """Scores, probabilities, bands of a million users, against the library's call on a matrix."""
    table = population(published, scorer, spec, LARGE)
    matrix = scorer.encoding.matrix(table)
    booster = scorer.model.booster  # type: ignore[attr-defined] # it is XGBoost's

    def bare() -> object:
        return booster.inplace_predict(matrix, predict_type="margin", validate_features=False)

    def whole() -> object:
        raw_score = scorer.raw_score(table)
        score, probability = scorer.score_of(raw_score), scorer.calibrator.probability(raw_score)
        return score, probability, scorer.bands_of(raw_score)

    seen = interleaved({"inplace_predict on a ready matrix": bare, "whyrank": whole}, rounds)
    report(f"scoring {LARGE:,} users, {TREES} trees, medians of {rounds}", seen)
    library, ours = (statistics.median(times) for times in seen.values())
    print(f"  whyrank / library: {ours / library:.2f} (at most 1.5)")


if __name__ == "__main__":
    main()
