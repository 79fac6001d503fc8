"""A comparison as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..evaluation.comparison import Comparison

_FLOORS = ("bg_nbd", "recency")
_HEAD = (
    "scorer",
    "ROC AUC",
    "lift",
    "avg precision",
    "Brier",
    "calib. error",
    "AUC minus scorecard",
)


def comparison_table(comparison: Comparison) -> Iterator[str]:
    """Yield every scorer on the last test, best ROC AUC over all tests first."""
    last = comparison.tests[-1]
    n, positives = comparison.sizes[last]
    tests = f"over {len(comparison.tests)} tests: {', '.join(comparison.tests)}"
    whole = tests if len(comparison.tests) > 1 else "the only test"
    yield f"test as of {last}: {n:,} users, {positives:,} positive; {whole}"
    yield ""
    rows = [list(_HEAD)]
    order = sorted(comparison.pooled, key=lambda s: -comparison.pooled[s]["roc_auc"].value)
    for name in order:
        tested, points = comparison.tested[name], comparison.folds[last][name]
        rows.append(
            [
                name,
                str(tested["roc_auc"]),
                f"{tested['lift'].value:.2f} [{tested['lift'].low:.2f}, {tested['lift'].high:.2f}]",
                f"{tested['average_precision'].value:.4f}",
                f"{points['brier']:.5f}",
                f"{points['calibration_error']:.4f}",
                _against(comparison, name),
            ]
        )
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join(cells).rstrip()
    yield ""
    family = len(order) - 1
    widened = f", its intervals widened for {family} comparisons (max-t)" if family > 1 else ""
    yield (
        f"lift at {comparison.capacity:.0%} of users; intervals {comparison.level:.0%}, bootstrap "
        f"over users, {comparison.n_boot:,} times; the last column over all tests{widened}"
    )
    yield from _threshold_lines(comparison, order)


def comparison_lines(raw: Mapping[str, Any], comparison: Comparison) -> Iterator[str]:
    """Yield the table, the verdict and the sentinels of a training."""
    yield from comparison_table(comparison)
    yield ""
    yield comparison.verdict()
    yield from _floor_lines(comparison)
    yield from comparison.notes
    yield ""
    yield from _spend_lines(raw.get("spend"))
    sentinels = raw["sentinels"]
    for sentinel in sentinels:
        state = "passed" if sentinel["passed"] else "FAILED"
        yield f"{state}  {sentinel['name']}: {sentinel['saw']}"


def _threshold_lines(comparison: Comparison, order: Sequence[str]) -> Iterator[str]:
    """Yield what acting from a fixed threshold on would have caught on the last test."""
    last = comparison.folds[comparison.tests[-1]]
    rows = [(name, last[name]) for name in order if "flagged_share" in last[name]]
    if not rows:
        return
    width = max(len(name) for name, _ in rows)
    yield ""
    yield (
        f"acting from the score on that {comparison.capacity:.0%} of users had on the test before: "
        "share acted on, of whom reached the target, share of all who did"
    )
    for name, point in rows:
        yield (
            f"{name:<{width}}  {point['flagged_share']:>6.1%}  precision "
            f"{point['threshold_precision']:>7.2%}  recall {point['threshold_recall']:>6.1%}"
        )


def _floor_lines(comparison: Comparison) -> Iterator[str]:
    """Yield how the chosen scorer stands against the simplest ones, in ROC AUC."""
    for floor in _FLOORS:
        if comparison.chosen not in {None, floor} and floor in comparison.pooled:
            assert comparison.chosen is not None  # noqa: S101 - said above
            found = comparison.difference("pooled", "roc_auc", comparison.chosen, floor)
            yield f"against {floor}, over the same tests: by ROC AUC {found.words()}"


def _spend_lines(spend: Any) -> Iterator[str]:
    if not spend:
        return
    yield f"expected spend ({spend['chosen']} is used, chosen on the tests before the last)"
    head = f"{'test':<10}  {'way':<8}  {'Gini':>6}"
    yield f"{head}  {'top tenth brought':>20}  {'total / actual':>14}"
    for test, found in spend["reports"].items():
        for name, report in found.items():
            low, high = report["top_decile_interval"]
            brought = f"{report['top_decile']:.1%} [{low:.1%}, {high:.1%}]"
            yield (
                f"{test:<10}  {name:<8}  {report['gini']:>6.3f}  {brought:>20}  "
                f"{report['total_ratio']:>14.2f}"
            )
    yield ""


def _against(comparison: Comparison, name: str) -> str:
    if name == comparison.reference:
        return ""
    found = comparison.difference("pooled", "roc_auc", name, comparison.reference)
    mark = "" if not found.detected else (" better" if found.value > 0 else " worse")
    return f"{found.value:+.3f} [{found.family[0]:+.3f}, {found.family[1]:+.3f}]{mark}"
