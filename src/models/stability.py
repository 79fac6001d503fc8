"""How stable a learned scorer's reasons are under small perturbations of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..scorer import FeatureTable
from ..types import Floats
from .encoding import Matrix
from .explain import PERTURBATIONS, by_part, parts_of, perturbed
from .learned import LearnedScorer

# A reason whose sign flips in any one perturbation with probability q is given with probability
# (1 - q)^PERTURBATIONS. So given, and flipped by one more perturbation, are at most the largest
# q · (1 - q)^PERTURBATIONS of all reasons, whatever the scorer.
MAX_SIGN_FLIPS = (1 / (PERTURBATIONS + 1)) * (PERTURBATIONS / (PERTURBATIONS + 1)) ** PERTURBATIONS


@dataclass(frozen=True)
class Stability:
    """How many of each user's largest contributions stay among the largest, 0 to 1, (n,) each.

    kept: when the user's own values are perturbed, mean over perturbations. by_chance: when another
    user's perturbed values are taken in their stead, mean over these: all that would stay if
    contributions said what is usual, and nothing of the user.
    """

    kept: Floats
    by_chance: Floats


def stability(scorer: LearnedScorer, table: FeatureTable, most: int = 3) -> Stability:
    """Measure how many of users' `most` largest contributions stay under perturbations.

    Raises DataError for fewer than two users, or a scorer without contributions.
    """
    matrix = scorer.encoding.matrix(table)
    n = len(matrix)
    if n < 2:  # noqa: PLR2004 - one user has no other
        raise DataError(f"{n} users: the stability of reasons is measured on two at least")
    first = _largest(np.asarray(scorer.contributions(table).values), most).astype(np.float64)
    kept, by_chance = np.zeros(n), np.zeros(n)
    copies = perturbed(matrix, len(scorer.encoding.numeric))
    for copy in copies:
        again = _largest(_contributions(scorer, copy), most)
        own = (first * again).sum(axis=1)
        kept += own
        by_chance += (first @ again.sum(axis=0) - own) / (n - 1)
    each = len(copies) * first.sum(axis=1)
    return Stability(kept / each, by_chance / each)


def sign_flip_rates(
    scorer: LearnedScorer,
    table: FeatureTable,
    groups: Mapping[str, Sequence[str]],
    *,
    rng: np.random.Generator,
) -> Floats:
    """Return how often each contribution's sign turns under perturbations, (n, parts), 0 to 1.

    rng: of the perturbations, which are others than those that `explain_rows` chose reasons by.
    groups and parts: as there. Raises DataError for a scorer without contributions.
    """
    found = scorer.contributions(table)
    parts = parts_of(found.names, groups)
    signs = np.sign(by_part(np.asarray(found.values, dtype=np.float64), found.names, parts))
    copies = perturbed(scorer.encoding.matrix(table), len(scorer.encoding.numeric), rng)
    turns = np.zeros(signs.shape)
    for copy in copies:
        turns += np.sign(by_part(_contributions(scorer, copy), found.names, parts)) != signs
    return turns / len(copies)


def _contributions(scorer: LearnedScorer, matrix: Matrix) -> Floats:
    found = scorer.model.contributions(matrix)
    if found is None:
        raise DataError(f"scorer {scorer.name!r} ranks without reasons: it has no contributions")
    return np.asarray(found[0], dtype=np.float64)


def _largest(values: Floats, most: int) -> NDArray[np.bool_]:
    order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :most]
    found = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(found, order, True, axis=1)  # noqa: FBT003
    return found
