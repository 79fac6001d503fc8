"""Names beside points of a picture, none of which covers another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..escapes import plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
_GREY = "#999999"
_LETTER, _LINE = 5.6, 12.0  # points that a letter is wide and high, at size 9


def label_points(axis: Axes, names: Sequence[str], x: Floats, y: Floats) -> None:
    """Name points so that no name covers another one or a point; far names get a line."""
    figure = axis.figure
    figure.draw_without_rendering()  # type: ignore[union-attr]  # the layout decides where they are
    scale = 72 / figure.dpi
    points = axis.transData.transform(np.column_stack([x, y])) * scale
    window = axis.get_window_extent()
    left_edge, right = window.x0 * scale, window.x1 * scale
    bottom, top = window.y0 * scale, window.y1 * scale - _LINE
    taken = [(px - 4, py - 4, px + 4, py + 4) for px, py in points]
    for place in np.argsort(-points[:, 1], kind="stable"):
        px, py = points[place]
        said = plain_text(names[place].replace("_", " "))
        width = _LETTER * len(said)
        for dx, dy in _OFFSETS:
            left = px + dx if dx >= 0 else px + dx - width
            box = (left, py + dy - _LINE / 2, left + width, py + dy + _LINE / 2)
            free = not any(_overlap(box, other) for other in taken)
            if free and left_edge <= box[0] and box[2] <= right and bottom <= box[1] <= top:
                break
        taken.append(box)
        near = abs(dx) <= 7 and abs(dy) <= 10  # noqa: PLR2004 - points: it touches its own
        name = axis.annotate(
            said, (float(x[place]), float(y[place])), (dx, dy), textcoords="offset points",
            fontsize=9, va="center", ha="left" if dx >= 0 else "right",
            arrowprops=None if near else {"arrowstyle": "-", "color": _GREY, "linewidth": 0.7},
        )  # fmt: skip
        name.set_in_layout(False)  # else the axes would shrink, and the points move below the names


# Where a name may stand beside its point, in points: the nearest first.
_OFFSETS = sorted(
    (
        (side * dx, dy)
        for dx in (7, 22, 45, 75, 110, 150, 200)
        for side in (1, -1)
        for dy in range(-208, 209, 13)
        if dx > 7 or abs(dy) <= 13  # noqa: PLR2004
    ),
    key=lambda at: (abs(at[0]) + 1.5 * abs(at[1]), at[0] < 0),
)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
