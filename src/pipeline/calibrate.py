"""calibrate: propose points for the scorecard from data, and write a new spec only when asked."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ..evaluation.comparison import Comparison, FoldScores, compare
from ..files import replacing
from ..models.classifier import RankingClassifier
from ..scorer import Floats
from ..scoring.calibration import (
    Against,
    Effect,
    WeightCalibration,
    calibrate_to_importance,
    calibrate_to_outcome,
    shap_slopes,
    term_shares,
)
from ..scoring.scorecard import Scorecard
from ..spec.load import spec_text
from ..spec.model import Spec
from ..spec.rewrite import with_points
from ..warehouse.engine import Warehouse
from ..warehouse.published import Published
from .build import Say
from .calibration_words import closing_line, intervals_line, opening_lines
from .checks import LEVEL, N_BOOT, check_calibration
from .results import Result, terms_frame
from .scorers import SCORECARD
from .training_data import Labelled, read_labelled, set_course, user_codes

if TYPE_CHECKING:
    import pandas as pd

CALIBRATED = "calibrated"
UNROUNDED = "unrounded"
MODEL = "xgboost on terms"
_GROUPS = 8  # of users, each with a model of its own


@dataclass(frozen=True)
class Rounding:
    """What making the points whole did to the ranking of the later date.

    rank_correlation: Spearman's, of scores by whole points and by those before rounding.
    comparison: of the two.
    """

    rank_correlation: float
    comparison: Comparison

    def words(self) -> str:
        """Say how much of the ranking whole points keep."""
        whole = self.comparison.tested[CALIBRATED]["roc_auc"].value
        real = self.comparison.tested[UNROUNDED]["roc_auc"].value
        change = self.comparison.difference("tested", "roc_auc", CALIBRATED, UNROUNDED)
        return (
            f"whole points against unrounded ones: rank correlation {self.rank_correlation:.3f}, "
            f"ROC AUC {whole:.3f} against {real:.3f} ({change.numbers()})"
        )


@dataclass(frozen=True, repr=False)
class Calibration(Result):
    """A proposal, how it ranks a later date it has not seen, and the spec it would make.

    diff: the change of the spec's text, as lines. text: the new spec. written: where, if applied.
    sample: what is said of the users that it was learnt from; empty where they are all users.
    margins: of the later date's users, by each scorer. tested: those users and their outcomes.
    published: the build that was read.
    """

    calibration: WeightCalibration
    comparison: Comparison
    rounding: Rounding
    trained: tuple[date, ...]
    diff: tuple[str, ...]
    text: str
    written: Path | None
    sample: str
    margins: Mapping[str, Floats]
    tested: Labelled
    published: Published

    def summary(self) -> str:
        """Return how the proposal ranks the later date, against the points as they are."""
        change = self.comparison.difference("tested", "roc_auc", CALIBRATED, SCORECARD)
        return (
            f"against {self.calibration.against}, tried on {self.comparison.tests[-1]}: "
            f"{change.words()}"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each term; see `results.terms_frame`."""
        return terms_frame(self.calibration)

    @property
    def build(self) -> str:
        """The id of the build that was read."""
        return self.published.info.build_id


def calibrate(
    spec: Spec,
    warehouse: Warehouse,
    *,
    source: str | Path,
    against: str = "outcome",
    as_of: date | None = None,
    horizon: str | None = None,
    apply_to: Path | None = None,
    n_boot: int = N_BOOT,
    level: float = LEVEL,
    seed: int = 0,
    say: Say = lambda _: None,
) -> Calibration:
    """Propose whole points learnt before a date, and rank that date with old and new ones.

    source: the spec's name or file, whose text is rewritten. against: outcome (a logistic fit of
    the scorecard's own terms, their signs kept) or importance (XGBoost's mean |SHAP| of the same
    terms). apply_to: a new file for the calibrated spec; nothing is written when None, and no file
    is ever replaced. n_boot: bootstrap replicates over users. level: of all intervals.

    Raises UsageError for another `against`, a file that exists already, or a level that so few
    replicates cannot tell.
    """
    check_calibration(
        spec, against=against, apply_to=apply_to, horizon=horizon, n_boot=n_boot, level=level
    )
    course = set_course(spec, warehouse, as_of=as_of, horizon=horizon, folds=1, seed=seed, say=say)
    fold = course.folds[-1]
    train = [read_labelled(spec, course, day) for day in fold.train]
    test = read_labelled(spec, course, fold.test)
    say("calibrating")
    kind: Against = "outcome" if against == "outcome" else "importance"
    found, model = _learn(spec, train, kind, seed, level)
    margins = {
        SCORECARD: Scorecard(spec.scorecard).score(test.table),
        CALIBRATED: Scorecard(found.proposed).score(test.table),
        MODEL: model.decision_function(term_shares(spec.scorecard, test.table)),
    }
    settings = {"n_boot": n_boot, "level": level, "seed": seed, "capacity": spec.training.capacity}
    comparison = _compare(margins, test, SCORECARD, **settings)  # type: ignore[arg-type]
    real = {
        CALIBRATED: margins[CALIBRATED],
        UNROUNDED: Scorecard(found.unrounded).score(test.table),
    }
    rounding = Rounding(
        float(spearmanr(real[CALIBRATED], real[UNROUNDED]).statistic),
        _compare(real, test, UNROUNDED, **settings),  # type: ignore[arg-type]
    )
    before = spec_text(source)
    points = {term.name: term.new for term in found.terms}
    caps = {name: new for name, (_, new) in found.caps.items()}
    after = with_points(before, points, caps, f"{spec.version}-calibrated")
    diff = difflib.unified_diff(
        before.splitlines(), after.splitlines(), str(source), "calibrated", lineterm="", n=0
    )
    if apply_to is not None:
        with replacing(apply_to) as temporary:
            temporary.write_text(after, encoding="utf-8")
    return Calibration(
        found, comparison, rounding, fold.train, tuple(diff), after, apply_to,
        course.published.info.sample, margins, test, course.published,
    )  # fmt: skip


def _learn(
    spec: Spec, train: Sequence[Labelled], kind: Against, seed: int, level: float
) -> tuple[WeightCalibration, RankingClassifier]:
    """Return the proposal, and XGBoost on the same terms."""
    table = np.concatenate([term_shares(spec.scorecard, part.table) for part in train])
    labels = np.concatenate([part.labels for part in train])
    users = np.concatenate(user_codes([part.table.user_ids for part in train]))
    model, values = _explained(table, labels, seed)
    if kind == "outcome":
        importance = np.abs(values).mean(axis=0)
        found = calibrate_to_outcome(spec.scorecard, table, labels, users, importance, level=level)
        return found, model
    slopes = _slopes_of_groups(table, labels, users, seed)
    return calibrate_to_importance(spec.scorecard, table, values, slopes, level=level), model


def _explained(
    table: Floats, labels: NDArray[np.bool_], seed: int
) -> tuple[RankingClassifier, Floats]:
    """Return XGBoost on the terms, and its SHAP values.

    Free of monotone constraints: a sign that the data contradict must be able to show.
    """
    model = RankingClassifier("xgboost", seed=seed).fit(table, labels)
    values = model.contributions(table)
    assert values is not None  # noqa: S101 - XGBoost has contributions
    return model, values[0]


def _slopes_of_groups(
    table: Floats, labels: NDArray[np.bool_], users: NDArray[np.int64], seed: int
) -> Floats:
    """Return SHAP slopes of models that have no user in common, (groups, terms)."""
    group = np.random.default_rng([seed, 2]).integers(0, _GROUPS, int(users.max()) + 1)[users]
    found = []
    for one in range(_GROUPS):
        rows = group == one
        if labels[rows].any() and not labels[rows].all():
            _, values = _explained(table[rows], labels[rows], seed)
            found.append(shap_slopes(table[rows], values))
    return np.reshape(found, (len(found), table.shape[1]))


def calibration_lines(made: Calibration) -> Iterator[str]:
    """Yield the terms before and after, how both rank a later date, and the spec's diff."""
    comparison = made.comparison
    against = f"against {made.calibration.against}"
    yield from opening_lines(against, made.trained, comparison, made.sample)
    yield ""
    yield from _term_lines(made.calibration)
    yield ""
    for name in (SCORECARD, CALIBRATED, MODEL):
        tested = comparison.tested[name]
        yield f"{name:<17} ROC AUC {tested['roc_auc']}, lift {tested['lift']}"
    yield intervals_line(comparison)
    yield comparison.difference("tested", "roc_auc", CALIBRATED, SCORECARD).words()
    yield made.rounding.words()
    yield ""
    yield from made.diff or ["the points stay as they are"]
    yield ""
    yield closing_line("calibrated", made.written)


def _term_lines(calibration: WeightCalibration) -> Iterator[str]:
    """Yield a table of the terms, and what its columns are."""
    rows = [("term", "points", "new", "effect, points", "model", "scorecard", "")]
    rows += [
        (
            term.name, f"{term.old:g}", f"{term.new:g}", effect_text(term.effect),
            f"{term.importance:.1%}", f"{term.own:.1%}",
            "the other sign: kept, look at it" if term.contradicted else "",
        )
        for term in calibration.terms
    ]  # fmt: skip
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [c.rjust(w) for c, w in zip(row[1:6], widths[1:6], strict=True)]
        yield "  ".join([*cells, row[6]]).rstrip()
    yield ""
    source = {
        "outcome": "a logistic fit without signs",
        "importance": "SHAP slopes of models of an eighth of the users each",
    }
    log_odds = calibration.terms[0].effect.per_point
    yield (
        f"effect: of the whole term by {source[calibration.against]}, in points of the new card "
        f"(one is {log_odds:.3g} log-odds),"
    )
    yield f"  with intervals of {100 * calibration.level:g}% for all terms together"
    yield "model: share of XGBoost's mean |SHAP|; scorecard: of the points' own mean |contribution|"


def effect_text(effect: Effect) -> str:
    """Write an effect in points with its interval.

    >>> effect_text(Effect(log_odds=1.5, low=1.0, high=2.0, per_point=0.05))
    '+30 [+20, +40]'
    """
    if not np.isfinite([effect.low, effect.high]).all():
        return "the data cannot tell"
    value, low, high = (f"{_unsigned_zero(part):+.0f}" for part in effect.points())
    return f"{value} [{low}, {high}]"


def _unsigned_zero(value: float) -> float:
    return round(value) + 0.0


def _compare(
    margins: dict[str, Floats],
    test: Labelled,
    reference: str,
    *,
    n_boot: int,
    level: float,
    seed: int,
    capacity: float,
) -> Comparison:
    users = np.arange(len(test.labels))
    scores = FoldScores(
        test.as_of.isoformat(), users, test.labels, margins, {}, dict.fromkeys(margins)
    )
    rng = np.random.default_rng(seed)
    return compare(
        [scores], reference=reference, capacity=capacity, n_boot=n_boot, level=level, rng=rng
    )
