"""calibrate --shape: leak-free, within limits, and every figure told is of the spec it proposes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.support.csv_rows import csv_rows
from tests.support.fixtures import Fitted
from whyrank.errors import UsageError
from whyrank.pipeline import calibrate_shape as shaping
from whyrank.pipeline.calibrate_shape import calibrate_shape
from whyrank.scoring.scorecard import Scorecard
from whyrank.scoring.shape_fit import Limits
from whyrank.spec.load import parse_spec
from whyrank.spec.model import Spec
from whyrank.tracking import open_store
from whyrank.training import record_shape as logging
from whyrank.training.datasets import Backtest, Labelled, read_labelled
from whyrank.training.shape_proposal import SHAPED, ShapeProposal
from whyrank.training.shape_text import shape_lines

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("fitted")]
PINNED = frozenset({"pricing", "balance"})


def shape(fitted: Fitted, **options: object) -> ShapeProposal:
    return calibrate_shape(
        fitted.spec, fitted.warehouse, source="saas", limits=Limits(15, PINNED), n_boot=40,
        **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(fitted: Fitted) -> ShapeProposal:
    return shape(fitted, level=0.8)


def test_intervals_are_of_the_level_that_is_asked_for(made: ShapeProposal) -> None:
    assert made.comparison.level == made.shaped.points.level == 0.8
    lines = list(shape_lines(made))
    assert "intervals 80%, bootstrap over users, 40 times" in lines
    assert any(line.startswith("  with intervals of 80% for all terms together") for line in lines)


def test_the_spec_it_would_write_is_the_card_that_was_measured(
    fitted: Fitted, made: ShapeProposal
) -> None:
    after = parse_spec(made.text)
    assert len(after.scorecard.terms) <= 15
    assert all(term.points == int(term.points) for term in after.scorecard.terms)
    assert after.version == f"{fitted.spec.version}-shaped"
    test = read_labelled(fitted.spec, fitted.backtest, fitted.backtest.folds[-1].cutoff)
    scores = Scorecard(after.scorecard).score(test.table)
    told = made.comparison.last_fold[SHAPED]["roc_auc"].value
    assert told == pytest.approx(roc_auc_score(test.labels, scores))
    medium, high = made.in_bands[1]
    assert high == pytest.approx((scores >= after.bands.high).mean())
    assert medium + high == pytest.approx((scores >= after.bands.medium).mean())
    # Every changed line of the spec is in the diff, and it applies to nothing else.
    lines = set(made.text.splitlines())
    assert all(line[1:] in lines for line in made.diff[2:] if line.startswith("+"))
    hunks = {line.split("@@ ")[-1] for line in made.diff if line.startswith("@@")}
    before = {term.name: term.points for term in fitted.spec.scorecard.terms}
    moved = {t.name for t in after.scorecard.terms if before.get(t.name, t.points) != t.points}
    assert moved <= hunks


def test_pinned_terms_and_all_signs_stay(fitted: Fitted, made: ShapeProposal) -> None:
    new = {term.name: term for term in made.shaped.card.terms}
    for term in fitted.spec.scorecard.terms:
        if term.name in PINNED:
            same = {"points"}
            assert new[term.name].model_dump(exclude=same) == term.model_dump(exclude=same)
        if term.name in new:
            assert np.sign(new[term.name].points) == np.sign(term.points)


def test_bands_hold_as_many_users_of_the_latest_training_snapshot(
    fitted: Fitted, made: ShapeProposal
) -> None:
    latest = read_labelled(fitted.spec, fitted.backtest, made.trained[-1]).table
    after = parse_spec(made.text)
    old = Scorecard(fitted.spec.scorecard).score(latest)
    new = Scorecard(after.scorecard).score(latest)
    for band in ("medium", "high"):
        wanted = (old >= getattr(fitted.spec.bands, band)).mean()
        edge = getattr(after.bands, band)
        off = abs((new >= edge).mean() - wanted)
        assert all(off <= abs((new >= edge + step).mean() - wanted) for step in (-1, 1))


def test_nothing_is_learnt_from_the_test(
    fitted: Fitted, made: ShapeProposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the outcomes of the test turned round the proposal is the same, its figures are not."""
    test = fitted.backtest.folds[-1].cutoff

    def turned(spec: Spec, backtest: Backtest, day: object) -> Labelled:
        part = read_labelled(spec, backtest, day)  # type: ignore[arg-type]
        return replace(part, labels=~part.labels) if day == test else part

    monkeypatch.setattr(shaping, "read_labelled", turned)
    other = shape(fitted)
    assert other.text == made.text
    before, after = (p.comparison.last_fold[SHAPED]["roc_auc"].value for p in (made, other))
    assert after == pytest.approx(1 - before)


def test_what_is_logged_is_what_is_printed(
    fitted: Fitted, made: ShapeProposal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept: dict[str, object] = {}

    def log(
        *_: object, artifacts: Path, metrics: dict[str, float], description: str, **__: object
    ) -> str:
        kept.update(
            rows=csv_rows(artifacts / "terms.csv"), metrics=metrics, description=description
        )
        kept["text"] = (artifacts / "shaped.toml").read_text(encoding="utf-8")
        kept["drawn"] = (artifacts / "shapes.png").read_text(encoding="utf-8")
        return "run"

    def draw(path: Path, proposed: ShapeProposal) -> None:  # many panels take seconds to draw
        path.write_text(proposed.text, encoding="utf-8")

    monkeypatch.setattr(logging, "log_result", log)
    monkeypatch.setattr(logging, "draw_shape", draw)
    logging.log_shape(open_store(home=tmp_path), fitted.spec, made, {})
    assert kept["text"] == kept["drawn"] == made.text
    metrics: dict[str, float] = kept["metrics"]  # type: ignore[assignment]
    # As a scorer of a training, so that one table holds both.
    assert metrics["roc_auc"] == made.comparison.last_fold[SHAPED]["roc_auc"].value
    said = "{vs_card/auc:+.3f} [{vs_card/lower:+.3f}, {vs_card/upper:+.3f}]".format(**metrics)
    assert said in str(kept["description"])
    lines = list(shape_lines(made))
    assert kept["description"] in lines
    rows: list[dict[str, str]] = kept["rows"]  # type: ignore[assignment]
    assert {row["term"] for row in rows if row["proposed"]} == {
        term.name for term in parse_spec(made.text).scorecard.terms
    }
    for row in rows:
        assert any(line.split()[:2] == [row["term"], row["feature"]] for line in lines)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(pinned=frozenset({"prices"})), "'prices' is no term of the scorecard; did you"),
        (Limits(terms=1, pinned=PINNED), "--max-terms 1: must be at least 1, and at least the 2"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused(fitted: Fitted, limits: Limits, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        calibrate_shape(fitted.spec, fitted.warehouse, source="saas", limits=limits)
