"""How good probabilities are: Brier score, log loss, calibration error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..types import Floats

_FLOOR = 1e-12  # keeps the log loss of a certain mistake finite


def brier(probability: Floats, labels: NDArray[np.bool_]) -> float:
    """Return the mean squared distance of probabilities from what came (Brier 1950).

    >>> brier(np.array([1.0, 0.5]), np.array([True, False]))
    0.125
    """
    return float(((probability - labels) ** 2).mean())


def log_loss(probability: Floats, labels: NDArray[np.bool_]) -> float:
    """Return minus the mean log-likelihood of what came.

    >>> round(log_loss(np.array([0.5, 0.5]), np.array([True, False])), 4)
    0.6931
    """
    return float(log_loss_terms(probability, labels).mean())


def log_loss_terms(probability: Floats, labels: NDArray[np.bool_]) -> Floats:
    """Return what each user adds to the mean that the log loss is, shape (n,)."""
    said = np.where(labels, probability, 1 - probability)
    terms: Floats = -np.log(np.maximum(said, _FLOOR))
    return terms


def calibration_groups(probability: Floats, bins: int = 10) -> NDArray[np.int64]:
    """Return each user's group, shape (n,): equally large ones, the lowest probabilities first."""
    order = np.argsort(probability, kind="stable")
    found = np.empty(len(probability), dtype=np.int64)
    for group, part in enumerate(part for part in np.array_split(order, bins) if len(part)):
        found[part] = group
    return found


def calibration_bins(
    probability: Floats, labels: NDArray[np.bool_], bins: int = 10
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return mean probability, share of positives and size of equal groups, lowest first."""
    group = calibration_groups(probability, bins)
    size = np.bincount(group)
    return np.bincount(group, probability) / size, np.bincount(group, labels) / size, size


def calibration_error(probability: Floats, labels: NDArray[np.bool_], bins: int = 10) -> float:
    """Return the mean distance of probability and share over equally large groups, by their size.

    The expected calibration error with groups of equal size (Naeini, Cooper & Hauskrecht 2015).

    >>> calibration_error(np.array([0.1, 0.1, 0.9, 0.9]), np.array([0, 0, 1, 1], bool), bins=2)
    0.1
    """
    said, came, size = calibration_bins(probability, labels, bins)
    return float(np.round(np.average(np.abs(said - came), weights=size), 15))
