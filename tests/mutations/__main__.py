"""Plant a sample of mutants and run the tests; see the package's docstring."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tests import mutations
from tests.planted_faults.__main__ import (
    FAILED,
    NOTHING_RAN,
    PASSED,
    ROOT,
    CannotTellError,
    caught_of,
    check_sound,
    copies,
    end_left,
    log,
    planted,
    run_tests,
    told,
    verdict,
)
from tests.planted_faults.faults import Fault

from .mutants import mutants

SAMPLE: Final = 80
LEAST: Final = 0.95  # of the sample that has to be caught
JOBS: Final = 2  # at a time, each in a copy of its own
PATIENCE: Final = 600.0  # seconds; tests that do not end by then have noticed
_COMPARING: Final = (
    "tests/evaluation/test_differences.py", "tests/evaluation/test_paired_bootstrap.py",
    "tests/evaluation/test_comparison.py",
)  # fmt: skip
_TRAINED: Final = (
    "tests/pipeline/test_compare.py", "tests/tracking/test_scoring_runs.py",
    "tests/training/test_train.py", "tests/e2e/test_learned.py",
)  # fmt: skip
# The decision code, and the tests that are to notice a change of it, the quickest first.
CODE: Final[dict[str, tuple[str, ...]]] = {
    "src/evaluation/thresholds.py": ("tests/evaluation/test_thresholds.py", *_COMPARING),
    "src/evaluation/probability_metrics.py": _COMPARING,
    "src/evaluation/comparison.py": (*_COMPARING, "tests/evaluation/test_truths.py", *_TRAINED),
    "src/evaluation/differences.py": (*_COMPARING, "tests/evaluation/test_thresholds.py"),
    "src/evaluation/folds.py": ("tests/evaluation/test_folds.py",),
    "src/evaluation/ranking_metrics.py": (
        "tests/evaluation/test_ranking_metrics.py", *_COMPARING, "tests/pipeline/test_evaluate.py",
    ),
    "src/evaluation/paired_bootstrap.py": (
        *_COMPARING, "tests/evaluation/test_thresholds.py",
        "tests/evaluation/test_ranking_metrics.py", "tests/evaluation/test_custom_metrics.py",
    ),
    "src/evaluation/leakage_checks.py": (
        "tests/evaluation/test_leakage_checks.py", "tests/training/test_leakage.py",
    ),
    "src/evaluation/spend.py": (
        "tests/evaluation/test_spend.py", "tests/training/test_train_shop.py",
    ),
    "src/pipeline/compare.py": ("tests/evaluation/test_comparison.py", *_TRAINED),
    "src/training/leakage.py": (
        "tests/training/test_sampled.py", "tests/training/test_leakage.py",
        "tests/engines/test_leakage_checks.py",
    ),
    "src/tracking/active_scorer.py": ("tests/ranking/test_champion.py", *_TRAINED),
    "src/scoring/calibration.py": (
        "tests/scoring/test_term_fit.py", "tests/scoring/test_calibration.py",
        "tests/pipeline/test_calibrate.py",
    ),
    "src/scoring/scorecard.py": ("tests/scoring/test_scorecard.py",),
    "src/scoring/term_fit.py": (
        "tests/scoring/test_term_fit.py", "tests/scoring/test_calibration.py",
        "tests/pipeline/test_calibrate.py",
    ),
    "src/stats/bootstrap.py": (*_COMPARING, "tests/evaluation/test_ranking_metrics.py"),
    "src/tracking/registry.py": ("tests/ranking/test_champion.py", *_TRAINED),
}  # fmt: skip

# Mutants that behave as the source does, by line and what is put there, and why.
_START: Final = "where a fit starts, not where it ends"
_SEARCH: Final = "how long a step is shortened: none is, this often"
_SIGN: Final = "points are never 0, so a sign is 1 or -1"
ALIKE: Final[dict[str, dict[tuple[str, str], str]]] = {
    "src/evaluation/probability_metrics.py": {
        (
            "return float(np.round(np.average(np.abs(said - came), weights=size), 15))", "16"
        ): "beyond what a double holds",
    },
    "src/evaluation/paired_bootstrap.py": {
        (
            "means = (self.terms.T @ drawn) / total if self.groups else np.empty((0, 0))", "1"
        ): "a shape that nothing reads",
    },
    "src/evaluation/spend.py": {
        ("spent = actual > 0", "(actual >= 0)"): (
            "who spent nothing may be a cell each: the same draws, only slower"
        ),
        (
            "gini=float(np.round(_gini(expected, actual) / _gini(actual, actual), 12)),", "13"
        ): "rounding that lies between what doubles hold and what is compared",
        ("amount = np.bincount(cell, weights=actual) / np.maximum(sizes, 1)", "2"): (
            "halves what every spender brought, and only shares of it are told"
        ),
        ("values, place = np.unique(-by, return_inverse=True)", "(by)"): (
            "both areas of the ratio turn over"
        ),
    },
    "src/pipeline/compare.py": {
        ("better = against.detected and against.value > 0", "(against.value >= 0)"): (
            "a difference of 0 lies within its interval, and so is none that is detected"
        ),
    },
    "src/tracking/registry.py": {
        ("return False", "return None"): "whoever asks takes neither for whole",
    },
    "src/training/leakage.py": {
        ("counts = found or (0,)", "1"): "an aggregate always has a row: this is for its type",
    },
    "src/scoring/calibration.py": {
        (
            'raise DataError("no whole points within reach total 100; write them by hand")', "pass"
        ): "a guard: each step closes the gap by one, and there are more than it is wide",
        ("wanted = np.where(slope * sign < 0, 0.0, target)", "(slope / sign)"): _SIGN,
        (
            "return [p for p, term in enumerate(spec.terms) "
            "if term.group == name and sign[p] > 0]", "(sign[p] >= 0)",
        ): _SIGN,
        ("if term.group is None and sign[place] > 0", "(sign[place] >= 0)"): _SIGN,
        (
            "place for place, term in enumerate(spec.terms) "
            "if term.group is None and sign[place] > 0", "(sign[place] >= 0)",
        ): _SIGN,
    },
    "src/scoring/term_fit.py": {
        (
            "weights[0] = np.log(labels.mean() / (1 - labels.mean()))",
            "(labels.mean() * (1 - labels.mean()))",
        ): _START,
        (
            "lost = np.logaddexp(0.0, np.where(labels, -raw_score, raw_score)).mean()",
            "np.logaddexp(0.0, np.where(labels, -raw_score, raw_score)).sum()",
        ): _SEARCH,
        (
            "return float(lost + _ridge(len(design)) / 2 * (weights[1:] ** 2).sum())",
            "(lost - _ridge(len(design)) / 2 * (weights[1:] ** 2).sum())",
        ): _SEARCH,
        ("weights[0] = np.log(labels.mean() / (1 - labels.mean()))", "1"): _START,
        ("weights[0] = np.log(labels.mean() / (1 - labels.mean()))", "2"): _START,
        ("while length > 2.0**-40:", "3.0"): _SEARCH,
        ("while length > 2.0**-40:", "41"): _SEARCH,
        ("while length > 2.0**-40:", "(length >= 2.0 ** (-40))"): _SEARCH,
        (
            "flat = curvature <= _FLAT * _ridge(len(design))",
            "(curvature < _FLAT * _ridge(len(design)))",
        ): "no curvature meets the bound exactly",
        ("found: Floats = 1 / (1 + np.exp(-np.clip(raw_score, -500, 500)))", "501"): (
            "nothing of exp(-500) is left beside 1"
        ),
    },
}  # fmt: skip


def sampled(tree: Path, only: Sequence[str], size: int, seed: int) -> tuple[list[Fault], int]:
    """Return a sample of the mutants of the decision code, by file, and how many there are."""
    paths = [path for path in CODE if not only or path.startswith(tuple(only))]
    if not paths:
        raise CannotTellError(f"no decision code in {' '.join(only)}; there is {', '.join(CODE)}")
    every = []
    for path in paths:
        text = (tree / path).read_text(encoding="utf-8")
        # A module's doctests are tests of it as well.
        tests = (*(name for name in CODE[path] if (tree / name).exists()), path)
        every += [
            Fault(
                f"{mutant.kind}, line {mutant.line}", path, text, mutant.text,
                "test and test-training", tests,
            )
            for mutant in mutants(text, ALIKE.get(path, ()))
        ]  # fmt: skip
    places = random.Random(seed).sample(range(len(every)), min(size, len(every)))  # noqa: S311
    return [every[place] for place in sorted(places)], len(every)


def check_mutant(copy: Path, mutant: Fault, *, verbose: bool) -> bool:
    """Plant a mutant, run its tests, say what came of it; return whether it was caught."""
    began = time.monotonic()
    with planted(copy, mutant):
        try:
            code, said = run_tests(copy, mutant.target, mutant.tests, PATIENCE)
        finally:
            end_left(copy)
    if verbose:
        log(said)
    if code == NOTHING_RAN:
        raise CannotTellError(f"{mutant.path}: none of its tests ran:\n{said}")
    # A module that cannot be imported any more, or tests that do not end, are noticed.
    caught = code != PASSED
    what = verdict(code, said) if code == FAILED else "caught" if caught else "SURVIVED"
    log(f"{mutant.path} | {mutant.kind} | {told(mutant)} | {what} | "
        f"{time.monotonic() - began:.0f} s")  # fmt: skip
    return caught


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutations",
        description=mutations.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sample", type=int, default=SAMPLE, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--only", nargs="+", default=[], metavar="PATH", help="files or folders")
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help="how many at a time")
    parser.add_argument("--list", action="store_true", help="list the sample, and plant nothing")
    parser.add_argument("--unchecked", action="store_true", help="skip the run without a mutant")
    parser.add_argument("--verbose", action="store_true", help="show all that pytest says")
    return parser.parse_args(arguments)


def main() -> int:
    """Plant the mutants that were asked for; return the exit code."""
    asked = parsed()
    began = time.monotonic()
    try:
        sample, every = sampled(ROOT, asked.only, asked.sample, asked.seed)
        log(f"{len(sample)} of {every} mutants, seed {asked.seed}")
        if asked.list:
            for mutant in sample:
                log(f"{mutant.path} | {mutant.kind} | {told(mutant)}")
            return 0
        with copies(ROOT, asked.jobs) as made:
            if not asked.unchecked:
                check_sound(made[0], sample, verbose=asked.verbose)
            caught = caught_of(made, sample, partial(check_mutant, verbose=asked.verbose))
    except CannotTellError as error:
        log(f"error: {error}")
        return 2
    minutes = (time.monotonic() - began) / 60
    share = caught / len(sample)
    log(f"{caught} of {len(sample)} mutants caught ({share:.1%}), {minutes:.0f} min")
    return 0 if share >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
