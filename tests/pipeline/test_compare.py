"""compare: which run counts, what is promoted and what is refused, on comparisons made by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from whyrank.errors import UsageError
from whyrank.evaluation.comparison import compare, from_dict, to_dict
from whyrank.evaluation.fold_scores import FoldScores
from whyrank.pipeline.compare import champion_of
from whyrank.pipeline.compare import compare as compare_run
from whyrank.spec.load import load_spec
from whyrank.tracking import Store, TrackingError, open_store, registered
from whyrank.tracking.client import experiment_of, using

NEVER = ("scorecard", "mute")  # chosen: the reference, and one that cannot say why
pytestmark = [pytest.mark.training, pytest.mark.xdist_group("train")]


def compared(signal: dict[str, float], **more: Any) -> dict[str, Any]:
    """Compare scorers that see so much of what comes; return it as a training writes it."""
    folds = []
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=1500)
        labels = rng.random(1500) < 1 / (1 + np.exp(-(truth - 2)))
        raw_scores = {name: share * truth + rng.normal(size=1500) for name, share in signal.items()}
        folds.append(
            FoldScores(
                str(seed), np.arange(1500), labels, raw_scores, {}, dict.fromkeys(raw_scores)
            )
        )
    found = compare(
        folds, reference="scorecard", selectable=[n for n in signal if n not in NEVER], n_boot=60,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    sound = {"name": "pure noise", "passed": True, "saw": "0.5"}
    explains = [name for name in signal if name not in NEVER]
    return {"comparison": to_dict(found), "sentinels": [sound], "explains": explains, **more}


@dataclass
class Runs:
    """A store, and trainings in it whose comparisons are made by hand."""

    store: Store

    def log(
        self, raw: dict[str, Any] | None, *, key: str = "k", kind: str = "training",
        text: str | None = None,
    ) -> str:  # fmt: skip
        """Log a run as a training does: its comparison, a version per scorer, its key last."""
        with using(self.store) as ml:
            experiment = experiment_of(self.store, ml, "saas")
            with ml.start_run(experiment_id=experiment) as run:
                ml.set_tags({"kind": kind, "spec": "saas"})
                if raw is not None:
                    ml.log_text(text if text is not None else json.dumps(raw), "comparison.json")
                if key:
                    ml.set_tag("key", key)
                return str(run.info.run_id)

    def register(self, run: str, *scorers: str) -> list[int]:
        """Register a version of each scorer for a training."""
        with using(self.store) as ml:
            client, name = ml.MlflowClient(), registered("saas")
            if not client.search_registered_models(f"name = '{name}'"):
                client.create_registered_model(name)
            return [
                int(client.create_model_version(
                    name, "file:///nowhere", tags={"scorer": scorer, "training": run}
                ).version)
                for scorer in scorers
            ]  # fmt: skip

    def champion(self) -> int:
        """Return the version that is champion."""
        with using(self.store) as ml:
            found = ml.MlflowClient().get_model_version_by_alias(registered("saas"), "champion")
            return int(found.version)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(home=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def runs(store: Store) -> Iterator[Runs]:
    """The store, emptied after each test."""
    made = Runs(store)
    yield made
    with using(store) as ml:
        client = ml.MlflowClient()
        for run in client.search_runs([experiment_of(store, ml, "saas")]):
            client.delete_run(run.info.run_id)
        if client.search_registered_models(f"name = '{registered('saas')}'"):
            client.delete_registered_model(registered("saas"))


SAAS = load_spec("saas")
CLEAR = {"scorecard": 0.3, "logistic": 2.0, "xgboost": 1.5, "mute": 2.5}


def test_the_latest_training_that_is_whole_is_shown(runs: Runs) -> None:
    """Runs that were cut off (no key, no comparison, half of one) or are no training are not."""
    first = runs.log(compared(CLEAR))
    assert compare_run(SAAS, runs.store).run == first
    second = runs.log(compared(CLEAR), key="other")
    assert compare_run(SAAS, runs.store).run == second
    assert compare_run(SAAS, runs.store, run=first).run == first
    runs.log(compared(CLEAR), key="")
    runs.log(None)
    runs.log({}, text='{"comparison": {')
    runs.log({}, text="")
    runs.log(compared(CLEAR), kind="scoring")
    assert compare_run(SAAS, runs.store).run == second


def test_a_run_that_is_not_whole_is_refused_by_its_id(runs: Runs) -> None:
    whole = runs.log(compared(CLEAR))
    for run in (runs.log(None), "0" * 32, "never"):
        with pytest.raises(TrackingError, match=rf"run '{run}' holds no comparison: name the id"):
            compare_run(SAAS, runs.store, run=run)
    half = runs.log({}, text='{"comparison": {')
    with pytest.raises(TrackingError, match=rf"run '{half}': its comparison is damaged .*: name"):
        compare_run(SAAS, runs.store, run=half)
    assert compare_run(SAAS, runs.store).run == whole


def test_nothing_trained_is_said(runs: Runs) -> None:
    for run in ("", "scoring"):
        if run:
            runs.log(None, kind=run)
        with pytest.raises(TrackingError, match="nothing is trained for spec 'saas' yet"):
            compare_run(SAAS, runs.store)


def test_what_is_promoted_is_the_trainings_own_version(runs: Runs) -> None:
    first = runs.log(compared(CLEAR))
    second = runs.log(compared(CLEAR), key="other")
    old = dict(zip(CLEAR, runs.register(first, *CLEAR), strict=True))
    new = dict(zip(CLEAR, runs.register(second, *CLEAR), strict=True))
    for run, versions in ((first, old), (second, new), (first, old)):
        for asked, scorer in (
            ("xgboost", "xgboost"), ("scorecard", "scorecard"), ("chosen", "logistic"),
        ):  # fmt: skip
            made = compare_run(SAAS, runs.store, run=run, promote_scorer=asked)
            assert made.promoted == (scorer, versions[scorer])
            assert runs.champion() == versions[scorer]
    assert compare_run(SAAS, runs.store, promote_scorer="xgboost").promoted == (
        "xgboost", new["xgboost"],
    )  # fmt: skip


def test_what_may_leak_cannot_say_why_or_is_not_there_is_not_promoted(runs: Runs) -> None:
    sound = runs.log(compared(CLEAR))
    (before, *_) = runs.register(sound, *CLEAR)
    compare_run(SAAS, runs.store, promote_scorer="scorecard")
    for asked, reason in (
        ("mute", r"'mute' cannot say why .*: scorecard, logistic, xgboost$"),
        ("catboost", "'catboost' is not in this training: it has scorecard, logistic, xgboost, m"),
    ):
        with pytest.raises(UsageError, match=reason):
            compare_run(SAAS, runs.store, promote_scorer=asked)
    failed = [
        {"name": "future events", "passed": True, "saw": "nothing"},
        {"name": "pure noise", "passed": False, "saw": "0.7"},
    ]
    leaking = runs.log(compared(CLEAR, leakage_checks=failed), key="leaks")
    runs.register(leaking, *CLEAR)
    for asked in ("chosen", "scorecard", "xgboost"):
        with pytest.raises(UsageError, match=r"'pure noise' failed \(0\.7\): no champion comes"):
            compare_run(SAAS, runs.store, promote_scorer=asked)
    assert runs.champion() == before


@pytest.mark.parametrize(
    ("signal", "champion"),
    [
        ({"scorecard": 0.3, "logistic": 2.0}, "logistic"),
        ({"scorecard": 1.0, "logistic": 1.0}, "scorecard"),  # no detectable difference
        ({"scorecard": 2.0, "logistic": 0.3}, "scorecard"),  # detectably worse
        ({"scorecard": 0.3, "mute": 2.0}, "scorecard"),  # nobody can say why
    ],
)
def test_the_champion_is_detectably_better_or_the_scorecard(
    signal: dict[str, float], champion: str
) -> None:
    assert champion_of(from_dict(compared(signal)["comparison"])) == champion
