"""The kinds of model that learn a ranking, a module each; `base` says what a kind is.

A new kind is a module here, its line in KINDS, and a candidate in `models.catalogue`: from there on
it is trained, tuned if it has a search, kept, loaded, registered and served. See `lightgbm` for one
of a library that explains itself, `forest` for one that scikit-learn brings along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..fitted import Model
from .additive import Additive
from .base import ClassifierKind, Kind, Searched
from .bg_nbd import BgNbdKind
from .blend import Blend
from .boosting import Boosting
from .forest import Forest
from .lightgbm import Lightgbm
from .logistic import Logistic
from .recency import Recency
from .scorecard_shaped import ShapedScorecard
from .xgboost import Xgboost

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Recency(),
        BgNbdKind(),
        ShapedScorecard(),
        Logistic(),
        Forest(),
        Boosting(),
        Xgboost(),
        Lightgbm(),
        Additive(),
        Blend(),
    )
}
CLASSIFIERS: Final[Mapping[str, ClassifierKind]] = {
    name: kind for name, kind in KINDS.items() if isinstance(kind, ClassifierKind)
}
SEARCHED: Final[Mapping[str, Searched]] = {
    name: kind for name, kind in KINDS.items() if isinstance(kind, Searched)
}
# What fits leave, by the name under which it is kept.
MODELS: Final[Mapping[str, type[Model]]] = {
    name: model for kind in KINDS.values() for name, model in kind.models.items()
}
