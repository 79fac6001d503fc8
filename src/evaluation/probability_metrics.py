"""How good probabilities are: Brier score, log loss, calibration error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..types import Floats

_FLOOR = 1e-12  # keeps the log loss of a certain mistake finite


def brier(chance: Floats, labels: NDArray[np.bool_]) -> float:
    """Return the mean squared distance of chances from what came (Brier 1950).

    >>> brier(np.array([1.0, 0.5]), np.array([True, False]))
    0.125
    """
    return float(((chance - labels) ** 2).mean())


def log_loss(chance: Floats, labels: NDArray[np.bool_]) -> float:
    """Return minus the mean log-likelihood of what came.

    >>> round(log_loss(np.array([0.5, 0.5]), np.array([True, False])), 4)
    0.6931
    """
    return float(log_loss_terms(chance, labels).mean())


def log_loss_terms(chance: Floats, labels: NDArray[np.bool_]) -> Floats:
    """Return what each user adds to the mean that the log loss is, shape (n,)."""
    said = np.where(labels, chance, 1 - chance)
    terms: Floats = -np.log(np.maximum(said, _FLOOR))
    return terms


def calibration_groups(chance: Floats, bins: int = 10) -> NDArray[np.int64]:
    """Return each user's group, shape (n,): equally large ones, the lowest chances first."""
    order = np.argsort(chance, kind="stable")
    found = np.empty(len(chance), dtype=np.int64)
    for group, part in enumerate(part for part in np.array_split(order, bins) if len(part)):
        found[part] = group
    return found


def calibration_bins(
    chance: Floats, labels: NDArray[np.bool_], bins: int = 10
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return mean chance, share of positives and size of equally large groups, lowest first."""
    group = calibration_groups(chance, bins)
    size = np.bincount(group)
    return np.bincount(group, chance) / size, np.bincount(group, labels) / size, size


def calibration_error(chance: Floats, labels: NDArray[np.bool_], bins: int = 10) -> float:
    """Return the mean distance of chance and share over equally large groups, by their size.

    The expected calibration error with groups of equal size (Naeini, Cooper & Hauskrecht 2015).

    >>> calibration_error(np.array([0.1, 0.1, 0.9, 0.9]), np.array([0, 0, 1, 1], bool), bins=2)
    0.1
    """
    said, came, size = calibration_bins(chance, labels, bins)
    return float(np.round(np.average(np.abs(said - came), weights=size), 15))
