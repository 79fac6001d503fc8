"""Calibrations: what whole points cost, what is called contradicted, and that all say the same."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tests.support.csv_rows import csv_rows
from tests.support.fixtures import Fitted
from whyrank.errors import DataError, UsageError
from whyrank.pipeline.calibrate import calibrate
from whyrank.published.snapshot import Snapshot
from whyrank.scoring.scorecard import Scorecard
from whyrank.spec.load import load_spec, spec_text
from whyrank.spec.scorecard import TermSpec
from whyrank.tracking import open_store
from whyrank.training import points_calibration as calibrating
from whyrank.training import record_calibration as logging
from whyrank.training.calibration_text import calibration_lines
from whyrank.training.datasets import read_labelled
from whyrank.training.points_calibration import CALIBRATED, Calibration

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("fitted")]


@pytest.fixture(scope="module", params=["outcome", "importance"])
def made(fitted: Fitted, request: pytest.FixtureRequest) -> Calibration:
    return calibrate(fitted.spec, fitted.warehouse, source="saas", against=request.param, n_boot=60)


def test_what_whole_points_do_to_the_ranking_is_measured(fitted: Fitted, made: Calibration) -> None:
    test = read_labelled(fitted.spec, fitted.backtest, fitted.backtest.folds[-1].cutoff)
    assert made.rounding.comparison.fold_names == (str(test.as_of),)
    cards = {"whole": made.calibration.proposed, "real": made.calibration.unrounded}
    scores = pd.DataFrame({n: Scorecard(card).score(test.table) for n, card in cards.items()})
    assert made.rounding.rank_correlation == pytest.approx(
        scores["whole"].corr(scores["real"], method="spearman")
    )
    whole, real = (roc_auc_score(test.labels, scores[name]) for name in ("whole", "real"))
    said = made.rounding.words()
    assert f"rank correlation {made.rounding.rank_correlation:.3f}" in said
    assert f"ROC AUC {whole:.3f} against {real:.3f} ({whole - real:+.3f} [" in said
    assert said in list(calibration_lines(made))
    # The same points but for less than one each, and a few that settle what the others leave.
    assert made.rounding.rank_correlation > 0.99
    for term, other in zip(cards["whole"].terms, cards["real"].terms, strict=True):
        assert abs(term.points - other.points) < 3
    assert any(term.points != int(term.points) for term in cards["real"].terms)


def test_a_calibration_logs_the_interval_that_its_note_says(
    fitted: Fitted, made: Calibration, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: dict[str, object] = {}

    def kept(*_: object, description: str, metrics: Mapping[str, float], **more: Path) -> str:
        told.update(
            description=description,
            metrics=dict(metrics),
            rows=csv_rows(more["artifacts"] / "weights.csv"),
            pictures=[path.name for path in more["artifacts"].glob("*.png")],
        )
        return "run"

    monkeypatch.setattr(logging, "log_result", kept)
    logging.log_calibration(open_store(home=tmp_path), fitted.spec, made, {})
    numbers: dict[str, float] = told["metrics"]  # type: ignore[assignment]
    value, low, high = (numbers[f"vs_card/{part}"] for part in ("auc", "lower", "upper"))
    assert f"({value:+.3f} [{low:+.3f}, {high:+.3f}])" in str(told["description"])
    change = made.comparison.difference("last_fold", "roc_auc", CALIBRATED, "scorecard")
    assert change.family_size == 2
    assert (low, high) == change.family
    drawn: list[str] = told["pictures"]  # type: ignore[assignment]
    # As a scorer of a training has them; MLflow compares what stands in no folder.
    assert {"ranking.png", "shap.png", "importance.png", "weights.png"} <= set(drawn)
    assert numbers["rank_correlation_of_whole_points"] == made.rounding.rank_correlation
    rows: list[dict[str, str]] = told["rows"]  # type: ignore[assignment]
    lines = "\n".join(calibration_lines(made))
    assert {row["level"] for row in rows} == {"0.95"}
    assert "Intervals: 95% for all terms together." in str(told["description"])
    for row, term in zip(rows, made.calibration.terms, strict=True):
        if not np.isfinite(term.effect.high):
            assert (row["effect_low"], row["effect_high"], row["contradicted"]) == ("", "", "no")
            assert "the data cannot tell" in lines
            assert made.calibration.against == "importance" or term.new == term.old
            continue
        for unit in ("", "_log_odds"):
            value, low, high = (float(row[f"effect{unit}{end}"]) for end in ("", "_low", "_high"))
            assert low < value < high
            sign = np.sign(term.old)
            other = max(sign * low, sign * high) < 0
            assert row["contradicted"] == ("yes" if other else "no")
        value, low, high = (round(part) for part in term.effect.points())
        assert f"{value:+d} [{low:+d}, {high:+d}]" in lines


def reference_shares(term: TermSpec, table: Snapshot) -> np.ndarray:
    """Shares as docs/spec.md defines them, 0 to 1."""
    if term.transform == "map":
        codes, texts = table.categorical(term.feature)
        known = term.map or {}
        return np.array([known.get(texts[c], term.other) if c >= 0 else 0.0 for c in codes])
    x = np.nan_to_num(np.maximum(table.numeric(term.feature), 0.0))
    shares = {
        "flag": lambda: (x > 0).astype(float),
        "half_life": lambda: 2 ** (-x / term.half_life),
        "linear": lambda: np.minimum(x, term.cap) / term.cap,
        "log": lambda: np.log1p(np.minimum(x, term.cap)) / np.log1p(term.cap),
    }[term.transform]()
    return np.where(np.isnan(table.numeric(term.feature)), 0.0, shares)


def test_effects_are_scikit_learns_coefficients_of_the_terms(fitted: Fitted) -> None:
    """Of the shares of the users who were learnt from, as a build made them; within 1e-4."""
    made = calibrate(fitted.spec, fitted.warehouse, source="saas", n_boot=40, level=0.8)
    assert made.calibration.level == made.comparison.level == made.rounding.comparison.level == 0.8
    lines = list(calibration_lines(made))
    assert "  with intervals of 80% for all terms together" in lines
    assert "intervals 80%, bootstrap over users, 40 times" in lines
    parts = [read_labelled(fitted.spec, fitted.backtest, day) for day in made.trained]
    terms = fitted.spec.scorecard.terms
    shares = np.concatenate(
        [np.column_stack([reference_shares(term, part.table) for term in terms]) for part in parts]
    )
    labels = np.concatenate([part.labels for part in parts])
    theirs = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=500)
    theirs.fit(shares, labels)
    for term, coefficient in zip(made.calibration.terms, theirs.coef_[0], strict=True):
        if np.isfinite(term.effect.high):
            assert term.effect.log_odds == pytest.approx(coefficient, abs=1e-4)
    assert sum(np.isfinite(term.effect.high) for term in made.calibration.terms) > len(terms) / 2


def test_a_calibration_is_short_to_look_at_and_whole_as_a_frame(made: Calibration) -> None:
    frame = made.to_frame().set_index("term")
    assert list(frame.index) == [term.name for term in made.calibration.terms]
    for term in made.calibration.terms:
        row = frame.loc[term.name]
        assert (row["points"], row["proposed"]) == (term.old, term.new)
        assert row["effect"] == pytest.approx(term.effect.log_odds / term.effect.per_point)
        assert np.isnan(row["effect_high"]) == (not np.isfinite(term.effect.high))
        assert bool(row["contradicted"]) == term.contradicted
    assert set(frame["level"]) == {0.95}
    change = made.comparison.difference("last_fold", "roc_auc", CALIBRATED, "scorecard").words()
    against, (test,) = made.calibration.against, made.comparison.fold_names
    assert repr(made) == f"<Calibration: against {against}, tried on {test}: {change}>"
    assert made._repr_html_().count("<tr") == 1 + min(10, len(frame))


def test_a_level_that_so_few_replicates_cannot_tell_is_refused(fitted: Fitted) -> None:
    for settings, said in (({"n_boot": 30}, "n-boot = 30"), ({"level": 1.0}, "level = 1: must")):
        with pytest.raises(UsageError, match=said):
            calibrate(fitted.spec, fitted.warehouse, source="saas", **settings)  # type: ignore[arg-type]


def test_a_fit_that_does_not_converge_proposes_nothing(
    fitted: Fitted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("whyrank.scoring.term_fit._STEPS", 2)
    with pytest.raises(DataError, match="did not converge in 2 steps: leave out terms that say"):
        calibrate(
            fitted.spec, fitted.warehouse, source="saas", n_boot=60, apply_to=tmp_path / "new.toml"
        )
    assert not list(tmp_path.iterdir())


def test_slopes_come_from_models_that_share_no_user(
    fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight groups of users, with all rows of a user in one, and together all of them."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, 400, 4000)
    table = np.column_stack([users.astype(float), rng.random(4000)])
    labels = rng.random(4000) < 0.2
    seen: list[np.ndarray] = []

    def noted(rows: np.ndarray, came: np.ndarray, seed: int) -> tuple[None, np.ndarray]:
        del came, seed
        seen.append(rows[:, 0])
        return None, np.zeros_like(rows)

    monkeypatch.setattr(calibrating, "_explained", noted)
    slopes = calibrating._slopes_of_groups(table, labels, users, 0)
    assert slopes.shape == (8, 2)
    assert sum(len(group) for group in seen) == 4000
    assert sum(len(np.unique(group)) for group in seen) == len(np.unique(users))
    # One class only in a group: nothing is learnt there.
    rare = users == users[0]
    assert calibrating._slopes_of_groups(table, rare, users, 0).shape == (1, 2)
    assert calibrating._slopes_of_groups(table, users < 0, users, 0).shape == (0, 2)


def odd_tables(text: str) -> str:
    """Other spellings of keys and headers, comments behind values, terms after other tables."""
    head, groups, rest = text.partition("[scorecard.groups.commitment]")
    cards, bands, after = rest.partition("[bands]")
    tables = f"{bands}{after}\n{groups}{cards}".replace("points = ", '"points"=').rstrip("\n")
    tables = tables.replace("[[scorecard.terms]]\n", '[[ scorecard."terms" ]] # one\n# of May\n', 5)
    tables = tables.replace("transform", "'transform'").replace('"points"=20\n', "points = 2e1#!\n")
    head = head.replace('version = "1"', "version = '1'  # first")
    return (
        head.replace(
            'description = "Visitors', 'description = """\\\n[[scorecard.terms]]\nVisitors'
        ).replace("near they look to a sale.", 'near they look to a sale.""')
        + tables
    )


def odd_array(text: str) -> str:
    """All terms in one array, the group and the bands as dotted keys."""
    raw = tomllib.loads(text)
    head = text[: text.index("[scorecard.groups.commitment]")]
    after = text.partition("[bands]")[2].partition("\n[")[2]
    rows = [
        "  { " + ", ".join(f"{key} = {toml(value)}" for key, value in term.items()) + " },  # one\n"
        for term in raw["scorecard"]["terms"]
    ]
    group = raw["scorecard"]["groups"]["commitment"]
    dotted = "".join(f"groups.commitment.{key} = {toml(value)}\n" for key, value in group.items())
    bands = "".join(f"bands.{key} = {value}\n" for key, value in raw["bands"].items())
    head = head.replace("\n[events]", f"\n{bands}\n[events]")
    return f"{head}[scorecard]\n{dotted}terms = [\n{''.join(rows)}]\n\n[{after}"


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    return f'"{value}"' if isinstance(value, str) else repr(value)


@pytest.mark.parametrize("odd", [odd_tables, odd_array])
def test_a_spec_however_it_is_written_gets_its_points_and_keeps_all_else(
    fitted: Fitted, tmp_path: Path, odd: Callable[[str], str]
) -> None:
    source, new = tmp_path / "odd.toml", tmp_path / "new.toml"
    text = "\ufeff" + odd(spec_text("saas")).replace("\n", "\r\n")
    source.write_bytes(text.encode())
    spec = load_spec(source)
    assert spec.scorecard == fitted.spec.scorecard
    made = calibrate(spec, fitted.warehouse, source=source, n_boot=40, apply_to=new)
    written = new.read_bytes().decode()
    assert written == made.text
    after = load_spec(new)
    assert after.scorecard == made.calibration.proposed
    same = {"scorecard": spec.scorecard, "version": spec.version}
    assert after.model_copy(update=same) == spec
    lines = list(zip(text.split("\n"), written.split("\n"), strict=True))
    changed = [(old, now) for old, now in lines if old != now]
    caps = made.calibration.caps.values()
    moved = sum(term.new != term.old for term in made.calibration.terms)
    assert len(changed) == 1 + moved + sum(old != now for old, now in caps)
    for old, now in changed:
        assert old.partition("#")[1:] == now.partition("#")[1:]
        bare = [re.sub(r"[-+]?[0-9][0-9.e]*", "", one) for one in (old, now)]
        assert bare[0] == bare[1].replace("-calibrated", "")
