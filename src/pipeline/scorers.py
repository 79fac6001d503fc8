"""Find the scorer that a name means: the scorecard, or a learned one from the registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..models.learned import LearnedScorer
from ..models.spend import SpendScorer
from ..scoring.scorecard import Scorecard
from ..serving import SavedScorecard, load_scorer
from ..spec.model import Spec
from ..tracking import CHAMPION, Store, fetch_scorer
from .specs import features_version

SCORECARD = Scorecard.name
SPEND_FOLDER = "spend"
MODEL_PLOTS = "model_plots.png"


@dataclass(frozen=True)
class Chosen:
    """A scorer to rank by: learned is None for the scorecard.

    version: in the registry, else 0. spend: what expects spend beside it, where that was trained.
    plots: how it ranked on its last test, drawn.
    """

    name: str
    learned: LearnedScorer | None
    version: int = 0
    spend: SpendScorer | None = None
    plots: Path | None = None

    @property
    def stamp(self) -> str:
        """What stands in outputs, such as "xgboost v3"."""
        return f"{self.name} v{self.version}" if self.version else self.name


def choose_scorer(spec: Spec, name: str, store: Store) -> Chosen:
    """Return the scorer of a name: champion, scorecard, a learned one's name, or models:/….

    Without a champion, "champion" is the scorecard.

    Raises UsageError when there is no such scorer, or it was trained on other features than the
    spec has now.
    """
    if name == SCORECARD:
        return Chosen(SCORECARD, None)
    found = fetch_scorer(store, spec.name, name)
    if found is None:
        if name == CHAMPION:
            return Chosen(SCORECARD, None)
        raise UsageError(
            f"no scorer {name!r} is registered for spec {spec.name!r}: run `whyrank train`, and "
            "see `whyrank compare` for the names"
        )
    scorer_name, version, folder = found
    scorer = load_scorer(folder)
    if isinstance(scorer, SavedScorecard):
        return Chosen(SCORECARD, None)
    about = scorer.about
    if about.spec != spec.name or about.features_version != features_version(spec):
        raise UsageError(
            f"scorer {scorer_name!r} (version {version}) was trained on spec {about.spec} "
            f"{about.spec_version}, and the features of {spec.name!r} have changed since: run "
            "`whyrank train` again, or score with --scorer scorecard"
        )
    spend = folder / SPEND_FOLDER
    return Chosen(
        scorer_name,
        scorer,
        version,
        SpendScorer.load(spend) if spend.exists() else None,
        folder / MODEL_PLOTS,
    )
