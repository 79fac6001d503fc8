"""The settings of a training: the parameters and the name of its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..spec.model import Spec
from .cache_key import versions
from .datasets import Backtest

_FEW = 3  # candidates that a name lists


@dataclass(frozen=True)
class Settings:
    """The settings of a training.

    Attributes:
        candidates: The candidates that were fitted.
        given: Whether they were named by the caller.
        tune: Trials of the search, per kind of model.
        searches: The names of Optuna's studies, by kind of model.
    """

    candidates: Sequence[str]
    given: bool = False
    tune: int = 0
    searches: dict[str, str] = field(default_factory=dict)

    def title(self, spec: Spec, backtest: Backtest) -> str:
        """Return a training's name: the cutoff and horizon, and what differs from the defaults.

        That may be the number of folds, the candidates, the tuning and the seed.
        """
        parts = [f"training {backtest.folds[-1].cutoff}", f"{backtest.horizon_days} days"]
        if len(backtest.folds) != spec.training.folds:
            parts.append(f"{len(backtest.folds)} fold{'s' * (len(backtest.folds) > 1)}")
        if self.given:
            few = len(self.candidates) <= _FEW
            parts.append(
                ", ".join(self.candidates) if few else f"{len(self.candidates)} candidates"
            )
        if self.tune:
            parts.append(f"tuned {self.tune}")
        if backtest.plan.about.seed:
            parts.append(f"seed {backtest.plan.about.seed}")
        return " · ".join(parts)

    def params(self, spec: Spec, backtest: Backtest) -> dict[str, Any]:
        """Return the parameters to log: settings, population and the libraries' versions."""
        words, where = spec.population.in_words, spec.population.where
        return {
            "candidates": ", ".join(self.candidates),
            "tune": self.tune,
            "folds": len(backtest.folds),
            "population": words if where in words else f"{words}: {where}",
            **{f"version/{name}": version for name, version in versions().items()},
        }
