"""The trials of a search for parameters, as they are logged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..models.tuning import read_trials
from ..tracking import SearchRecord, TrialRecord


def search_records(store: Path, searches: Mapping[str, str]) -> tuple[SearchRecord, ...]:
    """Return the finished trials of every kind of model that was tuned.

    store: where they are kept (SQLite). searches: names of Optuna's studies, by kind.
    """
    found = []
    for kind, study in searches.items():
        trials, best = read_trials(store, study)
        found.append(SearchRecord(kind, tuple(TrialRecord(**trial) for trial in trials), best))
    return tuple(found)
