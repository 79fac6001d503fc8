"""What commands return, for people at a prompt or in a notebook: short, and as a data frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from html import escape
from math import isfinite
from typing import TYPE_CHECKING, Any

from ..scorer import ModelReason, Reason, Scale

if TYPE_CHECKING:
    import pandas as pd

    from ..evaluation.comparison import Comparison
    from ..scoring.calibration import WeightCalibration
    from ..scoring.ranking import RankedUser

_ROWS = 10  # of a frame, shown in a notebook


class Result(ABC):
    """Base of what commands return: `to_frame` has it all, its repr and its HTML are short."""

    @abstractmethod
    def summary(self) -> str:
        """Return it in one line."""

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Return it as a data frame."""

    def __repr__(self) -> str:
        """Return the class and the summary: fields may hold thousands of numbers."""
        return f"<{type(self).__name__}: {self.summary()}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the summary, and the first rows of the frame."""
        frame = self.to_frame()
        left = len(frame) - _ROWS
        more = f"<p>and {left:,} more: see to_frame()</p>" if left > 0 else ""
        table = frame.head(_ROWS).to_html(index=False, float_format="{:.4g}".format, na_rep="")
        return f"<p>{escape(self.summary())}</p>{table}{more}"


def comparison_frame(comparison: Comparison) -> pd.DataFrame:
    """Return one row for each scorer, test and metric, and for the mean over tests ("pooled").

    value, low, high: an estimate and its interval. difference, difference_low, difference_high:
    against the reference, the interval widened for all scorers set against it; on the last test and
    pooled, missing elsewhere and for the reference itself. The best pooled ROC AUC comes first.
    """
    import pandas as pd

    where = {**comparison.by_fold, "pooled": comparison.pooled}
    against = {
        (place, found.metric, found.first): found
        for kind, place in (("last_fold", comparison.fold_names[-1]), ("pooled", "pooled"))
        for one in comparison.differences[kind]
        if comparison.reference in {one.first, one.second}
        for found in [one if one.second == comparison.reference else one.reversed()]
    }
    order = sorted(comparison.pooled, key=lambda name: -comparison.pooled[name]["roc_auc"].value)
    rows = []
    for name in order:
        for place, scorers in where.items():
            for metric, estimate in scorers[name].items():
                found = against.get((place, metric, name))
                row = {"scorer": name, "test": place, "metric": metric, "value": estimate.value}
                row |= {"low": estimate.low, "high": estimate.high}
                row |= {"difference": found.value if found else None}
                row |= {"difference_low": found.family[0] if found else None}
                row |= {"difference_high": found.family[1] if found else None}
                rows.append(row)
    return pd.DataFrame(rows).astype(
        dict.fromkeys(("difference", "difference_low", "difference_high"), "float64")
    )


def users_frame(users: Sequence[RankedUser]) -> pd.DataFrame:
    """Return ranked users, a row each, with their reasons as data."""
    import pandas as pd

    columns = ("rank", "user_id", "score", "label", "probability", "scorecard_score", "agreement")
    rows = [
        [getattr(user, name) for name in columns]
        + [reason_records(user.reasons, "points"), reason_records(user.model_reasons, "log-odds")]
        for user in users
    ]
    return pd.DataFrame(rows, columns=[*columns, "scorecard_reasons", "model_reasons"])


def account_frame(user: RankedUser) -> pd.DataFrame:
    """Return what made one user's score: a row for each feature and each part that has none.

    part, feature, text, value, unit, points, log_odds; a column is missing where its scorer does
    not read the feature. Points add up to the scorecard's score, and log-odds with the base to the
    model's. Where the scorecard alone explains, a row is one of its reasons.
    """
    import pandas as pd

    rows: list[tuple[object, ...]] = []
    for one in user.attributions:
        rows += [
            (one.part, each.name, one.observed, each.value, each.unit, each.points, each.log_odds)
            for each in one.features
        ]
        if not one.features:
            rows.append((one.part, None, one.observed, None, None, one.points, one.log_odds))
    if not user.attributions:
        rows = [(one.part, None, one.text, None, None, one.amount, None) for one in user.reasons]
    columns = ["part", "feature", "text", "value", "unit", "points", "log_odds"]
    return pd.DataFrame(rows, columns=columns).astype({"points": "float64", "log_odds": "float64"})


def terms_frame(calibration: WeightCalibration) -> pd.DataFrame:
    """Return one row for each term, with the columns of weights.csv.

    term, points before, proposed ones; the effect in points and in log-odds with its interval at
    `level`, missing where the data cannot tell; whether the sign is contradicted; shares of the
    model's mean |SHAP| and of the scorecard's mean |contribution|, before and after.
    """
    import pandas as pd

    rows = []
    for term in calibration.terms:
        effect = term.effect
        told = isfinite(effect.low) and isfinite(effect.high)
        points = effect.points()
        rows.append(
            {
                "term": term.name, "points": term.old, "proposed": term.new,
                "effect": points[0],
                "effect_low": points[1] if told else None,
                "effect_high": points[2] if told else None,
                "effect_log_odds": effect.log_odds,
                "effect_log_odds_low": effect.low if told else None,
                "effect_log_odds_high": effect.high if told else None,
                "level": calibration.level, "contradicted": term.contradicted,
                "model_share": term.importance, "scorecard_share": term.own,
                "proposed_share": term.own_new,
            }
        )  # fmt: skip
    ends = ("effect_low", "effect_high", "effect_log_odds_low", "effect_log_odds_high")
    return pd.DataFrame(rows).astype(dict.fromkeys(ends, "float64"))


def reason_records(reasons: Sequence[Reason | ModelReason], unit: Scale) -> list[dict[str, Any]]:
    """Return reasons as data: part, text, amount and the unit of the amount.

    >>> reason_records([Reason("pricing", "viewed pricing once", 5.2)], "points")
    [{'part': 'pricing', 'text': 'viewed pricing once', 'amount': 5.2, 'unit': 'points'}]
    """
    return [
        {"part": reason.part, "text": reason.text, "amount": reason.amount, "unit": unit}
        for reason in reasons
    ]
