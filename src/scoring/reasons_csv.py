"""Points and attributions of the exported users: reasons.csv, a line for each user and feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..escapes import Ids, csv_writer, escape_formula
from ..files import atomic_write
from ..scorer import Attribution, FeatureValue
from .ranking import RankedUser

COLUMNS = (
    "rank",
    "user_id",
    "part",
    "feature",
    "value",
    "text_value",
    "unit",
    "points",
    "points_log_odds",
    "log_odds",
    "is_model_reason",
    "is_points_reason",
    "direction",
    "points_reason",
    "model",
    "model_base_log_odds",
    "model_log_odds",
    "model_probability",
)


def write_reasons(
    path: Path, users: Sequence[RankedUser], *, stamps: Mapping[str, str], model: str
) -> None:
    """Write points and attributions of every user as CSV, with columns for units and flags.

    part: the group of features that are explained together, or the feature itself; a part that
    belongs to no feature, such as the cap of a group of terms, has an empty `feature`. value: a
    number, 1 or 0 for yes and no; text_value: a text; both are empty where it is not known. Points
    add up to the user's score, and log_odds with model_base_log_odds to model_log_odds, the logit
    of model_probability. points_log_odds: what the points add to the log-odds of a calibrated
    scorecard that ranks. is_model_reason, is_points_reason and direction are of the part. A cell is
    empty where the scorecard or the model does not read the feature. Formulas are escaped.
    """
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv_writer(file)
        ids = Ids(user.user_id for user in users)
        writer.writerow([*ids.columns(COLUMNS), *stamps])
        last = [escape_formula(value) for value in stamps.values()]
        for user in users:
            for line in _lines(user, ids, model):
                writer.writerow([*line, *last])


def _lines(user: RankedUser, ids: Ids, model: str) -> Iterator[list[str]]:
    total = user.model
    whole = ["", "", "", ""]
    if total is not None:
        sums = (total.base, total.log_odds, total.probability)
        whole = [escape_formula(model), *map(_number, sums)]
    for part in user.attributions:
        flags = [
            "" if part.log_odds is None else "yes" if part.stable else "no",
            "" if part.points is None else "yes" if part.reason else "no",
            "" if part.raises is None else "raises" if part.raises else "lowers",
            escape_formula(part.reason),
        ]
        for one in part.features or (_without_feature(part),):
            beyond = None
            if one.points is not None and user.point_log_odds is not None:
                beyond = one.points * user.point_log_odds
            yield [
                str(user.rank),
                *ids.cells(user.user_id),
                part.part,
                one.name,
                *_value(one.value),
                escape_formula(one.unit),
                "" if one.points is None else f"{one.points:.2f}",
                _number(beyond),
                _number(one.log_odds),
                *flags,
                *whole,
            ]


def _without_feature(part: Attribution) -> FeatureValue:
    return FeatureValue("", None, "", part.points, part.log_odds)


def _value(value: object) -> tuple[str, str]:
    """Return a number and a text, of which one at least is empty."""
    if value is None or value != value:  # noqa: PLR0124 - not a number
        return "", ""
    if isinstance(value, bool):
        return str(int(value)), ""
    if isinstance(value, (int, float)):
        return repr(value), ""
    return "", escape_formula(str(value))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.9f}"
