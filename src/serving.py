"""A saved scorer over data frames: what a model server or a notebook calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from .errors import DataError
from .features.matrix import Snapshot
from .models.explain import explain_rows, model_reasons
from .models.learned import Calibrator, LearnedScorer
from .models.rank_average import SavedRankAverage
from .models.storage import read_whole
from .scorer import Floats, Integers, Reason
from .scoring.ranking import LABELS, band_codes
from .scoring.reasons import places, scorecard_reasons
from .scoring.scorecard import Scorecard
from .spec.model import Spec

if TYPE_CHECKING:
    import pandas as pd

# MLflow runs this text where a model is loaded; so nothing of a model is ever pickled.
MODEL_CODE = """\
from mlflow.models import set_model

from whyrank.tracking import ranking_model

set_model(ranking_model())
"""
_SCORECARD_FILE = "scorecard.json"


@dataclass(frozen=True)
class SavedScorecard:
    """The scorecard as it is kept beside learned scorers: the spec's points, and their chances."""

    calibrator: Calibrator

    def save(self, folder: Path) -> None:
        """Write scorecard.json to a new folder; the points themselves are in the spec."""
        folder.mkdir(parents=True)
        text = json.dumps({"calibrator": asdict(self.calibrator)})
        (folder / _SCORECARD_FILE).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read scorecard.json; raises DataError when it is damaged."""
        with read_whole(folder):
            raw = json.loads((folder / _SCORECARD_FILE).read_text(encoding="utf-8"))
            return cls(Calibrator(**raw["calibrator"]))


def load_scorer(folder: Path) -> LearnedScorer | SavedRankAverage | SavedScorecard:
    """Read a saved scorer of any kind; raises DataError when the folder holds none."""
    if (folder / _SCORECARD_FILE).exists():
        return SavedScorecard.load(folder)
    if SavedRankAverage.is_in(folder):
        return SavedRankAverage.load(folder)
    return LearnedScorer.load(folder)


@dataclass(frozen=True)
class Served:
    """A scorer and its spec: features in, score, label, probability and reasons out."""

    spec: Spec
    scorer: LearnedScorer | SavedRankAverage | SavedScorecard

    @classmethod
    def load(cls, folder: Path, spec: Path) -> Self:
        """Read a saved scorer and the spec that was saved with it."""
        return cls(Spec.model_validate_json(spec.read_text(encoding="utf-8")), load_scorer(folder))

    @property
    def features(self) -> tuple[str, ...]:
        """The features that a frame must have."""
        if not isinstance(self.scorer, SavedScorecard):
            return self.scorer.features
        terms = self.spec.scorecard.terms
        said = sorted(set().union(*(places(term.reason) for term in terms)))
        return tuple(dict.fromkeys([*(term.feature for term in terms), *said]))

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return score, label, probability and reasons (texts joined by "; "), a row a user.

        A scorer that cannot say why gives an empty text.

        Raises DataError naming a feature that the frame lacks.
        """
        import pandas as pd

        missing = [name for name in self.features if name not in frame.columns]
        if missing:
            raise DataError(
                f"the frame has no column {missing[0]!r}; this scorer reads: "
                + ", ".join(self.features)
            )
        table = Snapshot(_as_table(frame[list(self.features)], self.spec))
        rows = table.rows()
        if not isinstance(self.scorer, SavedScorecard):
            margin = self.scorer.margin(table)
            score = self.scorer.score_of(margin)
            codes = percentile_codes(self.scorer, score)
            chance = self.scorer.calibrator.probability(margin)
            why = self._why(table, rows)
        else:
            card = Scorecard(self.spec.scorecard)
            hundredths = card.score_hundredths(table)
            score, codes = hundredths / 100, band_codes(hundredths, self.spec.bands)
            chance = self.scorer.calibrator.probability(score)
            why = scorecard_reasons(self.spec.scorecard, card.contributions(table), rows)
        return pd.DataFrame(
            {
                "score": np.asarray(score, dtype=np.float64),
                "label": [LABELS[code] for code in codes],
                "probability": np.asarray(chance, dtype=np.float64),
                "reasons": ["; ".join(str(reason) for reason in reasons) for reasons in why],
            }
        )

    def _why(self, table: Snapshot, rows: Sequence[Mapping[str, object]]) -> list[list[Reason]]:
        """Return a learned scorer's reasons, none where it cannot say why."""
        if not isinstance(self.scorer, LearnedScorer) or not self.scorer.explains:
            return [[] for _ in rows]
        features = {feature.name: feature for feature in self.spec.features}
        explained = explain_rows(self.scorer, table, self.spec.training.groups)
        return model_reasons(explained, rows, features)


def percentile_codes(scorer: LearnedScorer | SavedRankAverage, score: Floats) -> Integers:
    """Return each score's band as a position in LABELS, by the scorer's own percentiles."""
    return np.searchsorted(scorer.bands, score, side="right")


def _as_table(frame: pd.DataFrame, spec: Spec) -> pa.Table:
    """Return a frame's columns as numbers and texts, whatever types they came in.

    Raises DataError for a value that is no number where a number is needed.
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
