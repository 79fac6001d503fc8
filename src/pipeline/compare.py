"""compare: show a training's comparison, and promote what it chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..evaluation.comparison import Comparison, from_dict
from ..spec.model import Spec
from ..tracking import Store, promote, read_comparison
from .scorers import SCORECARD


@dataclass(frozen=True)
class Compared:
    """A training's comparison, read back; promoted: the champion and its version, if moved."""

    run: str
    raw: Mapping[str, Any]
    comparison: Comparison
    promoted: tuple[str, int] | None


def compare_run(
    spec: Spec, store: Store, *, run: str | None = None, promote_scorer: str | None = None
) -> Compared:
    """Read the comparison of a training (the latest when `run` is None).

    promote_scorer: make this scorer the champion; "chosen" takes the one that the comparison
    chose, and keeps the scorecard where no learned scorer was detectably better.

    Raises TrackingError when nothing is trained, UsageError when a sentinel failed or the scorer
    cannot explain itself: then the champion stays what it is.
    """
    found, raw = read_comparison(store, spec.name, run)
    comparison = from_dict(raw["comparison"])
    promoted = None
    if promote_scorer is not None:
        scorer = champion_of(comparison) if promote_scorer == "chosen" else promote_scorer
        _refuse_unfit(raw, comparison, scorer)
        promoted = (scorer, promote(store, spec.name, found, scorer))
    return Compared(found, raw, comparison, promoted)


def champion_of(comparison: Comparison) -> str:
    """Return the chosen scorer where it ranks detectably better, else the reference.

    Judged on the tests that nothing was tuned on.
    """
    if comparison.chosen is None:
        return comparison.reference
    against = comparison.difference("pooled", "roc_auc", comparison.chosen, comparison.reference)
    better = against.detected and against.value > 0
    return comparison.chosen if better else comparison.reference


def _refuse_unfit(raw: Mapping[str, Any], comparison: Comparison, scorer: str) -> None:
    failed = [s for s in raw["sentinels"] if not s["passed"]]
    if failed:
        raise UsageError(
            f"sentinel {failed[0]['name']!r} failed ({failed[0]['saw']}): no champion comes from a "
            "training that may leak; find the leak and train again"
        )
    if scorer not in comparison.tested:
        known = ", ".join(comparison.tested)
        raise UsageError(f"scorer {scorer!r} is not in this training: it has {known}")
    if scorer != SCORECARD and scorer not in raw["explains"]:
        raise UsageError(
            f"scorer {scorer!r} cannot say why (it has no contributions), so it cannot be "
            f"champion; these can: scorecard, {', '.join(raw['explains'])}"
        )
