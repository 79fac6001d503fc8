"""The kinds of model that learn a ranking, one module each; `base` has their base classes.

To add a kind, add a module here, an entry in KINDS and a candidate in `models.catalogue`. It is
then trained, tuned if it is `Tunable`, saved, loaded, registered and served. See `lightgbm` for a
library with its own contributions, and `forest` for a scikit-learn model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..fitted import Model
from .additive import Additive
from .base import ClassifierKind, Kind, Tunable
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
TUNABLE: Final[Mapping[str, Tunable]] = {
    name: kind for name, kind in KINDS.items() if isinstance(kind, Tunable)
}
# The classes of fitted models, by the name under which they are saved.
MODELS: Final[Mapping[str, type[Model]]] = {
    name: model for kind in KINDS.values() for name, model in kind.models.items()
}
