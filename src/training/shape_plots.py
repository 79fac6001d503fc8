"""From a proposed shape to its picture: each changed term before and after, and the users."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..published.snapshot import Snapshot
from ..reports.shape_figure import TermPanel, shape_figure
from ..scorer import FeatureTable
from ..scoring.transforms import points_of, shares
from ..spec.model import FeatureSpec
from ..spec.scorecard import HUNDREDTHS, TermSpec
from ..types import Floats
from .shape_proposal import ShapeProposal
from .shape_text import change_words

SHAPES = "shapes.png"
_STEPS = 400  # values that a curve is drawn at
_BINS = 40
_MOST = 0.99  # of users lie within the picture
_CATEGORIES = 5  # drawn by name, those of most users
_ELSE, _NULL = "another", "unknown"
_FLAGS = ("no", "yes")


def draw_shape(path: Path, proposal: ShapeProposal) -> None:
    """Write the points of every changed term along its feature's values as PNG.

    Users are those of the last test; caps of groups and clipping are left out, as they are of no
    single term.
    """
    title = (
        f"{proposal.before.name}: what each changed term gives before and after, and the "
        f"{len(proposal.users):,} users of {proposal.comparison.fold_names[-1]}"
    )
    shape_figure(path, title, [_panel(proposal, *pair) for pair in changed_terms(proposal)])


def changed_terms(proposal: ShapeProposal) -> list[tuple[TermSpec | None, TermSpec | None]]:
    """Return each term before and after, whose points or shape change; None where it is not."""
    kept = [(proposal.shaped.shape.before.get(t.name), t) for t in proposal.shaped.card.terms]
    pairs: list[tuple[TermSpec | None, TermSpec | None]] = [p for p in kept if p[0] != p[1]]
    return [*pairs, *((term, None) for term in proposal.shaped.shape.dropped)]


def _panel(proposal: ShapeProposal, before: TermSpec | None, after: TermSpec | None) -> TermPanel:
    term = after or before
    assert term is not None  # noqa: S101 - a term that is on neither card does not change
    feature, both = (
        proposal.before.feature(term.feature),
        [t for t in (before, after) if t is not None],
    )
    if term.transform == "map":
        x, edges, counts, names = _categories(term, proposal.users)
        told: list[str | None] = [*names[:-2], _unnamed(term), None]
        grid = pa.array(told, pa.string())
    else:
        values = _known(proposal.users, feature.name)
        flags = all(one.transform == "flag" for one in both)
        x, edges, counts = _flags(values) if flags else _numbers(values, both)
        names, grid = (_FLAGS if flags else ()), pa.array(x)
    users = Snapshot(pa.table({feature.name: grid}))
    return TermPanel(
        title=term.name,
        change=change_words(before, after),
        label=_label(feature),
        x=x,
        before=_points(before, users),
        after=_points(after, users),
        edges=edges,
        users=counts,
        names=names,
        whole=not names and bool((x == np.round(x)).all()),
    )


def _flags(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the two values of a flag, the edges of their bars, and the shares of users."""
    share = float((values > 0).mean()) if len(values) else 0.0
    return np.array([0.0, 1.0]), _around(2), np.array([1 - share, share])


def _numbers(values: Floats, terms: Sequence[TermSpec]) -> tuple[Floats, Floats, Floats]:
    """Return values to draw a curve at, the edges of bars of users, and their shares.

    Whole numbers have a value and a bar each, where these are few.
    """
    end = _end(values, terms)
    if (values == np.round(values)).all() and end <= _BINS:
        x = np.arange(int(np.ceil(end)) + 1, dtype=np.float64)
        edges = _around(len(x))
    else:
        x, edges = np.linspace(0.0, end, _STEPS), np.linspace(0.0, end, _BINS + 1)
    return x, edges, np.histogram(values, edges)[0] / max(1, len(values))


def _categories(
    term: TermSpec, users: FeatureTable
) -> tuple[Floats, Floats, Floats, tuple[str, ...]]:
    """Return places, edges, shares of users and names of a map's categories.

    Of those that it names, the ones of most users; then all other texts, and what is not known.
    """
    codes, texts = users.categorical(term.feature)
    known = term.map or {}
    sizes = {text: float(np.mean(codes == place)) for place, text in enumerate(texts)}
    named = sorted(known, key=lambda text: -sizes.get(text, 0.0))[:_CATEGORIES]
    others = sum(size for text, size in sizes.items() if text not in known)
    counts = [*(sizes.get(text, 0.0) for text in named), others, float(np.mean(codes < 0))]
    places = np.arange(len(counts), dtype=np.float64)
    return places, _around(len(counts)), np.array(counts), (*named, _ELSE, _NULL)


def _unnamed(term: TermSpec) -> str:
    """Return a text that a map does not name."""
    text = _ELSE
    while text in (term.map or {}):
        text += " "
    return text


def _points(term: TermSpec | None, users: FeatureTable) -> Floats | None:
    return None if term is None else points_of(term, shares(term, users)) / HUNDREDTHS


def _known(users: FeatureTable, feature: str) -> Floats:
    """Return the values as a term counts them, none below zero, those that are known."""
    values = users.numeric(feature)
    return np.maximum(values[np.isfinite(values)], 0.0)


def _end(values: Floats, terms: Sequence[TermSpec]) -> float:
    """Return up to which value to draw: nearly all users, and caps that some user reaches."""
    if not len(values):
        return 1.0
    caps = [t.cap for t in terms if t.cap is not None and t.cap <= values.max()]
    return max([float(np.quantile(values, _MOST)), *(1.1 * cap for cap in caps), 1e-9])


def _around(count: int) -> Floats:
    return np.arange(count + 1, dtype=np.float64) - 0.5


def _label(feature: FeatureSpec) -> str:
    said = feature.name.replace("_", " ")
    plain = feature.unit in {"", "flag", "count"} or feature.unit in said
    return said if plain else f"{said} ({feature.unit})"
