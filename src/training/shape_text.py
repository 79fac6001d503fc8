"""What calibrate --shape prints: terms before and after, how cards rank later dates, the diff."""

from __future__ import annotations

from collections.abc import Iterator

from ..evaluation.differences import Difference
from ..ranking.active_scorer import SCORECARD
from ..scoring.shapes import same_shape, shape_text
from ..spec.scorecard import TermSpec
from .calibration_text import closing_line, effect_text, intervals_line, opening_lines
from .shape_proposal import CALIBRATED, LOGISTIC, SHAPED, ShapeProposal


def shape_lines(made: ShapeProposal) -> Iterator[str]:
    """Yield the terms before and after, how the cards rank later dates, and the spec's diff."""
    comparison = made.comparison
    yield from opening_lines("shape", made.trained, comparison, made.sample)
    yield ""
    yield from _term_lines(made)
    yield ""
    tests = comparison.tests
    pooled = len(tests) > 1
    found = comparison.pooled if pooled else comparison.tested
    if pooled:
        yield f"mean over {len(tests)} tests ({', '.join(tests)}), each with a card of its own:"
    for name in (SCORECARD, CALIBRATED, SHAPED, LOGISTIC):
        yield f"{name:<10} ROC AUC {found[name]['roc_auc']}, lift {found[name]['lift']}"
    yield intervals_line(comparison)
    for name in (CALIBRATED, SHAPED, LOGISTIC):
        yield change_of(made, name).words()
    yield gap_words(made)
    yield ""
    yield band_words(made)
    yield ""
    yield from made.diff or ["the scorecard stays as it is"]
    yield ""
    yield closing_line("shaped", made.written)


def change_of(made: ShapeProposal, name: str) -> Difference:
    """Return a scorer's ROC AUC minus the current card's, over all tests."""
    where = "pooled" if len(made.comparison.tests) > 1 else "tested"
    return made.comparison.difference(where, "roc_auc", name, SCORECARD)


def gap_words(made: ShapeProposal) -> str:
    """Say which part of the gap between the card and logistic regression is closed."""
    closed = made.gap_closed()
    if closed is None:
        return (
            "logistic regression of all features does not rank detectably better than the card: "
            "there is no gap to close"
        )
    return f"of the gap between the card and logistic regression, {closed:.0%} is closed"


def band_words(made: ShapeProposal) -> str:
    """Say where the bands lie before and after, and how many of the last test's users are in them.

    They are drawn on the latest training snapshot, so the shares differ a little on the test.
    """
    old, new = made.before.bands, made.made.bands
    (medium, high), (medium_new, high_new) = made.in_bands
    return (
        f"bands: medium from {old.medium:g} to {new.medium:g}, high from {old.high:g} to "
        f"{new.high:g}; on {made.comparison.tests[-1]} {medium:.1%} of users were medium and "
        f"{high:.1%} high, and are {medium_new:.1%} and {high_new:.1%}"
    )


def term_rows(made: ShapeProposal) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield a row by term: name, feature, what changes, points before and after, effect.

    Terms that stay or are bent come first, then new ones, then those dropped.
    """
    shape = made.made.shape
    for term, told in zip(made.made.card.terms, made.made.points.terms, strict=True):
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


def _term_lines(made: ShapeProposal) -> Iterator[str]:
    rows = [("term", "feature", "shape", "points", "new", "effect, points"), *term_rows(made)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        cells += [cell.rjust(width) for cell, width in zip(row[3:5], widths[3:5], strict=True)]
        yield "  ".join([*cells, row[5]]).rstrip()
    yield ""
    yield (
        "effect: of the whole term by a logistic fit without signs, in points of the new card (one "
        f"is {made.made.points.terms[0].effect.per_point:.3g} log-odds),"
    )
    level = f"{100 * made.made.points.level:g}%"
    yield (
        f"  with intervals of {level} for all terms together; they take the shape as given, though "
        "it was chosen on these data"
    )
