"""Figures draw what they say: curves are held against the metrics of the same name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whyrank.evaluation.ranking import lift_at
from whyrank.reports import figures


def test_gain_and_lift_are_drawn_from_the_same_ranking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(figures, "_save", lambda figure, _: drawn.append(figure))
    rng = np.random.default_rng(5)
    margin = rng.permutation(2000).astype(np.float64)
    labels = rng.random(2000) < 1 / (1 + np.exp(2 - margin / 800))
    chances = {"scorecard": np.full(2000, labels.mean())}
    figures.ranking_figure(tmp_path / "x.png", "t", labels, {"scorecard": margin}, chances)
    axes = {axis.get_title(): axis for axis in drawn[0].axes}
    assert {"ROC", "Precision and recall", "Gain", "Lift"} <= set(axes)
    x, lift = axes["Lift"].get_lines()[0].get_data()
    for share in (0.05, 0.1, 0.2, 0.5):
        place = int(np.argmin(np.abs(x - 100 * share)))
        assert lift[place] == pytest.approx(lift_at(margin, labels, share))
    assert lift[-1] == pytest.approx(1)  # everybody is the average
    gained, found = axes["Gain"].get_lines()[0].get_data()
    assert np.allclose(np.interp(x, gained, found) / x, lift)


@pytest.mark.parametrize("agreements", [np.array([0.5, -0.2, 1.0]), np.empty(0)])
def test_shares_and_deciles_are_drawn_even_of_little(
    tmp_path: Path, agreements: np.ndarray
) -> None:
    shares = np.array([0.75, 0.25]), np.array([0.0, 1.0])
    figures.shares_figure(tmp_path / "s.png", "t", ["a", "b_c"], *shares, agreements)
    figures.deciles_figure(tmp_path / "d.png", "t", [(2.0, 1.0), (0.5, 0.0)])
    for name in ("s.png", "d.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
