"""A saved scorer applied to data frames, for model servers and notebooks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from .errors import DataError
from .features.limits import impossible_values
from .models.learned import LearnedScorer
from .published.snapshot import Snapshot
from .ranking.rank import explain_by_model
from .ranking.saved import load_scorer
from .scorer import ModelReason, Reason, Scorer, grouped
from .scoring.points_scorer import PointsScorer
from .scoring.ranking import LABELS
from .scoring.reasons import placeholders, scorecard_reasons
from .spec.model import Spec
from .types import Floats

if TYPE_CHECKING:
    import pandas as pd

# MLflow runs this code to load a model, so that no model is ever pickled.
MODEL_CODE = """\
from mlflow.models import set_model

from whyrank.tracking import ranking_model

set_model(ranking_model())
"""


@dataclass(frozen=True)
class Served:
    """A scorer and its spec: features in; score, label, probability and reasons out."""

    spec: Spec
    scorer: Scorer

    @classmethod
    def load(cls, folder: Path, spec: Path) -> Self:
        """Read a saved scorer and the spec that was saved with it."""
        parsed = Spec.model_validate_json(spec.read_text(encoding="utf-8"))
        return cls(parsed, load_scorer(folder, parsed))

    @property
    def by_points(self) -> bool:
        """Whether the scorecard ranks."""
        return isinstance(self.scorer, PointsScorer)

    @property
    def features(self) -> tuple[str, ...]:
        """The features that a frame must have."""
        return self._of_the_scorecard if self.by_points else self.scorer.features

    @property
    def reads(self) -> tuple[str, ...]:
        """All features that are read: the required ones, and those that only points need."""
        return tuple(dict.fromkeys([*self.features, *self._of_the_scorecard]))

    @property
    def _of_the_scorecard(self) -> tuple[str, ...]:
        terms = self.spec.scorecard.terms
        said = sorted(set().union(*(placeholders(term.reason) for term in terms)))
        return tuple(dict.fromkeys([*(term.feature for term in terms), *said]))

    def predict(
        self, frame: pd.DataFrame, *, reasons: bool = True, user_id: bool = False
    ) -> pd.DataFrame:
        """Score users; return one row per user, in the order of the frame.

        The columns returned:

        - score: The score, 0 to 100.
        - label: The band of the score.
        - probability: The probability of the target within the horizon.
        - points: The scorecard's points. Null if the frame lacks a feature that only the scorecard
          reads.
        - reasons: The scorer's reasons as one text. Empty for a scorer without contributions.
        - reasons_json: The reasons of scorer and scorecard, as a JSON array of objects.
        - base_log_odds, log_odds, contributions: The base and the contributions (a JSON object, by
          part of a learned scorer or by term of the scorecard) add up to log_odds, the logit of the
          probability. Null and empty for a scorer without contributions.
        - flags: Impossible values (a count below 0, a share above 1, a user without any known
          value), joined by "; ". Such a user is still scored.

        Args:
            frame: The users' features. Columns that are not read are ignored.
            reasons: Whether to give reasons, which take most of the time.
            user_id: Whether to return that column of the frame as the first one.

        Raises:
            DataError: The frame lacks a feature, or has a value that is not a number. The message
                names it.
        """
        import pandas as pd

        self._refuse_missing(frame, user_id=user_id)
        names = [name for name in self.reads if name in frame.columns]
        table = Snapshot(_as_table(frame[names], self.spec))
        flags = impossible_values([self.spec.feature(n) for n in names], table, len(frame))
        card = PointsScorer.of(self.spec)
        has_points = set(self._of_the_scorecard) <= set(names)
        hundredths = card.raw_score(table) if has_points else np.empty(0, dtype=np.int64)
        raw = hundredths if self.by_points else self.scorer.raw_score(table)
        by_points: list[list[Reason]] = [[] for _ in range(len(frame))]
        by_model: list[list[ModelReason]] = [[] for _ in range(len(frame))]
        contributions = _no_contributions(len(frame))
        if reasons:
            rows = table.rows()
            by_model, contributions = self._why(table, rows)
            if has_points:
                parts = card.contributions(table)
                by_points = scorecard_reasons(self.spec.scorecard, parts, rows)
                if isinstance(self.scorer, PointsScorer):
                    exact = self.scorer.log_odds(parts)
                    contributions = _contributions(
                        exact.names, np.asarray(exact.values, float), exact.base
                    )
        why = (
            ["; ".join(str(reason) for reason in own) for own in by_points]
            if self.by_points
            else [grouped(own) for own in by_model]
        )
        return pd.DataFrame(
            {
                **({"user_id": frame["user_id"].to_numpy()} if user_id else {}),
                "score": np.asarray(self.scorer.score_of(raw), dtype=np.float64),
                "label": [LABELS[code] for code in self.scorer.bands_of(raw)],
                "probability": np.asarray(self.scorer.probability_of(raw), dtype=np.float64),
                "points": hundredths / 100 if has_points else np.nan,
                "reasons": why,
                "reasons_json": list(map(_as_json, by_model, by_points)),
                **contributions,
                "flags": ["; ".join(each) for each in flags],
            }
        )

    def _refuse_missing(self, frame: pd.DataFrame, *, user_id: bool) -> None:
        asked = [*self.features, *(["user_id"] if user_id else [])]
        if missing := [name for name in asked if name not in frame.columns]:
            more = f", nor {len(missing) - 1} others of" if len(missing) > 1 else ", one of"
            raise DataError(
                f"the frame has no column {missing[0]!r}{more} the {len(asked)} that are needed"
            )

    def _why(
        self, table: Snapshot, rows: Sequence[Mapping[str, object]]
    ) -> tuple[list[list[ModelReason]], dict[str, object]]:
        """Return a learned scorer's reasons and contributions; both empty for other scorers."""
        if not isinstance(self.scorer, LearnedScorer) or not self.scorer.explains:
            return [[] for _ in rows], _no_contributions(len(rows))
        found = explain_by_model(self.spec, self.scorer, table, rows)
        explained = found.explained
        contributions = _contributions(tuple(explained.parts), explained.values, explained.base)
        return found.reasons, contributions


def _no_contributions(rows: int) -> dict[str, object]:
    nothing = np.full(rows, np.nan)
    return {"base_log_odds": nothing, "log_odds": nothing, "contributions": [""] * rows}


def _contributions(names: Sequence[str], values: Floats, base: float) -> dict[str, object]:
    """Return base, total and contributions as columns."""
    return {
        "base_log_odds": np.full(len(values), base),
        "log_odds": base + values.sum(axis=1),
        "contributions": [
            json.dumps(dict(zip(names, row, strict=True))) for row in values.tolist()
        ],
    }


def _as_json(by_model: Sequence[ModelReason], by_points: Sequence[Reason]) -> str:
    """Return reasons as a JSON array of by, part, amount, unit and text."""
    both: tuple[tuple[str, str, Sequence[Reason | ModelReason]], ...] = (
        ("model", "log_odds", by_model),
        ("scorecard", "points", by_points),
    )
    told = [
        {"by": by, "part": one.part, "amount": one.amount, "unit": unit, "text": one.text}
        for by, unit, reasons in both
        for one in reasons
    ]
    return json.dumps(told, ensure_ascii=False)


def _as_table(frame: pd.DataFrame, spec: Spec) -> pa.Table:
    """Return a frame's columns as floats and strings, converted from whatever types they have.

    Raises:
        DataError: A numeric column has a value that is not a number.
    """
    columns = {}
    for name in frame.columns:
        values = frame[name]
        if spec.feature(name).type == "text":
            columns[name] = pa.array(
                [
                    None if absent else str(v)
                    for v, absent in zip(values, values.isna(), strict=True)
                ]
            )
            continue
        try:
            columns[name] = pa.array(_floats(values), from_pandas=True)
        except (TypeError, ValueError):
            bad = next((v for v in values.dropna() if not _is_number(v)), values.dtype)
            raise DataError(f"column {name!r}: {bad!r} is not a number") from None
    return pa.table(columns)


def _floats(values: pd.Series[Any]) -> pd.Series[float]:
    """Return numbers, booleans, decimals and numbers as text as floats; nulls of any kind as NaN.

    Raises TypeError or ValueError for anything else: dates and complex numbers are no amounts.
    """
    if values.dtype.kind in "cmM":
        raise TypeError(values.dtype)
    if values.dtype == object:
        values = values.where(values.notna(), np.nan)
    return values.astype("float64")


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type] # that is the question
    except (TypeError, ValueError):
        return False
    return True
