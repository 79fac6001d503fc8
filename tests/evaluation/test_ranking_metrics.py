"""Ranking metrics against scikit-learn, brute force and laws."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score

from whyrank.errors import DataError
from whyrank.evaluation import ranking_metrics as ranking
from whyrank.evaluation.comparison import Comparison, compare
from whyrank.evaluation.fold_scores import FoldScores
from whyrank.evaluation.ranking_metrics import metrics_at
from whyrank.reports.comparison_text import evaluation_table

METRICS = [
    ranking.roc_auc,
    ranking.average_precision,
    lambda s, y, w=None: ranking.lift_at(s, y, 0.3, w),
    lambda s, y, w=None: ranking.precision_at(s, y, 0.3, w),
    lambda s, y, w=None: ranking.recall_at(s, y, 0.3, w),
]


def evaluated(
    score: ArrayLike, label: ArrayLike, *, rng: np.random.Generator, ks: Sequence[float] = (),
    n_boot: int = 1000, level: float = 0.95,
) -> Comparison:  # fmt: skip
    """Evaluate one ranking, as `whyrank evaluate` does: a comparison with one member."""
    scores, labels = np.asarray(score, dtype=float), np.asarray(label)
    fold = FoldScores("a date", np.arange(len(labels)), labels, {"card": scores})
    return compare([fold], reference="card", ks=ks, n_boot=n_boot, level=level, rng=rng)


@st.composite
def ranked(draw: st.DrawFn, most: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = draw(st.integers(2, most))
    score = np.array(draw(st.lists(st.integers(0, 6), min_size=n, max_size=n)), dtype=float)
    label = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    label[0], label[1] = 0, 1
    weight = np.array(draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)))
    return score, label, weight


@given(ranked())
def test_auc_and_average_precision_equal_scikit_learns(
    case: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    score, label, weight = case
    assert ranking.roc_auc(score, label) == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert ranking.roc_auc(score, label, weight) == pytest.approx(
        roc_auc_score(label, score, sample_weight=weight), abs=1e-12
    )
    assert ranking.average_precision(score, label, weight) == pytest.approx(
        average_precision_score(label, score, sample_weight=weight), abs=1e-12
    )


@given(ranked(most=6), st.integers(1, 6))
def test_top_k_is_the_mean_over_all_ways_to_break_ties(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], k: int
) -> None:
    score, label, _ = case
    k = min(k, len(score))
    orders = [
        order
        for order in itertools.permutations(range(len(score)))
        if all(score[a] >= score[b] for a, b in itertools.pairwise(order))
    ]
    mean = np.mean([label[list(order[:k])].mean() for order in orders])
    if k == 1:  # 1 and above are counts; a share is below 1
        assert ranking.precision_at(score, label, 1) == pytest.approx(mean, abs=1e-12)
    assert ranking.precision_at(score, label, k) == pytest.approx(mean, abs=1e-12)
    assert ranking.lift_at(score, label, k) == pytest.approx(mean / label.mean(), abs=1e-12)
    assert ranking.recall_at(score, label, k) == pytest.approx(mean * k / label.sum(), abs=1e-12)


@given(ranked(), st.randoms(use_true_random=False))
def test_laws(case: tuple[np.ndarray, np.ndarray, np.ndarray], random: object) -> None:
    score, label, weight = case
    order = list(range(len(score)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for metric in METRICS:
        value = metric(score, label)
        assert metric(np.exp(score), label) == pytest.approx(value, abs=1e-12)
        assert metric(score[order], label[order]) == pytest.approx(value, abs=1e-12)
        rows = np.repeat(np.arange(len(score)), weight)
        assert metric(score[rows], label[rows]) == pytest.approx(
            metric(score, label, weight), abs=1e-12
        )
    assert ranking.roc_auc(-score, label) == pytest.approx(
        1 - ranking.roc_auc(score, label), abs=1e-12
    )


def test_bootstrap_error_of_auc_agrees_with_delong() -> None:
    rng = np.random.default_rng(3)
    n = 600
    label = rng.random(n) < 0.2
    score = rng.normal(size=n) + 0.8 * label
    x, y = score[label], score[~label]
    # DeLong, DeLong & Clarke-Pearson 1988: variance from the placements of each class.
    placed = (x[:, None] > y[None, :]).astype(float)
    se = np.sqrt(placed.mean(1).var(ddof=1) / len(x) + placed.mean(0).var(ddof=1) / len(y))
    auc = evaluated(score, label, n_boot=2000, rng=rng).last_fold["card"]["roc_auc"]
    boot = (auc.high - auc.low) / (2 * 1.959964)
    # 2,000 replicates leave about 2.4% error on the width; the class sizes vary besides.
    assert boot == pytest.approx(se, rel=0.10)


def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    trials, hits = 300, 0
    truth = 0.7602499389065233  # Phi(1 / sqrt 2): two normals one standard deviation apart
    for _ in range(trials):
        label = rng.random(250) < 0.3
        score = rng.normal(size=250) + label
        found = evaluated(score, label, n_boot=200, level=0.9, rng=rng).last_fold["card"]["roc_auc"]
        hits += found.low <= truth <= found.high
    # Binomial band: 3 standard errors of 300 trials around 0.9, and a point for the percentiles
    # of 200 replicates.
    assert abs(hits / trials - 0.9) < 3 * np.sqrt(0.9 * 0.1 / trials) + 0.01


def test_the_same_seed_gives_the_same_evaluation() -> None:
    score, label = np.arange(50.0), np.arange(50) % 3 == 0
    found = [evaluated(score, label, rng=np.random.default_rng(5)) for _ in range(2)]
    assert found[0] == found[1]
    other = evaluated(score, label, rng=np.random.default_rng(6))
    assert other != found[0]


def test_an_evaluation_draws_cells_of_users_as_multinomial_counts() -> None:
    """Users of one score and label are one cell: the best score's positives come first."""
    rng = np.random.default_rng(8)
    label = rng.random(700) < 0.2
    score = np.round(rng.normal(size=700) + label)
    values = np.unique(score)[::-1]
    sizes = [[((score == v) & (label == kind)).sum() for v in values] for kind in (True, False)]
    cells = np.concatenate(sizes)
    drawn = np.random.default_rng(3).multinomial(700, cells / 700, size=120)
    kinds = np.repeat([True, False], len(values))
    aucs = [ranking.roc_auc(np.tile(values, 2), kinds, weight=counts) for counts in drawn]
    found = evaluated(score, label, n_boot=120, level=0.8, rng=np.random.default_rng(3))
    auc = found.last_fold["card"]["roc_auc"]
    assert (auc.low, auc.high) == pytest.approx(tuple(np.quantile(aucs, [0.1, 0.9])), abs=1e-12)


def test_an_evaluation_and_a_comparison_resample_by_the_same_law() -> None:
    """Cells drawn at once and users drawn one by one: intervals that differ by chance alone."""
    rng = np.random.default_rng(4)
    label = rng.random(900) < 0.15
    score = np.round(2 * rng.normal(size=900) + 2 * label)
    alone = evaluated(score, label, n_boot=4000, rng=rng)
    two = FoldScores("a date", np.arange(900), label, {"card": score, "twin": score})
    both = compare([two], reference="card", n_boot=4000, rng=rng)
    assert alone.fold_values["a date"]["card"] == both.fold_values["a date"]["card"]
    assert alone.differences == {"last_fold": (), "pooled": ()}
    for name, one in alone.last_fold["card"].items():
        other = both.last_fold["card"][name]
        # The 2.5% quantile of 4,000 normal draws is known to sqrt(0.025 * 0.975 / 4000) / 0.0584 =
        # 0.042 standard deviations; a difference of two to 0.06, and 20 ends are compared.
        error = (one.high - one.low) / 3.92
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.24 * error)


@pytest.mark.parametrize(
    ("score", "label", "message"),
    [
        ([], [], "no users"),
        ([1, 2], [1, 1], "both kinds"),
        ([1, 2], [0, 0], "both kinds"),
        ([1, float("nan")], [0, 1], "NaN or infinite"),
        ([1, 2, 3], [0, 1], "one length"),
        ([1, 2], [0, 2], "0 or 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    score: list[float], label: list[int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        ranking.roc_auc(score, label)
    with pytest.raises(DataError, match=message):
        evaluated(score, label, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -1e-9, 1, 1], "weights must be finite and not negative"),
        ([1, np.nan, 1, 1], "weights must be finite and not negative"),
        ([1, np.inf, 1, 1], "weights must be finite and not negative"),
        ([1, 1, 1], "one length"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights: list[float], message: str) -> None:
    for metric in METRICS:
        with pytest.raises(DataError, match=message):
            metric([4, 3, 2, 1], [1, 0, 1, 0], weights)


def test_a_weight_of_zero_leaves_a_user_out() -> None:
    score, label = np.array([5.0, 4, 3, 3, 2, 1]), np.array([1, 0, 1, 0, 0, 1])
    kept = np.array([1, 2, 3, 4])
    weight = np.isin(np.arange(6), kept).astype(float)
    for metric in METRICS:
        assert metric(score, label, weight) == pytest.approx(metric(score[kept], label[kept]))


def test_a_table_has_all_that_was_measured() -> None:
    """To three decimals, by name with the ends of each interval, and what was left out."""
    rng = np.random.default_rng(2)
    label = rng.random(1500) < 0.1
    score = rng.normal(size=1500) + label
    found = evaluated(score, label, ks=(0.1,), n_boot=100, level=0.9, rng=rng)
    metrics = found.last_fold["card"]
    assert found.sizes["a date"] == (1500, label.sum())
    head, *lines = evaluation_table(found, metrics)
    assert head == (
        f"1,500 users, {label.sum()} positive ({label.mean():.2%}); 90% intervals, bootstrap over "
        "users, 100 times"
    )
    assert set(metrics) > {"roc_auc", "average_precision", "lift_at_10pct", "precision_at_10pct"}
    for (name, one), line in zip(metrics.items(), lines, strict=True):
        assert one.low <= one.value <= one.high
        assert line.split() == [name, f"{one.value:.3f}", f"[{one.low:.3f},", f"{one.high:.3f}]"]
    assert metrics["roc_auc"].value == ranking.roc_auc(score, label)
    few = evaluated([5, 4, 3, 2, 1, 0], [1, 0, 1, 0, 0, 0], n_boot=200, rng=rng)
    lost = 200 - few.valid_replicates["a date"]
    # A draw of 6 of 6 misses both positives with a chance of (2/3)^6, 9%.
    assert 2 < lost < 40
    assert [*evaluation_table(few, few.last_fold["card"])][-1] == (
        f"{lost} replicates of one class left out"
    )


def test_too_few_positives_for_an_interval_are_refused() -> None:
    # With one negative of three, 30% of replicates have none, and with one positive as many.
    with pytest.raises(DataError, match="too few positives"):
        evaluated([1, 2], [0, 1], n_boot=500, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="k = 0"):
        ranking.lift_at([1, 2], [0, 1], 0)


def test_a_share_lies_below_1_and_1_is_one_user() -> None:
    rng = np.random.default_rng(3)
    score = rng.normal(size=400)
    label = score + rng.normal(size=400) > 1
    estimates = evaluated(score, label, ks=(0.5, 1, 30), n_boot=60, rng=rng).last_fold["card"]
    values = {name: estimates[name].value for name in metrics_at((0.5, 1, 30))}
    first = np.argsort(-score)
    for name, size in (("50pct", 200), ("1", 1), ("30", 30)):
        assert values.pop(f"precision_at_{name}") == pytest.approx(label[first[:size]].mean())
        assert f"lift_at_{name}" in values
    assert not any(name.startswith("precision") for name in values)
