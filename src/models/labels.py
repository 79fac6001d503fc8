"""Labels of a fit as two classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets


def two_classes(labels: NDArray[Any], estimator: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the two classes in order, and for each label the place of its class, (n,).

    Raises ValueError for another number of classes, in the words that scikit-learn's contract asks
    for.

    >>> classes, codes = two_classes(np.array(["no", "yes", "no"]), "Mine")
    >>> classes.tolist(), codes.tolist()
    (['no', 'yes'], [0, 1, 0])
    """
    check_classification_targets(labels)
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) > 2:  # noqa: PLR2004 - a binary label has two
        raise ValueError(
            "Only binary classification is supported. The type of the target is multiclass."
        )
    if len(classes) < 2:  # noqa: PLR2004 - a binary label has two
        raise ValueError(
            f"{estimator} needs both classes, and all labels are one class: {classes[0]!r}"
        )
    return classes, codes
