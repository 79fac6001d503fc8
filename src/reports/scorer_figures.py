"""Figures of one scorer, the same for every kind, so that they compare side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..escapes import plain_text
from ..types import Floats
from .figures import _COLOURS, GREY, named, new_figure, save_figure

_ROWS = 12  # features drawn one by one; the others are one row
_BINS = 80  # in which dots of a row are stacked
_HEIGHT = 0.38  # of a row, up and down


def beeswarm_figure(
    path: Path, title: str, names: Sequence[str], values: Floats, data: Floats, *, unit: str
) -> None:
    """Write every user's contribution by feature, (n, k), as PNG: a dot a user.

    data: the features' values, (n, k), NaN where unknown: a dot's colour is where its value stands
    among this feature's, from low to high. unit: of the contributions.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap

    order = np.argsort(-np.abs(values).mean(axis=0), kind="stable")
    first, rest = order[:_ROWS], order[_ROWS:]
    said = [plain_text(names[place].replace("_", " ")) for place in first]
    moved = [values[:, place] for place in first]
    shades = [_shade(data[:, place]) for place in first]
    if len(rest):
        said.append(f"{len(rest)} others together")
        moved.append(values[:, rest].sum(axis=1))
        shades.append(np.full(len(values), np.nan))
    low = min(0.0, *(float(one.min()) for one in moved))
    high = max(0.0, *(float(one.max()) for one in moved))
    colours = LinearSegmentedColormap.from_list("", [_COLOURS[0], "#d8d8d8", _COLOURS[1]])
    colours.set_bad(GREY)
    figure, (axis,) = new_figure(1, 1, (9, 0.38 * len(said) + 1.8))
    axis.axvline(0, color=GREY, linewidth=1, zorder=0)
    places = [
        row + _HEIGHT * _stacked(one, low, high, len(values)) for row, one in enumerate(moved)
    ]
    axis.scatter(
        np.concatenate(moved), np.concatenate(places), s=9, linewidths=0, cmap=colours,
        c=np.ma.masked_invalid(np.concatenate(shades)), vmin=0, vmax=1, plotnonfinite=True,
    )  # fmt: skip
    axis.set_yticks(range(len(said)), said)
    axis.set_ylim(len(said) - 0.4, -0.6)
    bar = figure.colorbar(
        ScalarMappable(cmap=colours), ax=axis, orientation="horizontal", shrink=0.5, aspect=40,
        anchor=(1.0, 0.5),
    )  # fmt: skip
    bar.set_ticks([0, 1], labels=["low", "high"])
    bar.set_label("the feature's value (grey: unknown, or several features)", fontsize=9)
    bar.outline.set_visible(b=False)
    named(axis, title, f"{unit} added to the score; a dot is a user", "")
    save_figure(figure, path)


def _shade(values: Floats) -> Floats:
    """Return where values stand between a feature's own low and high ones, 0 to 1."""
    known = values[~np.isnan(values)]
    if not len(known):
        return values
    low, high = np.percentile(known, (5, 95))
    if low == high:  # such as nine in ten zeros: what is beyond them stands out
        low, high = float(known.min()), float(known.max())
    with np.errstate(invalid="ignore"):
        found: Floats = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    return found


def _stacked(values: Floats, low: float, high: float, n: int) -> Floats:
    """Return how far up or down dots stand that would hide each other, -1 to 1."""
    bins = np.minimum(_BINS - 1, (_BINS * (values - low) / ((high - low) or 1.0)).astype(int))
    order = np.lexsort((np.random.default_rng(0).permutation(n), bins))
    sizes = np.bincount(bins, minlength=_BINS)
    within = np.empty(n)
    within[order] = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    count = sizes[bins]
    full = max(12.0, float(sizes.max()))
    found: Floats = 2 * (within - (count - 1) / 2) / full
    return found


def importance_figure(
    path: Path,
    title: str,
    names: Sequence[str],
    lost: Floats,
    shares: Floats,
    *,
    unit: str,
) -> None:
    """Write what a scorer's features matter, (k,) each, as PNG: two panels of bars.

    lost: ROC AUC lost when a feature's values are dealt among users at random. shares: of mean
    |contribution|, 0 to 1; unit: what contributions are.
    """
    order = np.argsort(-np.maximum(lost / (lost.max() or 1.0), shares), kind="stable")
    order = order[: _ROWS + 6]
    place = np.arange(len(order))
    figure, axes = new_figure(1, 2, (11, 0.34 * max(len(order), 4) + 1.6))
    axes[0].barh(place, lost[order], 0.7, color=_COLOURS[0])
    axes[1].barh(place, 100 * shares[order], 0.7, color="black")
    axes[0].set_yticks(place, [plain_text(names[i].replace("_", " ")) for i in order])
    axes[1].set_yticks([])
    for axis in axes:
        axis.set_ylim(len(order) - 0.4, -0.6)
    named(axes[0], "ROC AUC lost without it", "when its values are shuffled among users", "")
    named(axes[1], f"Share of what moves users ({unit})", "share of mean |contribution|, %", "")
    figure.suptitle(plain_text(title))
    save_figure(figure, path)
