"""What stands under a training's name in the tracking UI: Markdown that fits the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..evaluation.comparison import Comparison
from ..evaluation.differences import Difference
from ..evaluation.leakage_checks import LeakageCheck
from ..tracking.markdown import cell, sentence, table_row

# Spaces that do not break a line: the UI draws tables without any room between columns.
_SPACE = "\u00a0"


def training_note(
    comparison: Comparison,
    leakage_checks: Sequence[LeakageCheck],
    seconds: Mapping[str, float],
    champion: str | None = None,
) -> str:
    """Return the verdict in two lines, then every scorer, then the checks for leaks, as Markdown.

    seconds: of each candidate's fit on the last test's snapshots. champion: of before the training.
    """
    first, second = verdict_lines(comparison)
    return "\n".join(
        [
            f"**{cell(first)}**  ",
            cell(second),
            "",
            *_scorers(comparison, seconds, champion),
            "",
            *_how(comparison),
            "",
            *_checks(leakage_checks),
            "",
        ]
    )


def verdict_lines(comparison: Comparison) -> tuple[str, str]:
    """Return in two short lines whether the selected scorer ranks better than the reference."""
    name, card = comparison.selected, comparison.reference
    if name is None:
        return (f"The {card} stays", "No scorer was selected: no learned scorer explains itself.")
    auc = comparison.difference("pooled", "roc_auc", name, card)
    lift = comparison.difference("pooled", "lift", name, card)
    if auc.detected:
        verb = "ranks better" if auc.better else "ranks worse"
        first = f"{name} {verb} than the {card}: ROC AUC {auc.numbers()}"
    else:
        first = f"No detectable difference between {name} and the {card}: ROC AUC {auc.numbers()}"
    return first, f"Lift at {comparison.capacity:.0%}: {_said(lift)}; {comparison.where()}."


def scorer_note(name: str, comparison: Comparison, what: str) -> str:
    """Return how one scorer ranked, in a line or two of Markdown."""
    last = comparison.fold_names[-1]
    auc = comparison.last_fold[name]["roc_auc"]
    lines = [f"{cell(sentence(what))}. ROC AUC {auc} on the fold as of {last}."]
    if name != comparison.reference:
        found = comparison.difference("pooled", "roc_auc", name, comparison.reference)
        lines.append(f"Against the {comparison.reference}, {comparison.where()}: {_said(found)}.")
    return "  \n".join(lines)


def _said(found: Difference) -> str:
    if not found.detected:
        return f"no detectable difference, {found.numbers()}"
    return f"{'better' if found.better else 'worse'}, {found.numbers()}"


def _scorers(
    comparison: Comparison, seconds: Mapping[str, float], champion: str | None
) -> Iterator[str]:
    folds = len(comparison.evaluation_folds)
    heads = [
        "scorer", f"ROC AUC, {folds} folds" if folds > 1 else "ROC AUC", "minus scorecard", "",
        f"lift at {comparison.capacity:.0%}", "Brier score", "fit, s",
    ]  # fmt: skip
    yield table_row(heads)
    yield "|---|---|---|---|---|---|---|"
    order = sorted(comparison.pooled, key=lambda n: -comparison.pooled[n]["roc_auc"].value)
    for name in order:
        pooled = comparison.pooled[name]
        marks = [
            mark
            for mark, there in (("selected", comparison.selected), ("champion before", champion))
            if there == name
        ]
        minus, better = "", ""
        if name != comparison.reference:
            found = comparison.difference("pooled", "roc_auc", name, comparison.reference)
            minus = found.numbers().replace(" ", _SPACE).replace("-", "\u2212")
            better = (
                ("better" if found.better else "worse")
                if found.detected
                else f"no{_SPACE}difference"
            )
        cells = [
            f"**{cell(name)}**, {', '.join(marks)}" if marks else cell(name),
            f"{pooled['roc_auc'].value:.3f}",
            minus,
            better,
            f"{pooled['lift'].value:.2f}",
            f"{pooled['brier'].value:.5f}" if "brier" in pooled else "",
            f"{seconds[name]:.1f}" if name in seconds else "",
        ]
        yield table_row(cells)


def _how(comparison: Comparison) -> Iterator[str]:
    last = comparison.fold_names[-1]
    n, positives = comparison.sizes[last]
    family = len(comparison.pooled) - 1
    yield (
        f"Last fold {last}: {n:,} users, {positives:,} reached the target. Intervals: "
        f"{comparison.level:.0%}, paired bootstrap over users, {comparison.n_boot:,} times, "
        f"widened for {family} comparisons. `comparison.txt` has every table."
    )


def _checks(leakage_checks: Sequence[LeakageCheck]) -> Iterator[str]:
    yield "| check for leaks | | what was seen |"
    yield "|---|---|---|"
    for one in leakage_checks:
        state = "passed" if one.passed else "**FAILED**"
        yield table_row([cell(one.name).replace(" ", _SPACE), state, cell(one.detail)])
