"""What calibrate --shape prints: terms before and after, how cards rank later dates, the diff."""

from __future__ import annotations

from collections.abc import Iterator

from ..evaluation.differences import Difference
from ..ranking.active_scorer import SCORECARD
from ..scoring.shapes import same_shape, shape_text
from ..spec.scorecard import TermSpec
from .calibration_text import closing_line, effect_text, intervals_line, opening_lines
from .shape_proposal import CALIBRATED, LOGISTIC, SHAPED, ShapeProposal


def shape_lines(proposal: ShapeProposal) -> Iterator[str]:
    """Yield the terms before and after, how the cards rank later dates, and the spec's diff."""
    comparison = proposal.comparison
    yield from opening_lines("shape", proposal.trained, comparison, proposal.sample)
    yield ""
    yield from _term_lines(proposal)
    yield ""
    folds = comparison.fold_names
    pooled = len(folds) > 1
    found = comparison.pooled if pooled else comparison.last_fold
    if pooled:
        yield f"mean over {len(folds)} folds ({', '.join(folds)}), each with a card of its own:"
    for name in (SCORECARD, CALIBRATED, SHAPED, LOGISTIC):
        yield f"{name:<10} ROC AUC {found[name]['roc_auc']}, lift {found[name]['lift']}"
    yield intervals_line(comparison)
    for name in (CALIBRATED, SHAPED, LOGISTIC):
        yield change_of(proposal, name).words()
    yield gap_words(proposal)
    yield ""
    yield band_words(proposal)
    yield ""
    yield from proposal.diff or ["the scorecard stays as it is"]
    yield ""
    yield closing_line("shaped", proposal.written)


def change_of(proposal: ShapeProposal, name: str) -> Difference:
    """Return a scorer's ROC AUC minus the current card's, over all folds."""
    where = "pooled" if len(proposal.comparison.fold_names) > 1 else "last_fold"
    return proposal.comparison.difference(where, "roc_auc", name, SCORECARD)


def gap_words(proposal: ShapeProposal) -> str:
    """Say which part of the gap between the card and logistic regression is closed."""
    closed = proposal.gap_closed()
    if closed is None:
        return (
            "logistic regression of all features does not rank detectably better than the card: "
            "there is no gap to close"
        )
    return f"of the gap between the card and logistic regression, {closed:.0%} is closed"


def band_words(proposal: ShapeProposal) -> str:
    """Return the bands before and after, and the last fold's share of users in each.

    Bands are set on the latest training snapshot, so the shares differ slightly on the fold.
    """
    old, new = proposal.before.bands, proposal.shaped.bands
    (medium, high), (medium_new, high_new) = proposal.in_bands
    last = proposal.comparison.fold_names[-1]
    return (
        f"bands: medium from {old.medium:g} to {new.medium:g}, high from {old.high:g} to "
        f"{new.high:g}; on {last} {medium:.1%} of users were medium and "
        f"{high:.1%} high, and are {medium_new:.1%} and {high_new:.1%}"
    )


def term_rows(proposal: ShapeProposal) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield a row by term: name, feature, what changes, points before and after, effect.

    Terms that stay or are bent come first, then new ones, then those dropped.
    """
    shape = proposal.shaped.shape
    for term, told in zip(proposal.shaped.card.terms, proposal.shaped.points.terms, strict=True):
        before = shape.before.get(term.name)
        yield (
            term.name, term.feature, _shape_change(before, term),
            "" if before is None else f"{before.points:g}", f"{term.points:g}",
            effect_text(told.effect) + (", the other sign" if told.contradicted else ""),
        )  # fmt: skip
    for term in shape.dropped:
        yield term.name, term.feature, "dropped: others give more", f"{term.points:g}", "", ""


def change_words(before: TermSpec | None, after: TermSpec | None) -> str:
    """Say in a few words how a term changes, its shape and its points."""
    if after is None:
        return "dropped" if before is None else f"dropped, {before.points:g} points"
    points = f"{after.points:g} points" if before is None else _moved(before, after)
    return f"{_shape_change(before, after)}, {points}"


def _moved(before: TermSpec, after: TermSpec) -> str:
    if before.points == after.points:
        return f"{after.points:g} points"
    return f"{before.points:g} → {after.points:g} points"


def _shape_change(before: TermSpec | None, term: TermSpec) -> str:
    if before is None:
        return f"new: {shape_text(term)}"
    if same_shape(before, term):
        return shape_text(term)
    return f"{shape_text(before)} → {shape_text(term)}"


def _term_lines(proposal: ShapeProposal) -> Iterator[str]:
    rows = [("term", "feature", "shape", "points", "new", "effect, points"), *term_rows(proposal)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        cells += [cell.rjust(width) for cell, width in zip(row[3:5], widths[3:5], strict=True)]
        yield "  ".join([*cells, row[5]]).rstrip()
    yield ""
    yield (
        "effect: of the whole term by a logistic fit without signs, in points of the new card (one "
        f"is {proposal.shaped.points.terms[0].effect.per_point:.3g} log-odds),"
    )
    level = f"{100 * proposal.shaped.points.level:g}%"
    yield (
        f"  with intervals of {level} for all terms together; they take the shape as given, though "
        "it was chosen on these data"
    )
