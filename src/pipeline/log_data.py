"""What a training rests on, as it is logged: its data sets and the code that ran."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from ..spec.model import Spec
from ..tracking import DataRecord
from ..warehouse.published import Published
from .fold_fits import Fits
from .training_data import Course

_DIGITS = 16  # of a digest; MLflow keeps at most 36


def data_records(course: Course, fits: Fits) -> tuple[DataRecord, ...]:
    """Return the last fold's training snapshots and its test as data sets.

    Their digest is of the published files' bytes: snapshots and outcomes.
    """
    fold, test = course.folds[-1], fits.scores[-1]
    about = next(iter(fits.scorers.values())).about
    return (
        _record(course, "training", fold.train, about.users, about.positives),
        _record(course, "test", [fold.test], len(test.labels), int(test.labels.sum())),
    )


def calibration_data(
    spec: Spec, table: Published, trained: Sequence[date], test: date
) -> tuple[DataRecord, ...]:
    """Return the snapshots that a calibration learnt from, and the test that it was tried on."""
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
    course: Course, context: str, days: Sequence[date], rows: int, positives: int
) -> DataRecord:
    first, last = min(days), max(days)
    dates = f"{first}" if first == last else f"{first} to {last}"
    return DataRecord(
        context=context,
        name=f"{course.plan.about.spec} {context} snapshots {dates}",
        digest=_digest(course, days),
        source=str(course.published.folder),
        profile={
            "num_rows": rows,
            "positives": positives,
            "snapshots": [day.isoformat() for day in days],
            "horizon_days": course.horizon_days,
            "build": course.published.info.build_id,
        },
    )


def _digest(course: Course, days: Sequence[date]) -> str:
    digest = hashlib.sha256(str(course.horizon_days).encode())
    published = course.published
    for path in (published.table("outcomes"), *map(published.snapshot, sorted(days))):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:_DIGITS]


def code_commit() -> str | None:
    """Return the commit of whyrank's checkout, "-dirty" behind it with changes; None outside one.

    A repository that merely surrounds an installed whyrank, as one with a .venv in it does, is not
    its checkout.
    """
    here = Path(__file__).resolve()
    if _git(here, "ls-files", "--error-unmatch", here.name) is None:
        return None
    return _git(here, "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*")


def code_version() -> str:
    """Return whyrank's version, and the commit when it runs from a checkout."""
    from .. import __version__

    commit = code_commit()
    return f"{__version__}+{commit}" if commit else __version__


def _git(here: Path, *words: str) -> str | None:
    """Return what git says in the folder of a file; None where it has nothing to say."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", "-C", str(here.parent), *words],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # git is not installed
        return None
    return done.stdout.strip() if done.returncode == 0 else None
