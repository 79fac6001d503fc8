"""A scorecard's terms before and after: points along a feature's values, and where users are."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..escapes import plain_text
from ..types import Floats
from .figures import _COLOURS, GREY, named, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3
_WIDE, _HIGH = 5.0, 3.3  # inches of a panel
_LETTERS = 52  # of a panel's title on a line
_TICK = 13  # letters of a category's name
_USERS = 0.3  # of a panel's height, that bars of users take at most
_ROOM = 0.12  # of the points' range, left above and below
_BARS = "#D9D9D9"
_HOLLOW: dict[str, Any] = {"markerfacecolor": "none", "markeredgewidth": 1.8}
_DOTS = 16  # values, up to which each has a dot
_LEVEL = 4  # names of categories that stand side by side


@dataclass(frozen=True)
class TermPanel:
    """One term: its points at some values of its feature, before and after.

    change: what becomes of it, in a few words. x: values in order, (n,); places 0, 1, … where
    `names` has a category for each. before, after: points, (n,); None where the term is not on that
    card. edges: of bars of users along x, (m + 1,). users: the share of users in each bar, (m,);
    those whose value is not known are in none. whole: whether values are whole numbers.
    """

    title: str
    change: str
    label: str
    x: Floats
    before: Floats | None
    after: Floats | None
    edges: Floats
    users: Floats
    names: tuple[str, ...] = ()
    whole: bool = False


def shape_figure(path: Path, title: str, panels: Sequence[TermPanel]) -> None:
    """Write a panel by term as PNG; one that says so where there are none."""
    columns = min(_COLUMNS, max(1, len(panels)))
    rows = -(-max(1, len(panels)) // columns)
    figure, axes = new_figure(rows, columns, (_WIDE * max(2, columns), _HIGH * rows + 1.0))
    for axis, panel in zip(axes, panels, strict=False):
        _draw(axis, panel)
    for axis in axes[len(panels) :]:
        axis.axis("off")
    if not panels:
        axes[0].text(0.5, 0.5, "no term changes", ha="center", va="center")
    handles = _legend(axes[0])
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(plain_text(title))
    save_figure(figure, path)


def _draw(axis: Axes, panel: TermPanel) -> None:
    curves: list[tuple[Floats, dict[str, Any]]] = []
    if panel.before is not None:
        curves.append((panel.before, {"color": "black", "linestyle": "--", "marker": "o"}))
    if panel.after is not None:
        curves.append((panel.after, {"color": _COLOURS[0], "marker": "D", **_HOLLOW}))
    drawn = np.concatenate([[0.0], *(points for points, _ in curves)])
    low, high = float(drawn.min()), float(drawn.max())
    room = _ROOM * max(high - low, 1.0)
    _draw_users(axis, panel, low - room, high + room)
    axis.axhline(0, color=GREY, linewidth=0.8)
    for points, style in curves:
        told = dict(style) if len(panel.x) <= _DOTS else {**style, "marker": ""}
        if panel.names:  # categories have no order that a line could follow
            told["linestyle"] = ""
        axis.plot(panel.x, points, linewidth=1.8, markersize=6, **told)
    axis.set_ylim(low - room, high + room)
    axis.set_xlim(float(panel.edges[0]), float(panel.edges[-1]))
    _mark_values(axis, panel)
    named(axis, "", panel.label, "points")
    said = (
        textwrap.shorten(text, _LETTERS, placeholder=" …") for text in (panel.title, panel.change)
    )
    axis.set_title("\n".join(plain_text(text) for text in said), fontsize=11)


def _draw_users(axis: Axes, panel: TermPanel, bottom: float, top: float) -> None:
    """Draw where users are along the bottom; square roots, as most have none of most features."""
    heights = np.sqrt(panel.users)
    tallest = float(heights.max()) if len(heights) else 0.0
    if tallest > 0:
        axis.bar(
            panel.edges[:-1], heights / tallest * _USERS * (top - bottom), np.diff(panel.edges),
            bottom=bottom, align="edge", color=_BARS, edgecolor="white", linewidth=0.4,
        )  # fmt: skip


def _mark_values(axis: Axes, panel: TermPanel) -> None:
    from matplotlib.ticker import MaxNLocator

    if panel.whole:
        axis.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    if panel.names:
        short = [n if len(n) <= _TICK else f"{n[: _TICK - 1].rstrip()}…" for n in panel.names]
        axis.set_xticks(panel.x, [plain_text(name) for name in short])
        if len(short) > _LEVEL:
            axis.tick_params(axis="x", rotation=25)


def _legend(axis: Axes) -> list[object]:
    before = axis.plot([], [], color="black", linestyle="--", marker="o", label="before")[0]
    after = axis.plot([], [], color=_COLOURS[0], marker="D", **_HOLLOW, label="proposed")[0]
    users = axis.bar([np.nan], [0], color=_BARS, label="users (height: square root of their share)")
    return [before, after, users]
