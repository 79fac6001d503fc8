"""The data sets of a training, as they are logged."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date

from ..published.build import Published
from ..spec.model import Spec
from ..tracking import DataRecord
from .datasets import Backtest
from .fitting import Fits

_DIGITS = 16  # of a digest; MLflow keeps at most 36


def data_records(backtest: Backtest, fits: Fits) -> tuple[DataRecord, ...]:
    """Return the last fold's training snapshots and its test snapshot as data sets.

    Digests are of the published files' bytes: snapshots and outcomes.
    """
    fold, test = backtest.folds[-1], fits.scores[-1]
    about = next(iter(fits.scorers.values())).about
    return (
        _record(backtest, "training", fold.train, about.users, about.positives),
        _record(backtest, "test", [fold.cutoff], len(test.labels), int(test.labels.sum())),
    )


def calibration_data(
    spec: Spec, table: Published, trained: Sequence[date], test: date
) -> tuple[DataRecord, ...]:
    """Return the training snapshots and the test snapshot of a calibration as data sets."""
    days = [*trained, test]
    found = []
    for context, part in (("training", days[:-1]), ("test", days[-1:])):
        digest = hashlib.sha256()
        for path in (table.table("outcomes"), *map(table.snapshot, sorted(part))):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        dates = f"{part[0]}" if len(part) == 1 else f"{min(part)} to {max(part)}"
        profile = {"snapshots": [day.isoformat() for day in part], "build": table.info.build_id}
        name = f"{spec.name} {context} snapshots {dates}"
        digits = digest.hexdigest()[:_DIGITS]
        found.append(DataRecord(context, name, digits, str(table.folder), profile))
    return tuple(found)


def _record(
    backtest: Backtest, context: str, days: Sequence[date], rows: int, positives: int
) -> DataRecord:
    first, last = min(days), max(days)
    dates = f"{first}" if first == last else f"{first} to {last}"
    return DataRecord(
        context=context,
        name=f"{backtest.plan.about.spec} {context} snapshots {dates}",
        digest=_digest(backtest, days),
        source=str(backtest.published.folder),
        profile={
            "num_rows": rows,
            "positives": positives,
            "snapshots": [day.isoformat() for day in days],
            "horizon_days": backtest.horizon_days,
            "build": backtest.published.info.build_id,
        },
    )


def _digest(backtest: Backtest, days: Sequence[date]) -> str:
    digest = hashlib.sha256(str(backtest.horizon_days).encode())
    published = backtest.published
    for path in (published.table("outcomes"), *map(published.snapshot, sorted(days))):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:_DIGITS]
