"""What the picture of a proposed shape draws: points of both cards, and the users."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from whyrank.published.snapshot import Snapshot
from whyrank.reports.shape_figure import TermPanel
from whyrank.scoring.shape_fit import Shape
from whyrank.spec.model import FeatureSpec
from whyrank.spec.scorecard import TermSpec
from whyrank.training import shape_plots

USERS = Snapshot(
    pa.table(
        {
            "visits": pa.array([0, 0, 0, 1, 1, 2, 4, None], pa.int64()),
            "asked": pa.array([True, False, None, False, False, False, False, True]),
            "spent": [0.0, 0.5, 10.0, 20.25, 90.0, 100.0, 400.0, 900.0],
            "device": ["web", "web", "web", "ios", "tv", "car", None, "web"],
        }
    )
)


def term(feature: str, points: float, transform: str, **params: Any) -> TermSpec:
    return TermSpec.model_validate(
        {"name": feature, "feature": feature, "points": points, "transform": transform,
         "reason": "r", **params}
    )  # fmt: skip


def proposal(before: list[TermSpec], after: list[TermSpec], dropped: list[TermSpec]) -> Any:
    """Return as much of a proposal as is drawn."""

    def feature(name: str) -> FeatureSpec:
        unit = "dollars" if name == "spent" else "count"
        return FeatureSpec(name=name, op="count", unit=unit, description="d")

    shape = Shape(tuple(after), np.zeros(len(after)), {t.name: t for t in before}, tuple(dropped))
    return SimpleNamespace(
        before=SimpleNamespace(name="toy", feature=feature),
        shaped=SimpleNamespace(shape=shape, card=SimpleNamespace(terms=after)),
        users=USERS,
        comparison=SimpleNamespace(fold_names=["2026-01-01"]),
    )


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> dict[str, TermPanel]:
    drawn: list[TermPanel] = []
    monkeypatch.setattr(shape_plots, "shape_figure", lambda _, __, found: drawn.extend(found))
    shares = {"web": 1.0, "ios": 0.5}
    same = term("asked", 10, "flag")
    before = [term("visits", 20, "linear", cap=2), same, term("device", 8, "map", map=shares)]
    after = [
        term("visits", 12, "linear", cap=4), same,
        term("device", 4, "map", map=shares), term("spent", 30, "half_life", half_life=100),
    ]  # fmt: skip
    made = proposal(before, after, [term("asked", -5, "flag").model_copy(update={"name": "gone"})])
    shape_plots.draw_shape(None, made)  # type: ignore[arg-type] # nothing is written
    return {panel.title: panel for panel in drawn}


def test_a_panel_has_the_points_of_both_cards_and_all_users(panels: dict[str, TermPanel]) -> None:
    visits = panels["visits"]
    assert visits.change == "linear to 2 → linear to 4, 20 → 12 points"
    assert visits.x[:5].tolist() == [0, 1, 2, 3, 4]
    assert visits.before is not None
    assert visits.after is not None
    assert visits.before[:5].tolist() == [0, 10, 20, 20, 20]
    assert visits.after[:5].tolist() == [0, 3, 6, 9, 12]
    # Of the seven who are known three have none, two have one, and one each two and four.
    assert visits.users[:5].tolist() == pytest.approx([3 / 7, 2 / 7, 1 / 7, 0, 1 / 7])
    assert visits.whole
    spent = panels["spent"]
    assert (spent.before, spent.change) == (None, "new: half-life 100, 30 points")
    assert spent.after is not None
    assert spent.after == pytest.approx(30 * 2 ** (-spent.x / 100), abs=0.006)
    assert spent.label == "spent (dollars)"


def test_flags_and_maps_are_drawn_by_category(panels: dict[str, TermPanel]) -> None:
    device = panels["device"]
    assert device.names == ("web", "ios", "another", "unknown")
    assert device.before is not None
    assert device.before.tolist() == [8, 4, 0, 0]
    assert device.users.tolist() == pytest.approx([4 / 8, 1 / 8, 2 / 8, 1 / 8])
    gone = panels["gone"]
    assert (gone.after, gone.names) == (None, ("no", "yes"))
    assert gone.change == "dropped, -5 points"
    assert gone.before is not None
    assert gone.before.tolist() == [0, -5]
    # Two of the seven who are known asked.
    assert gone.users.tolist() == pytest.approx([5 / 7, 2 / 7])


def test_a_term_that_stays_as_it_is_has_no_panel(panels: dict[str, TermPanel]) -> None:
    assert set(panels) == {"visits", "device", "spent", "gone"}
