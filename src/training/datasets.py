"""Training and test data from published snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..errors import DataError
from ..evaluation.folds import Fold
from ..models.kinds.base import FitSpec, TrainingData
from ..published.build import Published
from ..published.labels import converted_within, outcomes_within
from ..published.snapshot import Snapshot
from ..spec.model import Spec
from ..types import Floats


@dataclass(frozen=True)
class Labelled:
    """One snapshot of the population, with the outcomes within the horizon after it.

    Attributes:
        as_of: The date of the snapshot.
        table: The features of the n users.
        labels: Whether a user reached the target, (n,).
        spend: The summed value of a user's outcomes, (n,); 0 if refunds exceed purchases.
        refunded: Users whose refunds exceed their purchases.
    """

    as_of: date
    table: Snapshot
    labels: NDArray[np.bool_]
    spend: Floats
    refunded: int = 0

    def take(self, inside: NDArray[np.bool_]) -> Labelled:
        """Return the users for whom `inside`, (n,), is true."""
        table = self.table.take(np.flatnonzero(inside))
        return Labelled(self.as_of, table, self.labels[inside], self.spend[inside])


@dataclass(frozen=True)
class Backtest:
    """The folds and data of a training.

    Attributes:
        folds: The backtest folds, oldest first.
        calibration_fold: A fold before them, whose outcomes calibrate the first one's
            probabilities. None if the log does not reach back so far or has too few users of a
            class there.
        horizon_days: The horizon of outcomes.
        published: The build to read.
        plan: The features and constraints of candidates.
    """

    folds: tuple[Fold, ...]
    calibration_fold: Fold | None
    horizon_days: int
    published: Published
    plan: FitSpec

    def all_folds(self) -> tuple[Fold, ...]:
        """Return the folds, the calibration fold first."""
        return (*([self.calibration_fold] if self.calibration_fold else []), *self.folds)


def read_labelled(spec: Spec, backtest: Backtest, as_of: date) -> Labelled:
    """Read the population as of a date, with the features of all scorers and the outcomes."""
    training = spec.training
    names = (
        *backtest.plan.numeric,
        *backtest.plan.categorical,
        *(term.feature for term in spec.scorecard.terms),
        *(training.purchases.names() if training.purchases else ()),
        *((training.recency,) if training.recency else ()),
    )
    table = Snapshot.read(backtest.published.snapshot(as_of), tuple(dict.fromkeys(names)))
    labels = converted_within(backtest.published, table, as_of, backtest.horizon_days)
    spend = _spend(backtest, table, as_of)
    return Labelled(as_of, table, labels, np.maximum(spend, 0.0), int((spend < 0).sum()))


def stack(parts: Sequence[Labelled]) -> TrainingData:
    """Concatenate snapshots, the latest last, as training data."""
    table = Snapshot.stack([part.table for part in parts])
    latest = np.zeros(len(table), dtype=bool)
    latest[len(table) - len(parts[-1].table) :] = True
    late = np.repeat(np.arange(len(parts)) >= len(parts) / 2, [len(part.labels) for part in parts])
    users = user_codes([part.table.user_ids for part in parts])
    return TrainingData(
        table, np.concatenate([part.labels for part in parts]), np.concatenate(users), latest, late
    )


def split_users(
    parts: Sequence[Labelled], *, seed: int
) -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
    """Split snapshots into two halves of the users, with as many conversions in each.

    Raises:
        DataError: Fewer than two users reached the target, or fewer than two did not.
    """
    codes = user_codes([part.table.user_ids for part in parts])
    users = 1 + max(int(found.max()) for found in codes if len(found))
    converted = np.zeros(users, dtype=bool)
    for found, part in zip(codes, parts, strict=True):
        converted[found[part.labels]] = True
    if min(converted.sum(), users - converted.sum()) < 2:  # noqa: PLR2004 - one for each half
        raise DataError(
            f"{int(converted.sum())} of {users:,} users reached the target in the training "
            "snapshots: two who did and two who did not are needed to calibrate probabilities; "
            "load more history, lengthen the horizon, or choose a later --as-of"
        )
    rng = np.random.default_rng(seed)
    second = np.zeros(users, dtype=bool)
    for kind in (converted, ~converted):
        second[rng.permutation(np.flatnonzero(kind))[::2]] = True
    first, other = (
        tuple(part.take(inside[found]) for found, part in zip(codes, parts, strict=True))
        for inside in (~second, second)
    )
    return first, other


def user_codes(columns: Sequence[pa.ChunkedArray]) -> list[NDArray[np.int64]]:
    """Return each column's user ids as integer codes that are shared by all columns."""
    chunks = [chunk for column in columns for chunk in column.chunks]
    together = pa.chunked_array(chunks, columns[0].type)  # nobody at all is no chunk
    codes = pc.dictionary_encode(together.combine_chunks()).indices.to_numpy().astype(np.int64)
    return np.split(codes, np.cumsum([len(column) for column in columns])[:-1])


def _spend(backtest: Backtest, table: Snapshot, as_of: date) -> Floats:
    """Return each user's net spend, (n,), which refunds may make negative."""
    outcomes = outcomes_within(backtest.published, as_of, backtest.horizon_days)
    summed = outcomes.group_by("user_id").aggregate([("value", "sum")])
    place = pc.index_in(table.user_ids, value_set=summed.column("user_id").combine_chunks())
    values = summed.column("value_sum").take(place)
    found: Floats = pc.fill_null(values, 0.0).to_numpy().astype(np.float64)
    return found
