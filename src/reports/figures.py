"""Figures of a comparison: rankings, probabilities, what moved scores."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..escapes import plain_text
from ..evaluation.probability_metrics import calibration_bins
from ..files import atomic_write
from ..types import Bools, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that most colour-blind people tell apart (Okabe & Ito 2008); the scorecard is black.
_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8C6D31",
)  # fmt: skip
_RAISES, _LOWERS = "#0072B2", "#D55E00"
_MOST = 1 + len(_COLOURS)
_BARS = 11
GREY = "#999999"
_DPI = 120
PSI_MOVED, PSI_FAR = 0.1, 0.25  # by the usual rule of thumb: watch it; it is another population


def ranking_figure(
    path: Path,
    title: str,
    labels: Bools,
    raw_scores: Mapping[str, Floats],
    probabilities: Mapping[str, Floats],
    *,
    reference: str = "scorecard",
) -> None:
    """Write ROC, precision and recall, reliability, gain and lift of a few scorers as one PNG.

    labels: bool (n,). raw_scores, probabilities: by scorer, (n,) each, drawn in their order;
    a scorer without probabilities has no reliability.
    """
    figure, axes = new_figure(2, 3, (15, 9), layout=None)
    # Six panels of numbers: their room is known, and measuring it takes as long as drawing.
    figure.subplots_adjust(0.05, 0.065, 0.985, 0.91, wspace=0.2, hspace=0.28)
    shown = list(raw_scores)[:_MOST]
    colours = dict(zip([n for n in shown if n != reference], _COLOURS, strict=False))
    colours[reference] = "black"
    for name in shown:
        ranked = labels[np.argsort(-raw_scores[name], kind="stable")]
        found = np.cumsum(ranked)
        seen = np.arange(1, len(ranked) + 1)
        recall, share = found / found[-1], seen / len(ranked)
        false = (seen - found) / max(1, len(ranked) - found[-1])
        style: dict[str, Any] = {
            "color": colours[name],
            "label": plain_text(name),
            "linewidth": 1.6,
        }
        axes[0].plot(false, recall, **style)
        few = max(10, len(ranked) // 1000)  # before that precision is a handful of users
        axes[1].plot(recall[few:], (found / seen)[few:], **style)
        if name in probabilities:
            said, came, _ = calibration_bins(probabilities[name], labels)
            axes[2].plot(100 * said, 100 * came, marker="o", markersize=4, **style)
        axes[3].plot(100 * share, 100 * recall, **style)
        axes[4].plot(100 * share[few:], (recall / share)[few:], **style)
    base = labels.mean()
    axes[0].plot([0, 1], [0, 1], color=GREY, linestyle=":")
    axes[1].axhline(base, color=GREY, linestyle=":")
    top = max(axes[2].get_xlim()[1], axes[2].get_ylim()[1])
    axes[2].plot([0, top], [0, top], color=GREY, linestyle=":")
    axes[3].plot([0, 100], [0, 100], color=GREY, linestyle=":")
    axes[4].axhline(1, color=GREY, linestyle=":")
    named(axes[0], "ROC", "share of the others ranked above", "share of converters")
    named(axes[1], "Precision and recall", "recall", "precision")
    named(axes[2], "Reliability (tenths of users)", "predicted probability, %", "observed, %")
    named(axes[3], "Gain", "best ranked users, %", "converters among them, %")
    named(axes[4], "Lift", "best ranked users, %", "converters among them, times the average")
    _by_factors(axes[4], (0.1, 1, 2, 5, 10, 20, 50, 100), (1, 2, 5, 10, 20, 50, 100))
    axes[5].axis("off")
    handles, names = axes[3].get_legend_handles_labels()
    axes[5].legend(handles, names, frameon=False, loc="center", fontsize=12)
    figure.suptitle(plain_text(title))
    save_figure(figure, path)


def _by_factors(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """Scale both axes by logarithms, with plain numbers at x and y.

    The few users who are targeted are at the left, where a straight scale has no room for them.
    """
    from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis, ticks in ((axes.xaxis, x), (axes.yaxis, y)):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_locator(NullLocator())


def weights_figure(
    path: Path,
    title: str,
    names: Sequence[str],
    *,
    points: Floats,
    effects: Floats,
    shares: Floats,
    level: float,
) -> None:
    """Write a scorecard's calibration by term as PNG.

    points: before and after, (k, 2). effects: what the data say in the same points, with interval,
    (k, 3); an infinite end is drawn to the edge, and
    two of them are said in words. shares: of what moves users apart, 0 to 1: of the
    scorecard before and after and of the model, (k, 3). level: of the intervals.
    """
    figure, axes = new_figure(1, 2, (14, 0.5 * len(names) + 2.4))
    place = np.arange(len(names))
    finite = np.concatenate([points.ravel(), effects[np.isfinite(effects).all(axis=1)].ravel()])
    low, high = min(0.0, float(finite.min())), max(0.0, float(finite.max()))
    edge = 0.06 * (high - low)
    inside = np.clip(effects, low - edge, high + edge)
    axes[0].axvline(0, color=GREY, linewidth=1)
    known = np.isfinite(effects[:, 1:]).any(axis=1)
    axes[0].hlines(
        place[known], inside[known, 1], inside[known, 2], color=_COLOURS[4], linewidth=5, alpha=0.55
    )
    for row in place[~known].tolist():
        axes[0].text(
            high + edge, row, "the data cannot tell", ha="right", va="center", fontsize=9,
            color="#666666",
        )  # fmt: skip
    axes[0].plot(
        inside[known, 0], place[known], "|", color=_COLOURS[1], markersize=13, markeredgewidth=2.5,
        label=f"the data say (line: {level:.0%} interval)",
    )  # fmt: skip
    axes[0].plot(points[:, 0], place, "o", color="black", markersize=7, label="points now")
    axes[0].plot(
        points[:, 1], place, "D", markersize=8, markeredgecolor=_COLOURS[0],
        markerfacecolor="none", markeredgewidth=2, label="points proposed",
    )  # fmt: skip
    axes[0].set_xlim(low - edge, high + edge)
    named(axes[0], "Points of each whole term", "points; below zero it lowers the score", "")
    bars = ("scorecard now", "scorecard proposed", "XGBoost on the same terms")
    for i, (name, colour) in enumerate(zip(bars, ("black", *_COLOURS[:2]), strict=True)):
        axes[1].barh(
            place + 0.27 * (i - 1), 100 * shares[:, i], 0.25, label=plain_text(name), color=colour
        )
    named(axes[1], "What moves users apart", "share of mean |contribution|, %", "")
    for axis in axes:
        axis.set_yticks(place, [plain_text(name.replace("_", " ")) for name in names])
        axis.set_ylim(len(names) - 0.4, -0.6)
        handles, said = axis.get_legend_handles_labels()
        below = -0.65 / (0.5 * len(names) + 1.1)  # inches, as a share of the axes' height
        axis.legend(
            handles, said, frameon=False, loc="upper center", bbox_to_anchor=(0.5, below), ncols=3
        )
    figure.suptitle(plain_text(title))
    save_figure(figure, path)


def deciles_figure(path: Path, title: str, deciles: Sequence[tuple[float, float]]) -> None:
    """Write mean expected beside mean actual spend by tenth of users, the highest first, as PNG."""
    figure, (axis,) = new_figure(1, 1, (9, 5))
    place = np.arange(1, len(deciles) + 1)
    for i, name in enumerate(("expected", "actual")):
        heights = [pair[i] for pair in deciles]
        axis.bar(
            place + 0.4 * (i - 0.5),
            heights,
            0.4,
            label=plain_text(name),
            color=(_COLOURS[0], "black")[i],
        )
    axis.set_xticks(place)
    axis.legend(frameon=False)
    named(axis, title, "tenth of users, the highest expectations first", "mean spend of a user")
    save_figure(figure, path)


def drift_figure(path: Path, title: str, names: Sequence[str], psi: Floats) -> None:
    """Write each feature's population stability index, (k,), the largest first, as PNG."""
    shown = min(len(names), 20)
    figure, (axis,) = new_figure(1, 1, (9, 0.34 * max(shown, 3) + 1.6))
    place = np.arange(shown)
    colours = [_LOWERS if value > PSI_FAR else _RAISES for value in psi[:shown]]
    axis.barh(place, psi[:shown], 0.7, color=colours)
    axis.set_yticks(place, [plain_text(name.replace("_", " ")) for name in names[:shown]])
    axis.set_ylim(shown - 0.4, -0.9)
    axis.set_xlim(0, max(0.3, 1.05 * float(psi.max(initial=0))))
    for at, said in ((PSI_MOVED, "somewhat"), (PSI_FAR, "far")):
        axis.axvline(at, color=GREY, linestyle=":", linewidth=1)
        axis.text(at, -0.75, f" {said}", fontsize=9, color="#666666", va="center")
    named(axis, title, "population stability index against the latest training snapshot", "")
    save_figure(figure, path)


def agreement_figure(path: Path, title: str, points: Floats, raw_score: Floats) -> None:
    """Write each user's points against the model's log-odds as PNG: dense places are darker."""
    figure, (axis,) = new_figure(1, 1, (7, 6))
    drawn = axis.hexbin(points, raw_score, gridsize=45, bins="log", cmap="Blues", mincnt=1)
    figure.colorbar(drawn, ax=axis, label="users")
    named(axis, title, "scorecard, points", "model, log-odds")
    save_figure(figure, path)


def waterfall_figure(
    path: Path, title: str, said: Sequence[str], values: Floats, base: float
) -> None:
    """Write how one user's contributions, (k,), lead from the average to their log-odds, as PNG.

    said: each contribution in words. The largest are drawn one by one, the others as one bar.
    """
    order = np.argsort(-np.abs(values), kind="stable")
    first, rest = order[:_BARS], order[_BARS:]
    names = [textwrap.fill(plain_text(said[place]), 48) for place in first]
    moved = [float(values[place]) for place in first]
    if len(rest):
        names.append(f"{len(rest)} others together")
        moved.append(float(values[rest].sum()))
    ends = base + np.cumsum(moved)
    starts = np.concatenate([[base], ends[:-1]])
    figure, (axis,) = new_figure(1, 1, (11, 0.5 * len(names) + 2))
    rows = np.arange(len(names))
    colours = [_RAISES if value >= 0 else _LOWERS for value in moved]
    axis.barh(rows, moved, 0.62, left=starts, color=colours)
    for row, (start, end, value) in enumerate(zip(starts, ends, moved, strict=True)):
        axis.annotate(
            f"{value:+.2f}", (max(start, end), row), (5, 0), textcoords="offset points",
            va="center", fontsize=10, color=colours[row],
        )  # fmt: skip
        if row + 1 < len(names):
            axis.plot([end, end], [row + 0.31, row + 0.69], color=GREY, linewidth=1)
    for place, name, side in ((base, "average", -0.75), (float(ends[-1]), "this user", len(names))):
        axis.axvline(place, color=GREY, linestyle=":", linewidth=1, zorder=0)
        axis.text(place, side, f"{name}: {place:.2f}", ha="center", va="center", fontsize=10)
    low, high = float(np.min([starts, ends])), float(np.max([starts, ends]))
    room = 0.14 * max(high - low, 1e-6)
    axis.set_xlim(low - room, high + room)
    axis.set_ylim(len(names) + 0.5, -1.2)
    axis.set_yticks(rows, names)
    handles = [
        axis.barh(0, 0, color=colour, label=label)
        for colour, label in ((_RAISES, "raises the score"), (_LOWERS, "lowers it"))
    ]
    axis.legend(handles=handles, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.1), ncols=2)
    named(axis, title, "log-odds", "")
    save_figure(figure, path)


def new_figure(
    rows: int,
    columns: int,
    size: tuple[float, float],
    *,
    layout: Literal["constrained"] | None = "constrained",
) -> tuple[Figure, list[Axes]]:
    """Return a figure of so many inches, and its axes, row by row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout=layout)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [axis for row in axes for axis in row]


def named(axis: Axes, title: str, x: str, y: str) -> None:
    """Give axes their title and labels."""
    axis.set_title(plain_text(title), fontsize=11)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.spines[["top", "right"]].set_visible(b=False)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(_DPI)
    with atomic_write(path) as temporary:
        # Not savefig, which measures every word once more: half of the time of a picture.
        FigureCanvasAgg(figure).print_png(temporary)  # type: ignore[no-untyped-call]
