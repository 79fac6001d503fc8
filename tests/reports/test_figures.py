"""Figures draw what they say: curves are held against the metrics of the same name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whyrank.evaluation.ranking_metrics import lift_at
from whyrank.reports import account_figures, figures, scorer_figures, shape_figure


def test_gain_and_lift_are_drawn_from_the_same_ranking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, _: drawn.append(figure))
    rng = np.random.default_rng(5)
    raw_score = rng.permutation(2000).astype(np.float64)
    labels = rng.random(2000) < 1 / (1 + np.exp(2 - raw_score / 800))
    probabilities = {"scorecard": np.full(2000, labels.mean())}
    figures.ranking_figure(tmp_path / "x.png", "t", labels, {"scorecard": raw_score}, probabilities)
    axes = {axis.get_title(): axis for axis in drawn[0].axes}
    assert {"ROC", "Precision and recall", "Gain", "Lift"} <= set(axes)
    x, lift = axes["Lift"].get_lines()[0].get_data()
    for share in (0.05, 0.1, 0.2, 0.5):
        place = int(np.argmin(np.abs(x - 100 * share)))
        assert lift[place] == pytest.approx(lift_at(raw_score, labels, share))
    assert lift[-1] == pytest.approx(1)  # everybody is the average
    gained, found = axes["Gain"].get_lines()[0].get_data()
    assert np.allclose(np.interp(x, gained, found) / x, lift)


@pytest.mark.parametrize("agreements", [np.array([0.5, -0.2, 1.0]), np.empty(0)])
def test_shares_and_deciles_are_drawn_even_of_little(
    tmp_path: Path, agreements: np.ndarray
) -> None:
    shares = np.array([0.75, 0.25]), np.array([0.0, 1.0])
    account_figures.shares_figure(tmp_path / "s.png", "t", ["a", "b_c"], *shares, agreements)
    figures.deciles_figure(tmp_path / "d.png", "t", [(2.0, 1.0), (0.5, 0.0)])
    for name in ("s.png", "d.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_each_part_has_a_row_with_its_shares_by_both_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(account_figures, "save_figure", lambda figure, _: drawn.append(figure))
    names = ["small", "only_model", "both", "only_points", "smaller"]
    points = np.array([0.005, 0.0, 0.4, 0.595, 0.0])
    moved = np.array([0.0, 0.3, 0.695, 0.0, 0.005])
    account_figures.shares_figure(tmp_path / "s.png", "t", names, points, moved, np.array([0.5]))
    axis = drawn[0].axes[0]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["both", "only points", "only model"]
    rows = {line.get_label(): dict(zip(*line.get_data()[::-1], strict=True)) for line in axis.lines}
    assert rows == {
        "scorecard's points": pytest.approx({0: 40, 1: 59.5, 2: 0}),
        "model's SHAP": pytest.approx({0: 69.5, 1: 0, 2: 30}),
    }
    assert "2 smaller parts are left out" in axis.get_xlabel()


def test_a_beeswarm_draws_every_user_of_every_row_where_they_were_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(scorer_figures, "save_figure", lambda figure, _: drawn.append(figure))
    rng = np.random.default_rng(3)
    values = rng.normal(size=(200, 20)) * np.arange(20, 0, -1)
    data = np.where(rng.random((200, 20)) < 0.1, np.nan, rng.normal(size=(200, 20)))
    names = [f"f{place}" for place in range(20)]
    scorer_figures.beeswarm_figure(tmp_path / "b.png", "t", names, values, data, unit="points")
    axis = drawn[0].axes[0]
    (dots,) = axis.collections
    x, y = np.asarray(dots.get_offsets()).T
    rows = np.round(y).astype(int)
    said = [label.get_text() for label in axis.get_yticklabels()]
    largest = sorted(range(20), key=lambda place: -np.abs(values[:, place]).mean())
    assert said == [*(names[place] for place in largest[:12]), "8 others together"]
    for row, place in enumerate(largest[:12]):
        assert np.allclose(np.sort(x[rows == row]), np.sort(values[:, place]))
    others = values[:, largest[12:]].sum(axis=1)
    assert np.allclose(np.sort(x[rows == 12]), np.sort(others))
    assert "points added" in axis.get_xlabel()
    # Nobody's dot hides another's: they stand apart, and in their own row.
    assert np.abs(y - rows).max() < 0.5
    assert len(np.unique(np.round(y[rows == 0], 6))) > 3


def test_terms_are_drawn_with_their_names_and_users_below_the_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    save = shape_figure.save_figure

    def saved(figure: Any, path: Path) -> None:
        drawn.append(figure)
        save(figure, path)

    monkeypatch.setattr(shape_figure, "save_figure", saved)
    x, edges = np.arange(3.0), np.arange(4.0) - 0.5
    points, users = np.array([0.0, 4.0, 8.0]), np.array([0.64, 0.04, 0.0])
    panel = shape_figure.TermPanel("a$b$c", "new, 8 points", "a", x, None, points, edges, users)
    kinds = ("a long name of a device", "$", "unknown")
    by_kind = shape_figure.TermPanel("d", "map", "device", x, points, -points, edges, users, kinds)
    shape_figure.shape_figure(tmp_path / "s.png", "t", [panel, by_kind])
    first, second = drawn[0].axes[:2]
    assert first.get_title() == "a\\$b\\$c\nnew, 8 points"
    curves = [line for line in first.get_lines() if len(line.get_xdata()) == len(x)]
    assert [curve.get_ydata().tolist() for curve in curves] == [[0, 4, 8]]
    bars = [bar.get_height() for bar in first.patches[:3]]
    assert bars[0] == pytest.approx(4 * bars[1])  # square roots of shares of 64% and 4%
    assert bars[2] == 0
    assert max(bar.get_y() + bar.get_height() for bar in first.patches[:3]) < 4
    assert [label.get_text() for label in second.get_xticklabels()] == [
        "a long name…", "\\$", "unknown",
    ]  # fmt: skip
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    shape_figure.shape_figure(tmp_path / "none.png", "t", [])
    assert "no term changes" in {text.get_text() for text in drawn[1].axes[0].texts}


def test_what_the_data_cannot_tell_is_said_and_not_drawn_as_an_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, _: drawn.append(figure))
    figures.weights_figure(
        tmp_path / "w.png", "t", ["told", "silent", "open"],
        points=np.array([[10.0, 12.0], [-40.0, -40.0], [6.0, 26.0]]),
        effects=np.array([[14.0, 9.0, 20.0], [-40.0, -np.inf, np.inf], [30.0, 18.0, np.inf]]),
        shares=np.full((3, 3), 0.3), level=0.9,
    )  # fmt: skip
    axis = drawn[0].axes[0]
    (lines,) = axis.collections
    ends = {float(part[0, 1]): tuple(part[:, 0]) for part in lines.get_segments()}
    assert set(ends) == {0.0, 2.0}
    assert ends[0.0] == pytest.approx((9, 20))
    assert ends[2.0] == pytest.approx((18, axis.get_xlim()[1]))  # open: to the edge
    assert [(t.get_position()[1], t.get_text()) for t in axis.texts] == [
        (1, "the data cannot tell")
    ]
    legend = [text.get_text() for text in axis.get_legend().get_texts()]
    assert "the data say (line: 90% interval)" in legend
