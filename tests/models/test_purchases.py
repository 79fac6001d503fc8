"""BG/NBD and Gamma-Gamma against the papers, numerical integration and planted truths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import roots_genlaguerre, roots_jacobi

from tests.support.csv_rows import csv_rows
from whyrank.errors import DataError
from whyrank.models.kinds import MODELS
from whyrank.models.kinds.bg_nbd import PurchaseModel
from whyrank.models.model_files import load_as, save_as
from whyrank.models.purchase_fits import BgNbd, GammaGamma, _log_likelihood
from whyrank.models.purchases import expected_purchases, purchase_histories

CDNOW = (0.243, 4.414, 0.793, 2.426)  # Fader, Hardie & Lee 2005, section 5


@pytest.fixture(scope="module")
def cdnow(cdnow_folder: Path) -> np.ndarray:
    rows = csv_rows(cdnow_folder / "cdnow_customers_summary.csv")
    return np.array([[float(r[c]) for c in ("frequency", "recency", "T")] for r in rows])


def test_cdnow_gives_the_numbers_of_the_paper(cdnow: np.ndarray) -> None:
    fitted = BgNbd(horizon=39).fit(cdnow)
    assert (fitted.r_, fitted.alpha_, fitted.a_, fitted.b_) == pytest.approx(CDNOW, abs=5e-4)
    # The paper's worked example: x = 2, t_x = 30.43, T = 38.86 buys 1.226 times in 39 weeks.
    assert fitted.predict([[2, 30.43, 38.86]])[0] == pytest.approx(1.226, abs=1e-3)


@pytest.mark.parametrize(("x", "t_x", "age"), [(0, 0.0, 20.0), (1, 5.0, 20.0), (3, 18.0, 20.0)])
def test_the_likelihood_is_the_mixture_integrated(x: int, t_x: float, age: float) -> None:
    """Over the gamma law of rates and the beta law of leaving, by Gaussian quadrature."""
    r, alpha, a, b = 0.8, 6.0, 1.3, 2.5
    rates, of_rates = roots_genlaguerre(120, r - 1)  # weight u^(r-1) e^-u, u = alpha rate
    places, of_places = roots_jacobi(60, b - 1, a - 1)  # weight (1-z)^(b-1) (1+z)^(a-1)
    rate, p = rates[:, None] / alpha, (1 + places[None, :]) / 2
    alive = (1 - p) ** x * rate**x * np.exp(-rate * age)
    left = p * (1 - p) ** (x - 1) * rate**x * np.exp(-rate * t_x) if x else 0.0
    weights = np.outer(of_rates / of_rates.sum(), of_places / of_places.sum())
    total = float((weights * (alive + left)).sum())
    found = _log_likelihood(np.array([float(x)]), np.array([t_x]), np.array([age]), r, alpha, a, b)
    assert np.exp(found[0]) == pytest.approx(total, rel=1e-7)


def simulated(n: int, rng: np.random.Generator, ahead: float) -> tuple[np.ndarray, np.ndarray]:
    """Customers of a BG/NBD world: histories, and how often each buys in what follows."""
    rows, later = [], []
    for rate, leave, age in zip(
        rng.gamma(0.9, 1 / 12.0, n), rng.beta(1.4, 3.0, n), rng.uniform(20, 60, n), strict=True
    ):
        now, count, last, bought = 0.0, 0, 0.0, 0
        while True:
            now += rng.exponential(1 / rate)
            if now > age + ahead:
                break
            if now <= age:
                count, last = count + 1, now
            else:
                bought += 1
            if rng.random() < leave:
                break
        rows.append((count, last, age))
        later.append(bought)
    return np.array(rows), np.array(later)


def test_a_planted_world_is_foreseen() -> None:
    histories, later = simulated(6000, np.random.default_rng(4), ahead=15.0)
    fitted = BgNbd(horizon=15.0).fit(histories)
    expected = fitted.predict(histories)
    error = later.std() / np.sqrt(len(later))
    assert expected.mean() == pytest.approx(later.mean(), abs=4 * error)
    top = expected >= np.quantile(expected, 0.9)
    spread = later[top].std() / np.sqrt(top.sum())
    assert expected[top].mean() == pytest.approx(later[top].mean(), abs=4 * spread)


def test_expected_purchases_are_continuous_where_the_formula_divides_by_zero() -> None:
    x, t_x, age = np.array([0.0, 2.0]), np.array([0.0, 8.0]), np.array([20.0, 20.0])
    near = [expected_purchases(x, t_x, age, 10.0, (0.5, 5.0, a, 2.0)) for a in (0.999, 1, 1.001)]
    assert np.allclose(near[1], (near[0] + near[2]) / 2, rtol=1e-3)


def test_gamma_gamma_recovers_what_purchases_are_worth() -> None:
    rng = np.random.default_rng(6)
    n, p, q, v = 4000, 6.0, 4.0, 15.0
    own = 1 / rng.gamma(q, 1 / v, n)  # a customer's scale: its rate is gamma(q, v)
    count = rng.integers(1, 8, n)
    mean = rng.gamma(p * count, own) / count
    worth = p * own
    found = GammaGamma().fit(np.column_stack([count, mean])).predict(np.column_stack([count, mean]))
    assert found.mean() == pytest.approx(worth.mean(), rel=0.03)
    shrunk = np.mean((found - worth) ** 2)
    assert shrunk < 0.9 * np.mean((mean - worth) ** 2)
    assert GammaGamma().fit([[1, 5.0], [2, 9.0], [3, 4.0]]).predict([[0, np.nan]])[
        0
    ] == pytest.approx(6.0)


def test_columns_of_days_become_histories(tmp_path: Path) -> None:
    matrix = np.array([[2, 90, 10], [0, 40, 40], [1, np.nan, np.nan]], dtype=np.float32)
    x, t_x, age = purchase_histories(matrix, (0, 1, 2))
    assert (x.tolist(), t_x.tolist(), age.tolist()) == ([2, 0, 1], [80, 0, 0], [90, 40, 0])
    model = PurchaseModel((0, 1, 2), 30.0, CDNOW)
    save_as(MODELS, model, tmp_path)
    assert np.array_equal(load_as(MODELS, tmp_path).raw_score(matrix), model.raw_score(matrix))


def test_impossible_histories_are_refused() -> None:
    for row in ([-1, 0, 5], [1, 6, 5], [1, -1, 5]):
        with pytest.raises(DataError, match="0 <= t_x <= T"):
            BgNbd().fit([row, [0, 0, 5]])
    with pytest.raises(DataError, match="have 3"):
        BgNbd().fit([[1, 2], [3, 4]])
    with pytest.raises(DataError, match="must be above zero"):
        GammaGamma().fit([[0, 5.0], [1, 2.0]])
