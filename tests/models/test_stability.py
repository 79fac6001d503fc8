"""Stability of reasons: against planted probabilities to turn, against chance alone, and its
bounds.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.tables import data, plan, toy
from whyrank.errors import DataError
from whyrank.models import explain
from whyrank.models.candidates import Trainer
from whyrank.models.explain import PERTURBATIONS, explain_rows
from whyrank.models.stability import MAX_SIGN_FLIPS, sign_flip_rates, stability
from whyrank.scorer import Contributions
from whyrank.stats.platt import Calibrator

REASONS = 400


class Planted:
    """A scorer of REASONS contributions, each of which turns when its own columns all move up.

    of: how many columns a contribution has, so that it turns at one nudge in 2 ** of; of none it
    never does.
    """

    name = "planted"
    calibrator = Calibrator()

    def __init__(self, of: int) -> None:
        self.of = of
        self.width = REASONS * max(of, 1)
        self.names = tuple(f"r{place}" for place in range(REASONS))
        numbers = tuple(f"c{place}" for place in range(self.width))
        self.encoding = SimpleNamespace(matrix=self._matrix, numeric=numbers)
        self.model = SimpleNamespace(contributions=lambda m: (self._values(m), 0.0))

    def _matrix(self, table: list[int]) -> np.ndarray:
        return np.full((len(table), self.width), 10, dtype=np.float32)

    def _values(self, matrix: np.ndarray) -> np.ndarray:
        if self.of == 0:
            return np.ones((len(matrix), REASONS))
        up = (matrix > 10).reshape(len(matrix), REASONS, self.of).all(axis=2)
        return np.where(up, -1.0, 1.0)

    def contributions(self, table: list[int]) -> Contributions:
        return Contributions(self.names, self._values(self._matrix(table)), 0.0, "log-odds")


@pytest.mark.parametrize("of", [0, 1, 2, 3])
def test_a_reason_that_turns_at_one_nudge_in_so_many_is_told_as_seldom_as_it_should(
    of: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that turns with probability q is told with probability (1 - q) ** 8, and turns with q
    again.
    """
    monkeypatch.setattr(explain, "MOVED", 0.0)  # 400 equal ones: each is too small otherwise
    scorer: Any = Planted(of)
    q = 0.0 if of == 0 else 0.5**of
    told = explain_rows(scorer, [0], {}).stable[0]
    expected = (1 - q) ** PERTURBATIONS
    assert told.mean() == pytest.approx(
        expected, abs=4 * np.sqrt(expected * (1 - expected) / REASONS)
    )
    turns = np.mean(
        [sign_flip_rates(scorer, [0], {}, rng=np.random.default_rng(s))[0] for s in range(20)],
        axis=0,
    )
    assert turns.mean() == pytest.approx(
        q, abs=4 * np.sqrt(q * (1 - q) / (20 * PERTURBATIONS * REASONS))
    )
    # Of all reasons at most 4.3% are told and turn at one more nudge, here and for any scorer.
    both = (turns * told).mean()
    assert both <= MAX_SIGN_FLIPS + 4 * np.sqrt(MAX_SIGN_FLIPS / REASONS)


def test_the_bound_is_the_worst_of_all_chances_to_turn() -> None:
    q = np.linspace(0, 1, 100_001)
    assert (q * (1 - q) ** PERTURBATIONS).max() == pytest.approx(MAX_SIGN_FLIPS, abs=1e-9)


def test_told_reasons_stay_at_nudges_that_did_not_choose_them() -> None:
    trainer = Trainer(plan(), data())
    table, _ = toy(300, seed=4)
    for name in ("logistic", "xgboost", "lightgbm"):
        scorer = trainer.fit(name)
        explained = explain_rows(scorer, table, {})
        share = np.abs(explained.values) / np.abs(explained.values).sum(axis=1, keepdims=True)
        dropped = (share >= explain.MOVED) & ~explained.stable
        turns = sign_flip_rates(scorer, table, {}, rng=np.random.default_rng(1))
        assert dropped.sum() > 50  # views of about four, moved by one, do turn
        assert turns[dropped].mean() > 4 * turns[explained.stable].mean()
        assert (turns * explained.stable).mean() <= MAX_SIGN_FLIPS


def test_the_largest_reasons_stay_more_often_than_anothers_would() -> None:
    trainer = Trainer(plan(), data())
    table, _ = toy(300, seed=4)
    for name in ("logistic", "xgboost", "lightgbm"):
        found = stability(trainer.fit(name), table, most=2)
        for shares in (found.kept, found.by_chance):
            assert ((shares >= 0) & (shares <= 1)).all()
        more = found.kept - found.by_chance
        assert more.mean() > 4 * more.std() / np.sqrt(len(more)), name


def test_contributions_that_say_nothing_of_the_user_stay_by_chance_alone() -> None:
    """Drawn anew at each look: two of ten at random overlap by a fifth, whoever's they are."""
    rng = np.random.default_rng(3)
    scorer: Any = SimpleNamespace(
        name="noise",
        encoding=SimpleNamespace(matrix=lambda t: np.ones((len(t), 4), np.float32), numeric="abcd"),
        model=SimpleNamespace(contributions=lambda m: (rng.normal(size=(len(m), 10)), 0.0)),
        contributions=lambda t: Contributions(
            tuple("abcdefghij"), rng.normal(size=(len(t), 10)), 0.0, "log-odds"
        ),
    )
    found = stability(scorer, range(500), most=2)  # type: ignore[arg-type]
    error = found.kept.std() / np.sqrt(500)  # of chance it is smaller: a mean over all others
    for shares in (found.kept, found.by_chance):
        assert shares.mean() == pytest.approx(0.2, abs=4 * error)
    with pytest.raises(DataError, match="1 users: the stability of reasons is measured on two"):
        stability(scorer, range(1))  # type: ignore[arg-type]
