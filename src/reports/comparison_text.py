"""A comparison as lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..evaluation.comparison import Comparison
from ..evaluation.differences import PROFIT, WORDS, Difference, Estimate
from ..evaluation.leakage_checks import LeakageCheck
from ..evaluation.thresholds import AT_CAPACITY, AT_COST

_FIRST = ("roc_auc", "lift", "average_precision")
_SECOND = ("precision", "ndcg", "brier", "log_loss", "calibration_error")
_FIGURES = {"lift": 2, "average_precision": 4, "precision": 4, "brier": 5, "log_loss": 5}
_SHORT = {"average_precision": "avg precision", "calibration_error": "calib. error"}


def comparison_table(comparison: Comparison) -> Iterator[str]:
    """Yield every scorer on the last fold, highest pooled ROC AUC first, and the notes to it."""
    last = comparison.fold_names[-1]
    n, positives = comparison.sizes[last]
    folds = f"over {len(comparison.fold_names)} folds: {', '.join(comparison.fold_names)}"
    whole = folds if len(comparison.fold_names) > 1 else "the only fold"
    yield f"fold as of {last}: {n:,} users, {positives:,} positive; {whole}"
    yield ""
    order = sorted(comparison.pooled, key=lambda s: -comparison.pooled[s]["roc_auc"].value)
    rows = [["scorer", *(_SHORT.get(m, WORDS[m]) for m in _FIRST), "AUC minus scorecard"]]
    for name in order:
        cells = [_cell(m, comparison.last_fold[name][m]) for m in _FIRST]
        rows.append([name, *cells, _against(comparison, name)])
    yield from _aligned(rows)
    yield ""
    family = len(order) - 1
    widened = f", its intervals widened for {family} comparisons (max-t)" if family > 1 else ""
    yield (
        f"lift at {comparison.capacity:.0%} of users; intervals {100 * comparison.level:g}%, "
        f"bootstrap over users, {comparison.n_boot:,} times; the last column {comparison.where()}"
        f"{widened}"
    )
    yield from _left_out(comparison)
    yield from _chances(comparison, order)
    yield from _custom(comparison, order)
    yield from _acting_lines(comparison, order)
    yield from resampling_lines(comparison)


def evaluation_table(comparison: Comparison, metrics: Mapping[str, Estimate]) -> Iterator[str]:
    """Yield how many users the reference was measured on, and its metrics with their intervals.

    Metrics whose intervals are NaN have none, as users of a class are too few.
    """
    last = comparison.fold_names[-1]
    n, positives = comparison.sizes[last]
    counted = f"{n:,} users, {positives:,} positive ({positives / n:.2%})"
    if any(math.isnan(one.low) for one in metrics.values()):
        few = "positives" if 2 * positives < n else "others"
        yield f"{counted}: too few {few} for intervals"
        for name, one in metrics.items():
            yield f"  {name:<22} {one.value:>7.3f}"
        return
    yield (
        f"{counted}; {100 * comparison.level:g}% intervals, bootstrap over users, "
        f"{comparison.n_boot:,} times"
    )
    for name, one in metrics.items():
        yield f"  {name:<22} {one.value:>7.3f}  [{one.low:.3f}, {one.high:.3f}]"
    one_class = comparison.n_boot - comparison.valid_replicates[last]
    if one_class:
        yield f"{one_class:,} replicates of one class left out"


def comparison_lines(raw: Mapping[str, Any], comparison: Comparison) -> Iterator[str]:
    """Yield the table, the verdict and the leakage checks of a training."""
    if raw.get("sample"):
        yield str(raw["sample"])
    yield from comparison_table(comparison)
    yield ""
    yield comparison.verdict()
    yield from _baseline_lines(comparison)
    yield from _other_metrics(comparison)
    yield from comparison.notes
    yield ""
    yield from _spend_lines(raw.get("spend"))
    yield from map(str, LeakageCheck.read(raw))


def resampling_lines(comparison: Comparison) -> Iterator[str]:
    """Yield whether weights and resampling help: first for all, then scorer by scorer."""
    pairs: dict[tuple[str, str], list[Difference]] = {}
    for one in comparison.matched_pairs:
        pairs.setdefault((one.first, one.second), []).append(one)
    if not pairs:
        return
    helped = [pair[0] for pair, found in pairs.items() if any(_helps(d) for d in found)]
    yield ""
    yield (
        f"weights and SMOTE against the same without, {comparison.where()}, intervals widened for "
        f"{len(comparison.matched_pairs)} comparisons (max-t): "
        + (
            f"resampling helps {', '.join(helped)}"
            if helped
            else "resampling does not help, neither the ranking nor the probabilities"
        )
    )
    for (first, second), found in pairs.items():
        helps = [WORDS[d.metric] for d in found if _helps(d)]
        harms = [WORDS[d.metric] for d in found if d.detected and not d.better]
        said = [f"helps by {' and '.join(helps)}"] if helps else []
        said += [f"harms by {' and '.join(harms)}"] if harms else []
        numbers = ", ".join(f"{WORDS[d.metric]} {d.numbers()}" for d in found)
        yield (
            f"{first} against {second}: {', '.join(said) or 'no detectable difference'} ({numbers})"
        )


def _helps(found: Difference) -> bool:
    return found.detected and found.better


def _cell(metric: str, found: Estimate) -> str:
    n = _FIGURES.get(metric, 3)
    if metric == "calibration_error":
        n = 4
    return f"{found.value:.{n}f} [{found.low:.{n}f}, {found.high:.{n}f}]"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join(cells).rstrip()


def _left_out(comparison: Comparison) -> Iterator[str]:
    """Yield how many replicates counted, where some drew one class only."""
    fewest = min(comparison.valid_replicates.values())
    if fewest < comparison.n_boot:
        yield (
            f"{comparison.n_boot - fewest:,} of {comparison.n_boot:,} replicates drew one class "
            f"only and were left out, so {fewest:,} count: there are few positives"
        )


def _chances(comparison: Comparison, order: Sequence[str]) -> Iterator[str]:
    """Yield the metrics that the first table has no room for, on the last fold."""
    shown = [m for m in _SECOND if all(m in comparison.last_fold[name] for name in order)]
    rows = [["scorer", *(_SHORT.get(m, WORDS[m]) for m in shown)]]
    rows += [[name, *(_cell(m, comparison.last_fold[name][m]) for m in shown)] for name in order]
    yield ""
    yield f"precision and NDCG at {comparison.capacity:.0%}, and how good the probabilities are"
    yield from _aligned(rows)


def _custom(comparison: Comparison, order: Sequence[str]) -> Iterator[str]:
    """Yield the custom metrics on the last fold, and their pooled differences."""
    if not comparison.custom:
        return
    rows = [["scorer"]]
    rows[0] += [text for name in comparison.custom for text in (name, f"{name} minus scorecard")]
    for scorer in order:
        row = [scorer]
        for metric in comparison.custom:
            row.append(_cell(metric, comparison.last_fold[scorer][metric]))
            row.append(_against(comparison, scorer, metric))
        rows.append(row)
    yield ""
    ways = (
        f"{name} ({'higher' if high else 'lower'} is better)"
        for name, high in comparison.custom.items()
    )
    yield f"custom metrics: {', '.join(ways)}; differences {comparison.where()}"
    yield from _aligned(rows)


def _acting_lines(comparison: Comparison, order: Sequence[str]) -> Iterator[str]:
    """Yield what targeting above a threshold would have caught on the last fold, by each rule."""
    tested = comparison.last_fold[order[0]]
    if f"{AT_CAPACITY}/share" in tested:
        yield ""
        yield (
            f"targeting users above the score that {comparison.capacity:.0%} of users had on the "
            "fold before: share of users targeted, precision and recall of the target"
        )
        yield from _aligned(list(_acting_rows(comparison, order, AT_CAPACITY)))
    costs = comparison.costs
    if costs is None:
        return
    n, positives = comparison.sizes[comparison.fold_names[-1]]
    everybody = positives / n * costs.conversion - costs.action
    yield ""
    yield (
        f"targeting users with probability >= {costs.break_even:.3g} (break-even): an action costs "
        f"{costs.action:g}, a conversion is worth {costs.conversion:g}; targeting everybody "
        f"would have brought {everybody:.{_cents(comparison)}f} per user, nobody 0; the last "
        f"column {comparison.where()}"
    )
    yield from _aligned(list(_acting_rows(comparison, order, AT_COST)))


def _acting_rows(
    comparison: Comparison, order: Sequence[str], rule: str
) -> Iterator[tuple[str, ...]]:
    """Yield a head and a row per scorer, with profit where costs are stated."""
    with_profit = comparison.costs is not None
    paired = rule == AT_COST
    head = ("scorer", "targeted", "precision", "recall")
    yield (*head, *(["profit per user"] * with_profit), *(["profit minus scorecard"] * paired))
    cents = _cents(comparison)
    for name in order:
        found = comparison.last_fold[name]
        shares = ("share", ".1%"), ("precision", ".2%"), ("recall", ".1%")
        cells = [_as(found.get(f"{rule}/{what}"), digits) for what, digits in shares]
        if with_profit:
            cells.append(_as(found.get(f"{rule}/profit"), f".{cents}f"))
        if paired:
            cells.append(_against(comparison, name, PROFIT, f"+.{cents}f"))
        yield (name, *cells)


def _cents(comparison: Comparison) -> int:
    """Return how many decimals money is told with: a thousandth of what an action costs."""
    costs = comparison.costs
    return 0 if costs is None else max(0, 3 - math.floor(math.log10(costs.action)))


def _as(found: Estimate | None, digits: str) -> str:
    if found is None:  # the precision of acting on nobody
        return "-"
    return f"{found.value:{digits}} [{found.low:{digits}}, {found.high:{digits}}]"


def _baseline_lines(comparison: Comparison) -> Iterator[str]:
    """Yield how the selected scorer stands against the simplest ones, in ROC AUC."""
    for baseline in comparison.baselines:
        if comparison.selected not in {None, baseline}:
            assert comparison.selected is not None  # noqa: S101 - said above
            found = comparison.difference("pooled", "roc_auc", comparison.selected, baseline)
            yield (
                f"against {baseline}, {comparison.where()}, widened for all {found.family_size} "
                f"comparisons with {baseline}: by ROC AUC {found.words()}"
            )


def _other_metrics(comparison: Comparison) -> Iterator[str]:
    """Yield the selected scorer's difference to the reference by the metrics not told above."""
    if comparison.selected is None:
        return
    compared = [m for m in WORDS if m in comparison.pooled[comparison.selected]]
    told = [m for m in compared if m not in {"roc_auc", "lift", PROFIT}]
    found = [
        comparison.difference("pooled", m, comparison.selected, comparison.reference) for m in told
    ]
    numbers = ", ".join(f"{WORDS[d.metric]} {d.numbers()}" for d in found)
    yield f"{comparison.selected} minus {comparison.reference}, {comparison.where()}: {numbers}"


def _spend_lines(spend: Any) -> Iterator[str]:
    if not spend:
        return
    level = spend.get("level", 0.95)
    used = spend["selected"] if "selected" in spend else spend["chosen"]  # as earlier versions did
    yield (
        f"expected spend ({used} is used, selected on the folds before the last), "
        f"intervals {100 * level:g}%"
    )
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


def _against(
    comparison: Comparison, name: str, metric: str = "roc_auc", digits: str = "+.3f"
) -> str:
    if name == comparison.reference:
        return ""
    found = comparison.difference("pooled", metric, name, comparison.reference)
    mark = "" if not found.detected else (" better" if found.better else " worse")
    low, high = found.family
    return f"{found.value:{digits}} [{low:{digits}}, {high:{digits}}]{mark}"
