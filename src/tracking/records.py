"""What is logged of a training, as values: nothing here knows MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ScorerRecord:
    """What is logged of one scorer: a child run, and a version of the registered model.

    folder: the scorer as it is saved; None for one that is not registered. artifacts: a folder of
    files for its run, None without any. description: how it ranks, in Markdown. texts:
    other files of its run, by name.
    """

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    by_test: Mapping[str, Sequence[float]]
    folder: Path | None
    artifacts: Path | None = None
    description: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a search for parameters: value is the metric's mean over steps, if it ended.

    steps: the running mean after each test. state: complete or pruned.
    """

    number: int
    params: Mapping[str, Any]
    value: float | None
    steps: Mapping[int, float]
    state: str
    started: datetime
    ended: datetime


@dataclass(frozen=True)
class SearchRecord:
    """The trials of one kind of model; best: the number of the one whose parameters are used."""

    kind: str
    trials: tuple[TrialRecord, ...]
    best: int


@dataclass(frozen=True)
class DataRecord:
    """A data set that a training read: context is "training" or "test".

    digest: of its bytes. source: the folder that it stands in. profile: how much it holds, of
    which dates.
    """

    context: str
    name: str
    digest: str
    source: str
    profile: Mapping[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """What is logged of one training: the parent run, its children, its tables and plots.

    key: what the run depends on; a run of the same key is not logged twice. by_test: metrics with
    a value for each test, oldest first. artifacts: a folder of
    files. spec_json: the spec, as its models serialise it. data: what was read. commit: of the
    code, None outside a checkout. example: a few users with all that any scorer reads. columns:
    the scorers' metrics that a person looks at first, ordered by the first.
    """

    spec: str
    key: str
    title: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    by_test: Mapping[str, Sequence[float]]
    tags: Mapping[str, str]
    artifacts: Path
    spec_json: str
    data: tuple[DataRecord, ...]
    commit: str | None
    example: pd.DataFrame
    scorers: tuple[ScorerRecord, ...]
    columns: tuple[str, ...]
    searches: tuple[SearchRecord, ...] = field(default=())
