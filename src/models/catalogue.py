"""The catalogue of learned candidates: their names, without any library that fits them.

How each is fitted says its kind (`models.kinds`), which is imported where something is fitted or
loaded: the command line checks names and lists them in a moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ..errors import UsageError
from ..plugins import CANDIDATES as PLUGINS
from ..plugins import installed
from ..spec.references import suggest
from ..spec.training import TrainingSpec

Imbalance = Literal["none", "weights", "smote"]


@dataclass(frozen=True)
class Candidate:
    """One way to learn a ranking: a kind of model, and what is done about rare positives.

    kind: its name in `models.kinds`. description: in a few words, for lists. needs: the key of
    `[training]` in the spec that names the features it reads; empty where it reads them all.
    """

    kind: str
    imbalance: Imbalance
    description: str
    needs: Literal["", "recency", "purchases"] = ""


_WEIGHTS, _SMOTE = "the same, classes weighing the same", "the same, positives oversampled"
# In the order in which they are fitted and listed; the blend comes after its members.
CANDIDATES: Final[Mapping[str, Candidate]] = {
    "recency": Candidate(
        "recency", "none", "one feature, the baseline: who was here last", needs="recency"
    ),
    "bg_nbd": Candidate(
        "bg_nbd", "none", "purchases in closed form (Fader, Hardie & Lee 2005)", needs="purchases"
    ),
    "scorecard_shaped": Candidate(
        "scorecard_shaped", "none", "the scorecard, its terms and shapes learnt"
    ),
    "logistic": Candidate("logistic", "none", "logistic regression on scaled logarithms"),
    "logistic_weights": Candidate("logistic", "weights", _WEIGHTS),
    "logistic_smote": Candidate("logistic", "smote", _SMOTE),
    "forest": Candidate("forest", "none", "random forest (scikit-learn)"),
    "boosting": Candidate("boosting", "none", "histogram gradient boosting (scikit-learn)"),
    "xgboost": Candidate("xgboost", "none", "XGBoost"),
    "xgboost_weights": Candidate("xgboost", "weights", _WEIGHTS),
    "xgboost_smote": Candidate("xgboost", "smote", _SMOTE),
    "lightgbm": Candidate("lightgbm", "none", "LightGBM"),
    "additive": Candidate(
        "additive", "none", "a sum of one curve a feature (LightGBM without interactions)"
    ),
    "blend": Candidate("blend", "none", "mean log-odds of logistic, XGBoost and LightGBM"),
}
RANK_AVERAGE, BLEND = "rank_average", "blend"
MEMBERS = ("logistic", "xgboost", "lightgbm")  # of the rank average, the blend and the hurdle
_ALWAYS = ("scorecard", RANK_AVERAGE)  # compared in every training, where there is something to


def available(training: TrainingSpec) -> list[str]:
    """Return the candidates that a spec has the features for."""
    return [
        name
        for name, candidate in CANDIDATES.items()
        if not candidate.needs or getattr(training, candidate.needs) is not None
    ]


def kind_of(name: str) -> str:
    """Return the kind of a candidate's model; a custom one is a kind of its own."""
    return CANDIDATES[name].kind if name in CANDIDATES else name


def is_reserved(name: str) -> bool:
    """Return whether no custom candidate may have a name: it is whyrank's own, or means another.

    >>> is_reserved("xgboost"), is_reserved("scorecard_v2"), is_reserved("neighbours")
    (True, True, False)
    """
    means = {RANK_AVERAGE, "champion", "selected", "chosen", "none"}
    return name in CANDIDATES or name in means or name.startswith("scorecard")


def check_names(names: Sequence[str], known: Sequence[str]) -> None:
    """Raise UsageError for a candidate that is not known, or that the spec cannot feed.

    Installed plugins are known by their names; what they are is looked at when they are loaded.
    """
    if not set(names) <= set(known):
        known = [*known, *(plugin.name for plugin in installed(PLUGINS))]
    for name in names:
        if name in known:
            continue
        if name in CANDIDATES:
            key = CANDIDATES[name].needs
            raise UsageError(
                f"candidate {name!r} needs training.{key} in the spec: name the features there"
            )
        if name in _ALWAYS:
            raise UsageError(f"candidate {name!r} is compared in every training: leave it out")
        raise UsageError(f"candidate {name!r} is not known; {suggest(name, known)}")
