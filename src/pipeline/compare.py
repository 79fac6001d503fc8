"""compare: show a training's comparison, and promote what it chose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..evaluation.comparison import Comparison, from_dict
from ..evaluation.leakage_checks import LeakageCheck
from ..extras import require
from ..ranking.active_scorer import SCORECARD
from ..reports.frames import Result, comparison_frame
from ..spec.model import Spec
from ..tracking import Store, promote, read_champion, read_comparison

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Compared(Result):
    """A training's comparison, read back.

    promoted: the champion and its version, if moved. before: those of the champion that was there.
    cautions: what speaks against the promotion.
    """

    run: str
    raw: Mapping[str, Any]
    comparison: Comparison
    promoted: tuple[str, int] | None
    before: tuple[str, int] | None = None
    cautions: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return the verdict."""
        moved = f"; champion: {self.promoted[0]} v{self.promoted[1]}" if self.promoted else ""
        return f"run {self.run}: {self.comparison.verdict()}{moved}"

    def to_frame(self) -> pd.DataFrame:
        """Return every estimate and difference; see `reports.frames.comparison_frame`."""
        return comparison_frame(self.comparison)

    def plot(self, path: Path, metric: str = "roc_auc") -> None:
        """Write every scorer's metric, and how it differs from the reference's, as PNG."""
        from ..reports.comparison_figure import comparison_figure

        comparison_figure(path, self.comparison, metric)


def compare(
    spec: Spec, store: Store, *, run: str | None = None, promote_scorer: str | None = None
) -> Compared:
    """Read the comparison of a training (the latest when `run` is None).

    promote_scorer: make this scorer the champion; "selected" takes the one that the comparison
    chose, and keeps the scorecard where no learned scorer was detectably better.

    Raises InstallError without the extra `models`, TrackingError when nothing is trained,
    UsageError when a leakage check failed or the scorer cannot explain itself: then the champion
    stays what it is.
    """
    require("models", "`whyrank compare`")
    found, raw = read_comparison(store, spec.name, run)
    comparison = from_dict(raw["comparison"])
    if promote_scorer is None:
        return Compared(found, raw, comparison, None)
    wanted = promote_scorer in {"selected", "chosen"}
    scorer = champion_of(comparison) if wanted else promote_scorer
    _refuse_unfit(raw, comparison, scorer)
    before = read_champion(store, spec.name)
    promoted = (scorer, promote(store, spec.name, found, scorer))
    return Compared(found, raw, comparison, promoted, before, tuple(cautions(comparison, scorer)))


def comparison_document(found: Compared) -> dict[str, Any]:
    """Return a comparison with all its figures, and what was promoted, as JSON can hold it."""

    def named(champion: tuple[str, int] | None) -> dict[str, Any] | None:
        return None if champion is None else {"scorer": champion[0], "version": champion[1]}

    return {
        "run": found.run,
        **found.raw,
        "proposed": champion_of(found.comparison),
        "promoted": named(found.promoted),
        "champion_before": named(found.before),
        "cautions": list(found.cautions),
    }


def promotion_lines(spec_name: str, found: Compared) -> Iterator[str]:
    """Yield who is champion now, and who was before, where one was promoted."""
    if found.promoted is None:
        return
    name, version = found.promoted
    yield ""
    yield f"champion of {spec_name}: {name} (version {version})"
    if found.before is None:
        yield "before: none, and the scorecard ranked"
    elif found.before == found.promoted:
        yield "before: the same"
    else:
        yield f"before: {found.before[0]} (version {found.before[1]})"


def champion_of(comparison: Comparison) -> str:
    """Return the selected scorer where it ranks detectably better, else the reference.

    Only the backtest folds that nothing was tuned on count.
    """
    if comparison.selected is None:
        return comparison.reference
    against = comparison.difference("pooled", "roc_auc", comparison.selected, comparison.reference)
    better = against.detected and against.value > 0
    return comparison.selected if better else comparison.reference


def cautions(comparison: Comparison, scorer: str) -> Iterator[str]:
    """Yield what speaks against making a scorer champion, by the rule of `champion_of`."""
    reference, proposed = comparison.reference, champion_of(comparison)
    for other in dict.fromkeys((reference, proposed)):
        if other == scorer:
            continue
        found = comparison.difference("pooled", "roc_auc", scorer, other)
        if found.detected and found.value > 0:
            continue
        why = "the simpler one" if other == reference else "which --promote selected takes"
        doubt = "" if found.detected else f": {other}, {why}, may rank as well"
        yield f"by ROC AUC, {comparison.where()}, {found.words()}{doubt}"


def _refuse_unfit(raw: Mapping[str, Any], comparison: Comparison, scorer: str) -> None:
    failed = [check for check in LeakageCheck.read(raw) if not check.passed]
    if failed:
        raise UsageError(
            f"leakage check {failed[0].name!r} failed ({failed[0].detail}): no champion comes from "
            "a training that may leak; find the leak and train again"
        )
    if scorer not in comparison.last_fold:
        known = ", ".join(comparison.last_fold)
        raise UsageError(f"scorer {scorer!r} is not in this training: it has {known}")
    if scorer != SCORECARD and scorer not in raw["explains"]:
        raise UsageError(
            f"scorer {scorer!r} cannot say why (it has no contributions), so it cannot be "
            f"champion; these can: scorecard, {', '.join(raw['explains'])}"
        )
