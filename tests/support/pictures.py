"""Trainings whose pictures nobody looks at: to draw them takes half the time of a small one."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


@contextmanager
def no_pictures() -> Iterator[None]:
    """Make each picture as a figure, and write a dot in its place."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def dot(canvas: FigureCanvasAgg, place: str) -> None:
        del canvas
        with open(place, "wb") as file:  # noqa: PTH123 - as matplotlib takes it
            file.write(_DOT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FigureCanvasAgg, "print_png", dot)
        yield
