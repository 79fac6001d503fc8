"""The search for parameters: what it may read, what it says, and who judges after it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.support.fixtures import Fitted
from whyrank.errors import DataError
from whyrank.models.candidates import Trainer
from whyrank.models.learned import LearnedScorer
from whyrank.pipeline import train as training
from whyrank.reports.comparison_text import comparison_lines
from whyrank.spec.model import Spec
from whyrank.tracking import open_store
from whyrank.training import tuning as tune
from whyrank.training.datasets import Backtest, Labelled, read_labelled
from whyrank.training.tuning import tuned_params

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("fitted")]


def search(fitted: Fitted, folder: Path, **more: object) -> tuple[dict[str, object], list[object]]:
    told: list[object] = []
    known = {"trials": 3, "folder": folder, "log": told.append, **more}
    found = tuned_params(
        fitted.spec, fitted.backtest, ["logistic", "logistic_weights", "recency"],
        progress=lambda done, of: told.append((done, of)), **known,  # type: ignore[arg-type]
    )  # fmt: skip
    return dict(found), told


def test_a_search_never_reads_the_last_test(
    fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[date] = []

    def noted(spec: Spec, backtest: Backtest, day: date) -> Labelled:
        read.append(day)
        return read_labelled(spec, backtest, day)

    monkeypatch.setattr(tune, "read_labelled", noted)
    found, told = search(fitted, tmp_path)
    *earlier, last = fitted.backtest.all_folds()
    assert set(read) == {day for fold in earlier for day in (*fold.train, fold.cutoff)}
    assert (last.cutoff in read, earlier[-1].cutoff in read) == (False, True)
    # One search a kind, for all candidates of that kind that have one.
    assert set(found) == {"logistic", "logistic_weights"}
    assert found["logistic"] == found["logistic_weights"]
    assert told == ["tuning logistic", (0, 3), (1, 3), (2, 3)]
    assert search(fitted, tmp_path, trials=0) == ({}, [])


def test_a_search_that_was_killed_goes_on_and_ends_the_same(
    fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = search(fitted, tmp_path / "whole")
    fits: list[str] = []
    fit = Trainer.fit

    def dying(self: Trainer, name: str, params: dict[str, object]) -> LearnedScorer:
        fits.append(name)
        if len(fits) == 2:
            raise KeyboardInterrupt
        return fit(self, name, params)

    with monkeypatch.context() as dies:
        dies.setattr(Trainer, "fit", dying)
        with pytest.raises(KeyboardInterrupt):
            search(fitted, tmp_path / "cut")
    again, told = search(fitted, tmp_path / "cut")
    assert again == whole
    assert told[1:] == [(1, 3), (2, 3)]


def test_one_fold_leaves_nothing_to_tune_on(fitted: Fitted, tmp_path: Path) -> None:
    alone = replace(fitted, backtest=replace(fitted.backtest, calibration_fold=None))
    with pytest.raises(DataError, match="tuning needs a fold before the last one"):
        search(alone, tmp_path)


def test_what_was_tuned_is_judged_on_the_last_test_only(
    fitted: Fitted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(training, "run_leakage_checks", lambda *_, **__: ())
    store = open_store(home=tmp_path)
    monkeypatch.setattr(training, "log_training", lambda *_, **__: ("run", store))
    trained = {
        tuned: training.train(
            fitted.spec, fitted.warehouse, store,
            candidates=["logistic", "logistic_weights", "recency"], folds=2, tune=tuned, n_boot=40,
        )
        for tuned in (0, 1)
    }  # fmt: skip
    kept = json.loads((trained[1].folder / "result" / "comparison.json").read_text("utf-8"))
    made = {tuned: found.comparison for tuned, found in trained.items()}
    first, last = made[1].fold_names
    assert (made[0].evaluation_folds, made[1].evaluation_folds) == ((first, last), (last,))
    assert made[1].pooled == made[1].last_fold
    assert made[0].pooled != made[0].last_fold
    text = "\n".join(comparison_lines({"leakage_checks": []}, made[1]))
    said = f"on the folds that nothing was tuned on ({last})"
    assert said in made[1].verdict()
    assert f"the last column {said}" in text
    assert f"against recency, {said}, widened for all 3 comparisons with recency: by" in text
    whole, single = kept["resampling"]
    assert whole.startswith(f"weights and SMOTE against the same without, {said}, ")
    assert single.startswith("logistic_weights against logistic: ")
    assert (kept["verdict"], whole in text, single in text) == (made[1].verdict(), True, True)
    assert "tuned" not in "\n".join(comparison_lines({"leakage_checks": []}, made[0]))
