"""Planted leaks in a real training: the check that can see each fails, and blocks promotion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.fixtures import Fitted
from tests.support.pictures import no_pictures
from tests.support.tiny_log import tiny_spec
from whyrank.errors import UsageError
from whyrank.evaluation.leakage_checks import steady_attributes, suspicious_performance
from whyrank.models import candidates
from whyrank.models.candidates import Trainer
from whyrank.models.encoding import TargetEncoding, fit_encoding
from whyrank.models.learned import LearnedScorer
from whyrank.pipeline.build import build
from whyrank.pipeline.compare import compare as compare_run
from whyrank.pipeline.ingest import ingest
from whyrank.pipeline.train import train
from whyrank.published.snapshot import Snapshot
from whyrank.spec.load import parse_spec, spec_text
from whyrank.spec.model import Spec
from whyrank.tracking import open_store
from whyrank.tracking.active_scorer import choose_scorer
from whyrank.training import leakage
from whyrank.training.datasets import Backtest, Labelled, read_labelled, stack
from whyrank.warehouse.dbt_project.render import render_project
from whyrank.warehouse.landing.static_attributes import changing_attributes
from whyrank.warehouse.open import open_warehouse

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("fitted")]


def test_an_honest_training_passes_every_leakage_check(fitted: Fitted) -> None:
    told: list[tuple[int, int]] = []
    found = fitted.run_leakage_checks(progress=lambda *reached: told.append(reached))
    assert [str(s) for s in found.values() if not s.passed] == []
    # Before each fit of shuffled labels, the fit of noise and the rebuild: so many are done.
    fits = int(found["shuffled labels"].detail.partition(" fits;")[0].rpartition(" ")[2])
    assert told == [(done, fits + 2) for done in range(fits + 2)]
    assert "target encoding on the rows it was made for" in found["shuffled labels"].detail


def encode_with_own_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every training row the worth that its own label helped to make."""

    def leaking(table, labels, users, **names):  # type: ignore[no-untyped-def]
        encoding, _ = fit_encoding(table, labels, users, **names)
        return encoding, encoding.matrix(table)

    monkeypatch.setattr(candidates, "fit_encoding", leaking)


def test_a_target_encoding_that_sees_its_own_label_is_caught_by_shuffled_labels(
    fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode_with_own_labels(monkeypatch)
    found = fitted.run_leakage_checks()
    assert [name for name, s in found.items() if not s.passed] == ["shuffled labels"]


def test_a_scorer_that_was_fitted_on_the_true_labels_is_caught_by_shuffled_labels(
    fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a store of fits would do whose key forgets the labels."""
    parts = [
        read_labelled(fitted.spec, fitted.backtest, d) for d in fitted.backtest.folds[-1].train
    ]
    kept = Trainer(fitted.backtest.plan, stack(parts)).fit("xgboost")
    fit = Trainer.fit

    def stored(self: Trainer, name: str, params: dict[str, object]) -> LearnedScorer:
        return fit(self, name, params) if "noise" in self.plan.numeric[0] else kept

    monkeypatch.setattr(Trainer, "fit", stored)
    found = fitted.run_leakage_checks()
    assert [name for name, s in found.items() if not s.passed] == ["shuffled labels"]


def test_training_on_the_tests_own_rows_is_caught_by_noise(
    fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test's snapshot read in the place of the latest one to learn from."""
    fold = fitted.backtest.folds[-1]

    def mistaken(spec: Spec, backtest: Backtest, day: date) -> Labelled:
        return read_labelled(spec, backtest, fold.cutoff if day == fold.train[-1] else day)

    monkeypatch.setattr(leakage, "read_labelled", mistaken)
    assert not fitted.run_leakage_checks()["pure noise"].passed


def test_an_embargo_that_is_too_short_is_caught_by_outcomes(fitted: Fitted) -> None:
    """Outcomes of twice the horizon, and folds that were cut for once: half of them overlap."""
    backtest = replace(fitted.backtest, horizon_days=2 * fitted.backtest.horizon_days)
    fold, horizon = backtest.folds[-1], timedelta(days=backtest.horizon_days)
    shared = leakage._shared_outcomes(backtest, fold)
    reaching = [day for day in fold.train if day + horizon > fold.cutoff]
    assert reaching
    assert set(shared) == {str(day) for day in reaching}
    # By hand, from the outcomes: those after the test's day and within the snapshot's horizon.
    import duckdb

    path = backtest.published.table("outcomes")
    for day in reaching:
        found = duckdb.sql(
            f"select count(*) from '{path}' where event_time >= '{fold.cutoff}' "
            f"and event_time < '{day + horizon}'"
        ).fetchone()
        assert found == (shared[str(day)],)
    assert sum(shared.values()) > 0
    assert not fitted.run_leakage_checks(backtest)["overlapping outcomes"].passed


def test_a_text_too_good_to_be_true_is_named(fitted: Fitted) -> None:
    """A text column that tells the outcome, in training and on the test."""
    name = fitted.backtest.plan.categorical[0]
    test = fitted.fits.parts[-1]
    taken = test.table.categorical

    class Telling(Snapshot):
        def categorical(self, feature: str) -> tuple[np.ndarray, list[str]]:
            return (test.labels.astype(int), ["no", "yes"]) if feature == name else taken(feature)

    (scorers,) = fitted.fits.by_fold[-1:]
    scorer = scorers["logistic"]
    told = tuple(
        TargetEncoding(name, {"no": 0.0, "yes": 1.0}, 0.1) if text.name == name else text
        for text in scorer.encoding.target_encoded
    )
    leaking = replace(scorer, encoding=replace(scorer.encoding, target_encoded=told))
    fits = replace(
        fitted.fits,
        parts=(replace(test, table=Telling(test.table._table)),),
        by_fold=({"logistic": leaking},),
    )
    (found,) = leakage._alone(fitted.backtest, fits)
    limits = {"capacity": 0.1, "suspect_auc": 0.98, "suspect_lift": None}
    assert suspicious_performance(leakage._alone(fitted.backtest, fitted.fits), **limits).passed  # type: ignore[arg-type]
    caught = suspicious_performance([found], **limits)  # type: ignore[arg-type]
    assert not caught.passed
    assert f"{name} on {fitted.backtest.folds[-1].cutoff}, has ROC AUC 1.000" in caught.detail


@dataclass(frozen=True)
class Planted:
    """What later rows may reach a snapshot by, and which features they then change, for whom."""

    old: str
    new: str
    changed: str


PLANTED = {
    "no": Planted("", "", ""),
    "events": Planted("d.day < a.as_of", "d.day <= a.as_of", "views changes for 2 users"),
    "links": Planted(
        "k.known_from < a.as_of and k.known_until >= a.as_of",
        "k.known_from <= a.as_of and k.known_until > a.as_of",
        "views changes for 2 users",
    ),
}


@pytest.mark.parametrize("leak", PLANTED)
def test_events_and_links_from_as_of_on_are_caught_where_models_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leak: str
) -> None:
    """The same models make both snapshots: that one log ends at as_of is what tells.

    Events of as_of's own day are planted for two of four users, and a link of a fifth, who was
    anonymous before, to a sixth.
    """
    planted = PLANTED[leak]

    def rendered(*arguments: Any, **named: Any) -> dict[str, str]:
        files = render_project(*arguments, **named)
        if leak == "no":
            return files
        late = {n: text.replace(planted.old, planted.new) for n, text in files.items()}
        assert late != files
        return late

    monkeypatch.setattr("whyrank.pipeline.build.render_project", rendered)
    monkeypatch.setattr("whyrank.training.leakage.render_project", rendered)
    as_of, spec = date(2026, 3, 4), tiny_spec()
    store = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    rows = [f"{user},2026-03-02T10:00:00Z,view" for user in ("a", "b", "c", "d", "anon", "known")]
    if leak != "links":
        rows += [f"{user},2026-03-04T00:00:00Z,view" for user in ("a", "b")]
    (tmp_path / "e.csv").write_text("\n".join(["user_id,event_time,event_name", *rows]))
    ingest(spec, store, events=tmp_path / "e.csv")
    if leak != "events":
        (tmp_path / "l.csv").write_text(
            "anonymous_id,user_id,linked_at\nanon,known,2026-03-04T00:00:00Z\n"
        )
        ingest(spec, store, aliases=tmp_path / "l.csv")
    backtest: Any = SimpleNamespace(published=build(spec, store, as_of=[as_of]).published)
    found = leakage.future_invariance(spec, store, backtest, as_of)
    assert found.passed is (leak == "no"), str(found)
    assert planted.changed in found.detail


def test_a_static_attribute_that_changes_is_counted_and_fails_its_leakage_check(
    tmp_path: Path,
) -> None:
    """A lead's status that is set at conversion: rows dated by the file's own valid_from."""
    text = (
        spec_text("saas").replace(
            "[users.attributes]", "[users.attributes]\nlead_status = { static = true }"
        )
        + """
[[features]]
name = "status"
op = "attribute"
column = "lead_status"
type = "text"
unit = "status"
description = "Where the lead stands."
"""
    )
    spec = parse_spec(text, "saas.toml")
    store = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb")
    header = "user_id,valid_from,lead_status,country\n"
    first = [f"u{n},2026-01-01,open,DE\n" for n in range(9)]
    (tmp_path / "u.csv").write_text(header + "".join(first))
    notes: list[str] = []
    ingest(spec, store, users=tmp_path / "u.csv", warn=notes.append)
    assert not notes
    read = leakage._static_features(spec)
    assert read["status"] == "lead_status"
    assert steady_attributes(changing_attributes(spec, store), read).passed
    won = [f"u{n},2026-02-0{n + 1},won,DE\n" for n in range(4)]
    (tmp_path / "v.csv").write_text(header + "".join(won))
    ingest(spec, store, users=tmp_path / "v.csv", warn=notes.append)
    (warn,) = notes
    assert warn.startswith("users.attributes.lead_status is declared static, and 4 users have more")
    found = steady_attributes(changing_attributes(spec, store), read)
    assert not found.passed
    assert "status (lead_status) has more than one value for 4 users" in found.detail
    # Whoever leaves its feature out of training is not held back by it.
    training = spec.training.model_copy(update={"exclude": ("status",)})
    without = leakage._static_features(spec.model_copy(update={"training": training}))
    assert steady_attributes(changing_attributes(spec, store), without).passed


def test_a_training_that_leaks_makes_no_champion(
    fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(home=fitted.folder / "mlflow")
    encode_with_own_labels(monkeypatch)
    with no_pictures():
        train(fitted.spec, fitted.warehouse, store, candidates=["logistic"], folds=1, n_boot=40)
    for name in ("chosen", "logistic", "scorecard"):
        with pytest.raises(
            UsageError, match=r"leakage check 'shuffled labels' failed .*no champion"
        ):
            compare_run(fitted.spec, store, promote_scorer=name)
    assert choose_scorer(fitted.spec, "champion", store).name == "scorecard"
