"""The catalogue of learned candidates: their names, without any library that fits them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import UsageError
from ..plugins import CANDIDATES as PLUGINS
from ..plugins import installed
from ..spec.references import suggest
from ..spec.training import TrainingSpec
from .kinds import KINDS
from .kinds.base import Imbalance

_THE_SAME: Final[Mapping[Imbalance, str]] = {
    "weights": "the same, classes weighing the same",
    "smote": "the same, positives oversampled",
}
RANK_AVERAGE: Final = "rank_average"


@dataclass(frozen=True)
class Candidate:
    """One way to learn a ranking: a kind of model, and what is done about rare positives."""

    kind: str
    imbalance: Imbalance
    description: str


CANDIDATES: Final[Mapping[str, Candidate]] = {
    kind.name if imbalance == "none" else f"{kind.name}_{imbalance}": Candidate(
        kind.name, imbalance, _THE_SAME.get(imbalance, kind.description)
    )
    for kind in KINDS.values()
    for imbalance in kind.imbalances
}
_ALWAYS = ("scorecard", RANK_AVERAGE)  # compared in every training, where there is something to


def available(training: TrainingSpec) -> list[str]:
    """Return the candidates that a spec has the features for."""
    return [
        name
        for name, candidate in CANDIDATES.items()
        if not (needs := KINDS[candidate.kind].needs) or getattr(training, needs) is not None
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
            key = KINDS[CANDIDATES[name].kind].needs
            raise UsageError(
                f"candidate {name!r} needs training.{key} in the spec: name the features there"
            )
        if name in _ALWAYS:
            raise UsageError(f"candidate {name!r} is compared in every training: leave it out")
        raise UsageError(f"candidate {name!r} is not known; {suggest(name, known)}")
