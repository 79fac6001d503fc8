"""Shapes of terms: a planted curve is found, noise is not, and limits are kept."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest

from whyrank.published.snapshot import Snapshot
from whyrank.scoring.shape_fit import Limits, Shape, ShapeData, fit_shape
from whyrank.scoring.shapes import direction_of, rounded, shapes_of
from whyrank.scoring.transforms import MILLION, shares
from whyrank.spec.model import FeatureSpec
from whyrank.spec.scorecard import TermSpec
from whyrank.types import Floats


def term(name: str, transform: str, points: int = 10, **params: float) -> TermSpec:
    return TermSpec.model_validate(
        {"name": name, "feature": name, "points": points, "transform": transform,
         "reason": "of {value}", **params}
    )  # fmt: skip


def shaped(
    columns: Mapping[str, Floats],
    log_odds: Floats,
    card: list[TermSpec],
    limits: Limits | None = None,
    *,
    seed: int = 0,
    late: np.ndarray | None = None,
) -> Shape:
    """Draw outcomes of two snapshots a user with these log-odds, and fit the shape."""
    table = Snapshot(pa.table(dict(columns)))
    n = len(table)
    labels = np.random.default_rng([seed, 1]).random(n) < 1 / (1 + np.exp(-log_odds))
    shapes = [
        shape
        for name in columns
        for shape in shapes_of(
            FeatureSpec(name=name, op="count", unit="days", description="A feature."),
            table, sorted({direction_of(t) for t in card if t.feature == name} or {-1, 1}),
        )
    ]  # fmt: skip
    data = ShapeData(
        shapes,
        np.column_stack([shares(shape, table) / MILLION for shape in shapes]).astype(np.float32),
        np.column_stack([shares(one, table) / MILLION for one in card]),
        labels,
        np.arange(n) // 2,
        np.arange(n) % 2 == 1 if late is None else late,
    )
    return fit_shape(card, data, limits or Limits())


def numbers(n: int, seed: int = 0, names: str = "abcd") -> dict[str, Floats]:
    rng = np.random.default_rng([seed, 0])
    return {name: np.floor(rng.exponential(20, n)) for name in names}


def test_a_planted_curve_is_added_and_bent_and_noise_is_left_out() -> None:
    """Log-odds of a logarithm to 60 and a half-life of 14; the card has the one, bent wrongly."""
    n = 8000
    x = numbers(n)
    truth = -3.5 + 3 * np.log1p(np.minimum(x["a"], 60)) / np.log(61) + 2.5 * 2 ** (-x["b"] / 14)
    card = [term("a", "linear", cap=120)]
    found = shaped(x, truth, card)
    assert [one.name for one in found.terms] == ["a", "b"]
    assert (found.terms[0].transform, found.terms[1].transform) == ("log", "half_life")
    # Neighbours on the ladder of round numbers tell the same of so few users.
    assert found.terms[1].half_life in {10, 14, 21}
    # Standard errors are about 0.2; a neighbouring curve moves an estimate as much again.
    assert found.weights == pytest.approx([3.0, 2.5], abs=0.6)
    assert found.before == {"a": card[0]}


def test_of_noise_hardly_anything_is_added() -> None:
    """5% of fits may add a term: of 20, more than 4 do with a probability of 0.003."""
    added = 0
    for seed in range(20):
        x = numbers(1500, seed)
        truth = -2.0 + 0.02 * np.minimum(x["a"], 60)
        added += len(shaped(x, truth, [term("a", "linear", cap=60)], seed=seed).terms) > 1
    assert added <= 4


def test_what_held_in_one_half_of_the_snapshots_only_is_not_added() -> None:
    n = 8000
    x = numbers(n)
    late = np.arange(n) % 2 == 1
    drifting = np.where(late, 0.0, 3.0) * 2 ** (-x["b"] / 14)
    card = [term("a", "linear", cap=60)]
    truth = -2.5 + 0.02 * np.minimum(x["a"], 60)
    assert [t.name for t in shaped(x, truth + drifting, card, late=late).terms] == ["a"]
    lasting = 1.5 * 2 ** (-x["b"] / 14)
    assert "b" in [t.name for t in shaped(x, truth + lasting, card, late=late).terms]


def test_a_term_goes_only_for_room_and_pinned_ones_never() -> None:
    n = 5000
    x = numbers(n)
    truth = -3.0 + 2 * 2 ** (-x["b"] / 14) + 1.5 * np.minimum(x["a"], 30) / 30
    card = [term("a", "linear", cap=30), term("c", "linear", cap=30), term("d", "linear", cap=30)]
    roomy = shaped(x, truth, card)
    assert [t.name for t in roomy.terms] == ["a", "c", "d", "b"]
    assert roomy.dropped == ()
    full = shaped(x, truth, card, Limits(terms=3, pinned=frozenset({"c"})))
    assert [t.name for t in full.terms] == ["a", "c", "b"]
    assert [t.name for t in full.dropped] == ["d"]
    assert full.terms[1] == card[1]
    tight = shaped(x, truth, card, Limits(terms=2))
    assert [t.name for t in tight.terms] == ["a", "b"]
    assert [t.name for t in tight.dropped] == ["c", "d"]
    held = shaped(x, truth, card, Limits(terms=3, pinned=frozenset({"a", "c", "d"})))
    assert list(held.terms) == card


def test_a_feature_of_the_card_keeps_its_direction() -> None:
    """The card says that more of it raises; the data say the contrary, and nothing lowers."""
    x = numbers(6000)
    card = [term("a", "linear", cap=30), term("b", "flag")]
    found = shaped(x, -3.0 + 2 * 2 ** (-x["a"] / 14), card)
    assert {direction_of(t) for t in found.terms if t.feature == "a"} == {1}
    assert found.weights[0] == 0


def test_round_numbers_are_near() -> None:
    values = np.geomspace(0.003, 80_000, 400)
    near = np.array([rounded(np.array([value]))[0] for value in values])
    # Steps of the ladder lie at most a factor of 1.5 apart.
    assert np.abs(np.log(near / values)).max() <= np.log(1.5) / 2 + 1e-9
    assert all(len(f"{value:e}".split("e")[0].replace(".", "").rstrip("0")) <= 2 for value in near)
