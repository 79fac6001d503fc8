"""Check arguments before a fitting library is imported or anything is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..models.catalogue import available, check_names
from ..spec.durations import parse_days
from ..spec.model import Spec
from ..spec.references import suggest

Asked = Sequence[str | Mapping[str, Any]]  # names of candidates, and estimators by name
MOST_TERMS = 15  # of a shaped scorecard, unless told

MIN_POSITIVES = 10  # and as many of the other class, to evaluate a ranking on
N_BOOT = 1000
LEVEL = 0.95


def check_training(
    spec: Spec,
    *,
    candidates: Asked | None,
    horizon: str | None,
    tune: int,
    folds: int | None,
    n_boot: int,
    level: float,
) -> None:
    """Raise UsageError for arguments that no training can use, whatever the data."""
    if tune < 0 or (folds is not None and folds < 1):
        raise UsageError(f"tune = {tune}, folds = {folds}: must be at least 0 and 1")
    asked = [one for one in candidates or () if isinstance(one, str)]
    check_names(asked, available(spec.training))
    horizon_days(spec, horizon)
    check_intervals(n_boot, level)


def check_calibration(
    spec: Spec,
    *,
    against: str,
    apply_to: Path | None,
    horizon: str | None,
    n_boot: int = N_BOOT,
    level: float = LEVEL,
) -> None:
    """Raise UsageError for arguments that no calibration can use."""
    if against not in {"outcome", "importance"}:
        raise UsageError(f"against {against!r}: write outcome or importance")
    if apply_to is not None and apply_to.exists():
        raise UsageError(f"{apply_to} exists already: name a new file, none is ever replaced")
    horizon_days(spec, horizon)
    check_intervals(n_boot, level)


def check_shape(spec: Spec, *, against: str, terms: int, pinned: frozenset[str]) -> None:
    """Raise UsageError for limits that a scorecard's shape cannot keep.

    Args:
        spec: The spec.
        against: What points are fitted to.
        terms: The maximum number of terms.
        pinned: The terms that stay as they are.
    """
    if against != "outcome":
        raise UsageError(f"--shape with --against {against!r}: a shape is fitted to outcome only")
    names = [term.name for term in spec.scorecard.terms]
    for name in sorted(pinned):
        if name not in names:
            raise UsageError(f"--pin {name!r} is no term of the scorecard; {suggest(name, names)}")
    if terms < max(1, len(pinned)):
        raise UsageError(
            f"--max-terms {terms}: must be at least 1, and at least the {len(pinned)} terms "
            "pinned; raise it, or pin fewer"
        )


def check_intervals(n_boot: int, level: float) -> None:
    """Raise UsageError if there are too few bootstrap replicates for intervals at this level.

    >>> check_intervals(1000, 0.95)
    """
    if not 0 < level < 1:
        raise UsageError(f"level = {level:g}: must lie between 0 and 1, such as 0.95")
    least = round(2 / (1 - level))
    if n_boot < least:
        raise UsageError(
            f"n-boot = {n_boot}: {level:.4g} intervals need at least {least:,} replicates, so that "
            "one lies beyond either end; 1,000 and more are usual"
        )


def horizon_days(spec: Spec, horizon: str | None) -> int:
    """Return the days of a horizon such as "60d"; the spec's horizon when None.

    Raises:
        UsageError: The horizon is not a whole number of days.
    """
    try:
        return parse_days(horizon or spec.target.horizon)
    except ValueError as error:
        raise UsageError(f"--horizon: {error}") from None
