"""Figure of a comparison: every scorer's metric with its interval."""

from __future__ import annotations

from pathlib import Path

from ..escapes import plain_text
from ..evaluation.comparison import Comparison
from ..evaluation.differences import LOWER_IS_BETTER, WORDS
from .figures import GREY, named, new_figure, save_figure


def comparison_figure(path: Path, comparison: Comparison, metric: str = "roc_auc") -> None:
    """Write each scorer's metric over the evaluation folds, best first, and its difference, as PNG.

    Left: estimates with their intervals. Right: differences from the reference, with intervals
    widened for all scorers set against it; those that leave zero out are filled.

    Raises KeyError for a metric that was not measured.
    """
    lower = metric in LOWER_IS_BETTER or not comparison.custom.get(metric, True)
    sign = 1 if lower else -1
    pooled = {name: estimates[metric] for name, estimates in comparison.pooled.items()}
    order = sorted(pooled, key=lambda name: sign * pooled[name].value)
    figure, (left, right) = new_figure(1, 2, (11, 1.6 + 0.38 * len(order)))
    places = range(len(order))
    for place, name in zip(places, order, strict=True):
        estimate = pooled[name]
        colour = "black" if name == comparison.reference else "#0072B2"
        left.plot([estimate.low, estimate.high], [place, place], color=colour, linewidth=2)
        left.plot([estimate.value], [place], "o", color=colour)
        if name == comparison.reference:
            continue
        found = comparison.difference("pooled", metric, name, comparison.reference)
        right.plot(found.family, [place, place], color=colour, linewidth=2)
        face = colour if found.detected else "white"
        right.plot([found.value], [place], "o", color=colour, markerfacecolor=face)
    right.axvline(0, color=GREY, linestyle=":")
    for axis in (left, right):
        axis.set_ylim(len(order) - 0.5, -0.5)
        axis.set_yticks(list(places), [plain_text(name) for name in order])
    right.set_yticklabels([])
    words = WORDS.get(metric, metric)
    better = "lower is better" if sign > 0 else "higher is better"
    named(left, f"{words}, {comparison.level:.0%} intervals", better, "")
    named(right, f"minus {comparison.reference}'s", "filled: detectably different", "")
    figure.suptitle(plain_text(f"Scorers compared {comparison.where()}"))
    save_figure(figure, path)
