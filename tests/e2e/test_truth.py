"""The ranking recovers the intent that the generator planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from whyrank.events.synthetic.saas import generate_saas
from whyrank.pipeline.frames import rank_events
from whyrank.spec.model import Spec


def recovered(folder: Path, spec: Spec, *, users: int, seed: int) -> tuple[float, int]:
    """Spearman of score and planted intent among the ranked users, and how many they are."""
    world = generate_saas(folder / f"w{seed}.parquet", users=users, seed=seed)
    ranked = rank_events(
        pd.read_parquet(world.events), spec, users=pd.read_parquet(world.users)
    ).set_index("user_id")
    intent = pd.read_parquet(world.truth).set_index("user_id")["intent"][ranked.index]
    return float(spearmanr(ranked["score"], intent).statistic), len(ranked)


def test_scores_follow_planted_intent_within_the_simulation_band(
    tmp_path: Path, saas: Spec
) -> None:
    # The band comes from worlds of other seeds: their mean, and how far one world of this size
    # strays from it (three standard deviations of a single draw, with the mean's own error).
    others = np.array(
        [recovered(tmp_path, saas, users=600, seed=seed)[0] for seed in range(20, 28)]
    )
    spread = 3 * others.std(ddof=1) * np.sqrt(1 + 1 / len(others))
    found, ranked = recovered(tmp_path, saas, users=600, seed=7)
    assert ranked > 400
    assert abs(found - others.mean()) < spread
    # Fisher's band for no relation at this size: 3 / sqrt(n - 3). The ranking is far beyond it.
    assert others.min() > 3 / np.sqrt(ranked - 3)


def test_shuffled_scores_recover_nothing(tmp_path: Path, saas: Spec) -> None:
    world = generate_saas(tmp_path / "w.parquet", users=600, seed=7)
    events = pd.read_parquet(world.events)
    rng = np.random.default_rng(0)
    users = events["user_id"].unique()
    events["user_id"] = events["user_id"].map(dict(zip(users, rng.permutation(users), strict=True)))
    ranked = rank_events(events, saas).set_index("user_id")
    intent = pd.read_parquet(world.truth).set_index("user_id")["intent"][ranked.index]
    assert abs(spearmanr(ranked["score"], intent).statistic) < 3.5 / np.sqrt(len(ranked) - 3)


@pytest.mark.slow
def test_the_whole_pipeline_keeps_its_recovery_at_size(tmp_path: Path, saas: Spec) -> None:
    found, ranked = recovered(tmp_path, saas, users=20_000, seed=5)
    small = [recovered(tmp_path, saas, users=2000, seed=seed)[0] for seed in range(30, 40)]
    assert ranked > 15_000
    assert abs(found - np.mean(small)) < 3 * np.std(small, ddof=1)
