"""Figures of the scorecard's points beside a model's contributions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..escapes import plain_text
from ..types import Floats
from .figures import _COLOURS, GREY, named, new_figure, save_figure

_LEAST = 1 / 40  # of the largest share: a part that is smaller by both accounts has no row
_ROW, _AROUND = 0.32, 2.2  # inches: of a row, and of what stands above and below all rows
_LOWEST = 4.5  # inches, so that the histogram beside two rows can be read
_BINS = np.linspace(-1, 1, 21)


def shares_figure(
    path: Path,
    title: str,
    names: Sequence[str],
    points: Floats,
    moved: Floats,
    agreements: Floats,
) -> None:
    """Write each part's share of the points beside its share of mean |SHAP|, as PNG.

    A row a part, the largest first; parts that are small in both are counted below.

    points, moved: shares, (k,) each. agreements: users' rank correlations of both, -1 to
    1, as a histogram beside it.
    """
    larger = np.maximum(points, moved)
    order = np.argsort(-larger, kind="stable")
    shown = [part for part in order if larger[part] >= _LEAST * larger.max()]
    rows = np.arange(len(shown))
    figure, axes = new_figure(1, 2, (12, max(_LOWEST, _ROW * len(shown) + _AROUND)))
    by_card, by_model = 100 * points[shown], 100 * moved[shown]
    axes[0].hlines(rows, by_card, by_model, color=GREY, linewidth=2, zorder=1)
    axes[0].plot(by_card, rows, "o", color="black", markersize=7, label="scorecard's points")
    axes[0].plot(by_model, rows, "D", color=_COLOURS[0], markersize=6.5, label="model's SHAP")
    axes[0].set_yticks(rows, [plain_text(names[part].replace("_", " ")) for part in shown])
    axes[0].set_ylim(len(shown) - 0.4, -0.6)
    axes[0].set_xlim(left=min(0.0, axes[0].get_xlim()[0]))
    axes[0].grid(axis="x", color="#e5e5e5")
    axes[0].set_axisbelow(True)
    figure.legend(frameon=False, loc="outside lower left", ncols=2)
    left = len(names) - len(shown)
    smaller = f"; {left} smaller {'part is' if left == 1 else 'parts are'} left out" if left else ""
    named(axes[0], "What moves users apart", f"share of mean |contribution|, %{smaller}", "")
    axes[1].hist(agreements, bins=_BINS.tolist(), color=_COLOURS[0])
    axes[1].set_xticks([-1, -0.5, 0, 0.5, 1])
    named(axes[1], "Do points and model agree?", "rank correlation of one user's parts", "users")
    figure.suptitle(plain_text(title))
    save_figure(figure, path)
