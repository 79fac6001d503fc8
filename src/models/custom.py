"""Custom candidates: scikit-learn classifiers from outside, by argument or by entry point."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, UsageError
from ..plugins import (
    ARGUMENT,
    CANDIDATES,
    Plugin,
    check_name,
    collect,
    first_line,
    installed,
    merged,
)
from .catalogue import Imbalance, is_reserved
from .encoding import Matrix
from .fitted import SklearnModel
from .kinds.base import HUGE, Fitted, Kind, Params, Training

_NEEDED = ("get_params", "set_params", "fit", "predict_proba")
_LONG = 300  # letters of an estimator's parameters in a run
Asked = Sequence[str | Mapping[str, Any]]


@dataclass(frozen=True)
class CustomCandidate(Kind):
    """A classifier by scikit-learn's protocol, not fitted; source: where it comes from."""

    name: str
    estimator: Any
    source: str

    def fit(self, training: Training, imbalance: Imbalance, params: Params | None) -> Fitted:
        """Fit a copy on the matrix of all features; see `fit_classes`."""
        del imbalance, params
        encoding, matrix = training.matrix()
        model = self.fit_classes(matrix, training.data.labels, training.plan.about.seed)
        return Fitted(encoding, model, self.params(), model.unsaved())

    def fit_classes(self, matrix: Matrix, labels: NDArray[np.bool_], seed: int) -> SklearnModel:
        """Fit a copy on a matrix (n, k), NaN where a value is not known, and two classes.

        seed: of every random_state that the estimator leaves open.

        Raises DataError, naming the candidate, where it cannot be fitted or gives no probabilities.
        """
        from sklearn.base import clone

        said = f"candidate {self.name!r} ({self.source})"
        inside = np.clip(matrix, -HUGE, HUGE)
        try:
            fitted = clone(self.estimator)
            fitted.set_params(**_seeds(fitted, seed))
            fitted.fit(inside, labels.astype(np.int64))
            found = np.asarray(fitted.predict_proba(inside), dtype=np.float64)
        except Exception as error:
            hint = ""
            if "nan" in str(error).lower() and np.isnan(matrix).any():
                hint = " (what is not known is NaN: put an imputer before it, in a Pipeline)"
            raise DataError(f"{said} cannot be fitted: {first_line(error)}{hint}") from error
        if found.shape != (len(matrix), 2) or not ((found >= 0) & (found <= 1)).all():
            raise DataError(
                f"{said}: predict_proba gave an array of shape {found.shape} that is no two "
                f"probabilities, 0 to 1, for each of {len(matrix):,} rows"
            )
        return SklearnModel(fitted)

    def params(self) -> dict[str, str]:
        """Return what a run says of it."""
        text = " ".join(repr(self.estimator).split())
        short = text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
        return {"estimator": short, "source": self.source}

    def identity(self) -> list[str]:
        """Return what its fits depend on: its state, and its classes' code by version and source.

        An estimator whose state or code cannot be told is never taken for one that was kept.
        """
        import joblib

        parts = [self.estimator, *self.estimator.get_params(deep=True).values()]
        modules = {type(part).__module__ for part in parts if hasattr(part, "get_params")}
        try:
            return [joblib.hash(self.estimator), *(_code_of(one) for one in sorted(modules))]
        except Exception:  # noqa: BLE001 - whatever an unknown class raises where it is copied
            return [secrets.token_hex(16)]


def _code_of(module: str) -> str:
    """Return a module's name, its package's version, and a digest of its source.

    Raises KeyError or OSError where there is no source, as at a prompt.
    """
    version = getattr(sys.modules[module.partition(".")[0]], "__version__", "")
    source = Path(sys.modules[module].__dict__["__file__"])
    return f"{module} {version} {sha256(source.read_bytes()).hexdigest()}"


def _seeds(estimator: Any, seed: int) -> dict[str, int]:
    params = estimator.get_params(deep=True)
    ends = ("random_state", "__random_state")
    return {
        name: seed
        for name, value in params.items()
        if value is None and (name == ends[0] or name.endswith(ends[1]))
    }


def custom_candidates(
    asked: Asked | None, *, warn: Callable[[str], None]
) -> dict[str, CustomCandidate]:
    """Return the custom candidates among those asked for, by name; all installed ones when None.

    warn: called for an installed one that is left out, and why.

    Raises UsageError for one that was asked for and cannot be used.
    """
    given = [part for part in asked or () if isinstance(part, Mapping)]
    named = None if asked is None else [part for part in asked if isinstance(part, str)]
    plugins = collect(
        installed(CANDIDATES), _of_plugin,
        taken=is_reserved, what="candidate",
        named=None if named is None else [name for name in named if not is_reserved(name)],
        warn=warn,
    )  # fmt: skip
    arguments = []
    for part in given:
        for name, estimator in part.items():
            check_name(str(name), ARGUMENT, taken=is_reserved, what="candidate")
            arguments.append({name: CustomCandidate(name, _checked(name, estimator), ARGUMENT)})
    return merged([plugins, *arguments], "candidate")


def names_of(asked: Asked) -> list[str]:
    """Return the names of candidates that are given as names or as mappings to estimators.

    >>> names_of(["logistic", {"mine": object()}])
    ['logistic', 'mine']
    """
    return [
        name for part in asked for name in ([part] if isinstance(part, str) else map(str, part))
    ]


def _of_plugin(plugin: Plugin) -> CustomCandidate:
    """Load a plugin: an estimator, or a class or function that makes one without arguments."""
    found: Any = plugin.load()
    if isinstance(found, type) or (callable(found) and not hasattr(found, "fit")):
        try:
            found = found()
        except Exception as error:
            raise UsageError(
                f"candidate {plugin.name!r} ({plugin.source}) cannot be made: {first_line(error)}"
            ) from error
    checked = _checked(plugin.name, found, plugin.source)
    return CustomCandidate(plugin.name, checked, plugin.source)


def _checked(name: str, estimator: Any, source: str = ARGUMENT) -> Any:
    """Raise UsageError unless an estimator has what a candidate needs."""
    if isinstance(estimator, type):
        raise UsageError(
            f"candidate {name!r} ({source}) is a class: give an estimator, {estimator.__name__}(…)"
        )
    for method in _NEEDED:
        if not callable(getattr(estimator, method, None)):
            raise UsageError(
                f"candidate {name!r} ({source}): {type(estimator).__name__} has no {method}: give "
                "a classifier of scikit-learn's protocol that predicts probabilities"
            )
    return estimator
