"""Fits on folds: calibration, thresholds and spend by earlier outcomes; keys of what is kept."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

import grimp
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.support.purchases import LAST, Buyers
from whyrank.errors import DataError
from whyrank.models.candidates import Trainer
from whyrank.models.kinds import KINDS
from whyrank.models.purchase_fits import BgNbd
from whyrank.models.spend_fits import fit_spend, spend_methods_of
from whyrank.pipeline.backtest import plan_backtest
from whyrank.pipeline.ingest import ingest
from whyrank.published.build import Published
from whyrank.stats.platt import fit_calibrator
from whyrank.training import cache_key as fit_key
from whyrank.training.cache_key import run_key, versions
from whyrank.training.calibration import CalibrationSet
from whyrank.training.datasets import Backtest, read_labelled, split_users, stack
from whyrank.training.fitting import Fits, fit_folds
from whyrank.training.spend import SpendFits, fit_spend_folds
from whyrank.warehouse.open import open_warehouse

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("shop")]
CANDIDATES = ["recency", "bg_nbd", "logistic", "logistic_weights", "xgboost", "lightgbm"]
PARAMS = {"xgboost": {"n_estimators": 30}, "lightgbm": {"n_estimators": 30}}


@pytest.fixture(scope="module")
def backtest(buyers: Buyers) -> Backtest:
    """Three tests and a warm-up before them."""
    found = plan_backtest(buyers.spec, buyers.warehouse)
    assert found.calibration_fold is not None
    assert [fold.cutoff for fold in found.folds] == [
        LAST - timedelta(days=30 * n) for n in (2, 1, 0)
    ]
    return found


@pytest.fixture(scope="module")
def fits(buyers: Buyers, backtest: Backtest) -> Fits:
    return fitted(buyers, backtest, buyers.folder / "fits")[0]


def fitted(
    buyers: Buyers, backtest: Backtest, folder: Path, candidates: list[str] | None = None
) -> tuple[Fits, list[str]]:
    said: list[str] = []
    found = fit_folds(
        buyers.spec,
        backtest,
        candidates or CANDIDATES,
        params=PARAMS,
        folder=folder,
        log=said.append,
    )
    return found, said


def later(backtest: Backtest, folder: Path, change: Callable[[pa.Table], pa.Table]) -> Backtest:
    """Return a course over a copy of the published build with other outcomes."""
    shutil.copytree(backtest.published.folder, folder)
    path = folder / "outcomes.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    return replace(backtest, published=Published(folder, backtest.published.info))


def test_bg_nbd_is_the_fit_of_the_histories_in_the_log(
    buyers: Buyers, backtest: Backtest, fits: Fits
) -> None:
    """From the orders themselves, by pandas: the log before the day, days counted from it."""
    log = pd.read_csv(buyers.folder / "orders.csv", parse_dates=["event_time"])

    def histories(day: date) -> pd.DataFrame:
        known = log[log["event_time"] < pd.Timestamp(day)]
        times = known.groupby("user_id")["event_time"].agg(["size", "min", "max"]).sort_index()
        first, last = ((pd.Timestamp(day) - times[name]).dt.days for name in ("min", "max"))
        return pd.DataFrame({"x": times["size"] - 1, "t_x": first - last, "age": first})

    fold = backtest.folds[-1]
    model = BgNbd(30.0).fit(histories(fold.train[-1]).to_numpy())
    asked = histories(fold.cutoff)
    assert fits.parts[-1].table.user_ids.to_pylist() == asked.index.tolist()
    order = model.predict(asked.to_numpy())
    raw_score = fits.scores[-1].raw_scores["bg_nbd"]
    ranks = np.argsort(np.argsort(order)), np.argsort(np.argsort(raw_score))
    assert np.corrcoef(*ranks)[0, 1] > 0.9999
    bought = fits.scores[-1].labels
    assert (raw_score[bought][:, None] > raw_score[~bought][None, :]).mean() > 0.7


def test_constant_and_null_features_get_no_weight(backtest: Backtest, fits: Fits) -> None:
    table = fits.parts[-1].table
    for name in ("logistic", "logistic_weights", "xgboost", "lightgbm"):
        found = fits.scorers[name].contributions(table)
        values = dict(zip(found.names, np.asarray(found.values).T, strict=True))
        assert {"one", "nothing", "since_last"} <= set(values)
        for weightless in ("one", "nothing"):  # the solver of the linear fit leaves last bits
            assert np.abs(values[weightless]).max() < 1e-20
        assert np.ptp(values["since_last"]) > 0


def test_chances_are_those_of_the_test_before_carried_over(backtest: Backtest, fits: Fits) -> None:
    """By hand: the fold before, its outcomes, and both fits' raw scores of the new test's users."""
    before, now = fits.by_fold[-2], fits.scores[-1]
    table = fits.parts[-1].table
    for name in ("recency", "logistic", "logistic_weights", "xgboost"):
        own = fit_calibrator(fits.scores[-2].raw_scores[name], fits.scores[-2].labels)
        raw_score, past = now.raw_scores[name], before[name].raw_score(table)
        as_before = (raw_score - raw_score.mean()) / raw_score.std() * past.std() + past.mean()
        odds = own.slope * as_before + own.intercept
        assert np.allclose(now.probabilities[name], 1 / (1 + np.exp(-odds)))
        assert np.allclose(fits.scorers[name].probability(table), now.probabilities[name])


def test_a_test_without_one_before_it_has_chances_of_its_own(
    buyers: Buyers, backtest: Backtest, tmp_path: Path
) -> None:
    alone = replace(backtest, folds=backtest.folds[-1:], calibration_fold=None)
    found, said = fitted(buyers, alone, tmp_path / "fits")
    assert sum("no fold before it; calibrating on halves of the users" in s for s in said) == 1
    (scores,) = found.scores
    rate = scores.labels.mean()
    band = 4 * np.sqrt(2 * rate * (1 - rate) / len(scores.labels))  # of two samples
    for name, probability in scores.probabilities.items():
        assert np.ptp(probability) > 0.1, name
        assert probability.mean() == pytest.approx(rate, abs=band)
        assert (np.diff(probability[np.argsort(scores.raw_scores[name])]) >= 0).all()
        assert scores.thresholds[name] is not None
    for name in CANDIDATES:
        assert np.ptp(found.scorers[name].probability(found.parts[0].table)) > 0.1
    assert not [s for s in fitted(buyers, alone, tmp_path / "fits")[1] if "fitting" in s]
    # The test's own outcomes have no part in it.
    end = datetime.combine(LAST, datetime.min.time())
    other = later(alone, tmp_path / "p", lambda t: t.filter(pc.less(t["event_time"], end)))
    spoilt = read_labelled(buyers.spec, other, LAST)
    assert not spoilt.labels.any()
    assert other.published.info == alone.published.info
    with pytest.raises(DataError, match="^0 of 1,396 users reached the target"):
        fitted(buyers, other, tmp_path / "fits")


def test_halves_share_no_user_and_the_converted_are_dealt_evenly(
    buyers: Buyers, backtest: Backtest
) -> None:
    parts = [read_labelled(buyers.spec, backtest, day) for day in backtest.folds[-1].train]
    first, second = split_users(parts, seed=0)
    ids = [
        {u for part in half for u in part.table.user_ids.to_pylist()} for half in (first, second)
    ]
    assert not ids[0] & ids[1]
    everyone = {u for part in parts for u in part.table.user_ids.to_pylist()}
    assert ids[0] | ids[1] == everyone
    reached = {
        u
        for part in parts
        for u, yes in zip(part.table.user_ids.to_pylist(), part.labels, strict=True)
        if yes
    }
    assert abs(len(ids[0] & reached) - len(ids[1] & reached)) <= 1
    assert abs(len(ids[0]) - len(ids[1])) <= 2
    nobody = [replace(part, labels=np.zeros_like(part.labels)) for part in parts]
    nobody[0].labels[3] = True
    with pytest.raises(DataError, match="two who did and two who did not are needed"):
        split_users(nobody, seed=0)


def test_a_drift_that_the_new_fit_has_learnt_is_not_corrected_twice() -> None:
    """True log-odds, known to the earlier fit at the old base rate and to the new at today's."""
    rng = np.random.default_rng(4)
    users = rng.normal(size=40_000)
    labels = rng.random(40_000) < 1 / (1 + np.exp(-(users - 3.0)))
    again = rng.normal(size=20_000)
    seen = CalibrationSet({"a": users - 2.0}, labels, {"a": again - 2.0})
    truth = (1 / (1 + np.exp(-(again - 3.0)))).mean()
    for scale in (1.0, 0.5, 20.0):  # of the new fit's own
        now = {"a": scale * (again - 3.0)}
        probability = seen.calibrators(now)["a"].probability(now["a"])
        assert probability.mean() == pytest.approx(truth, abs=4 * np.sqrt(truth / 40_000))
    uncorrected = fit_calibrator(users - 2.0, labels).probability(again - 3.0)
    assert uncorrected.mean() < 0.6 * truth


def test_a_threshold_flags_as_many_whatever_scale_the_new_fit_has() -> None:
    rng = np.random.default_rng(5)
    before, again = rng.normal(size=5000), rng.normal(0.5, 1, size=3000)
    seen = CalibrationSet({"a": before}, before > 0, {"a": again})
    flagged = (again >= np.sort(before)[-500]).mean()
    assert flagged > 0.15  # more users are like those that were acted upon
    for slope, start in ((1.0, 0.0), (0.4, -7.0), (30.0, 2.0)):
        now = {"a": slope * again + start}
        threshold = seen.thresholds(now, 0.1)["a"]
        assert threshold is not None
        assert (now["a"] >= threshold).mean() == pytest.approx(flagged, abs=1 / 3000)


def test_early_folds_that_teach_too_little_are_left_out_and_named(
    buyers: Buyers, tmp_path: Path
) -> None:
    """In the first weeks next to nobody has ordered yet, so next to nobody orders again."""
    shutil.copytree(buyers.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("fits"))
    warehouse = open_warehouse(f"duckdb:///{tmp_path}/copy/w.duckdb")
    said: list[str] = []
    found = plan_backtest(
        buyers.spec, warehouse, as_of=date(2024, 2, 20), horizon="15d", folds=2, log=said.append
    )
    assert [fold.cutoff for fold in found.folds] == [date(2024, 2, 5), date(2024, 2, 20)]
    assert found.calibration_fold is None
    (warn,) = [line for line in said if "left out" in line]
    assert warn.startswith("left out the fold of 2024-01-21 and what lies before it: ")
    made, _ = fitted(buyers, found, tmp_path / "fits", ["logistic", "logistic_smote"])
    assert np.ptp(made.scores[0].probabilities["logistic"]) > 0


@pytest.fixture(scope="module")
def spend(buyers: Buyers, backtest: Backtest, fits: Fits) -> SpendFits:
    found = fit_spend_folds(buyers.spec, backtest, fits, n_boot=200, level=0.95, log=lambda _: None)
    assert found is not None
    return found


def test_the_way_to_expect_spend_is_chosen_on_earlier_tests(
    backtest: Backtest, spend: SpendFits
) -> None:
    tests = [fold.cutoff.isoformat() for fold in backtest.folds]
    assert list(spend.reports) == tests
    ginis = {
        name: np.mean([spend.reports[test][name].gini for test in tests[:-1]])
        for name in spend.reports[tests[0]]
    }
    assert spend.selected.name == max(ginis, key=lambda name: ginis[name])


def test_totals_are_set_right_on_the_test_before(
    buyers: Buyers, backtest: Backtest, fits: Fits, spend: SpendFits
) -> None:
    """Fitted again by hand on the fold before the last, whose test ends as the last one begins."""
    before = backtest.folds[-2]
    assert before.cutoff + timedelta(days=30) == backtest.folds[-1].cutoff
    parts = [read_labelled(buyers.spec, backtest, day) for day in before.train]
    data = stack(parts)
    test = read_labelled(buyers.spec, backtest, before.cutoff)
    members = [n for n in ("logistic", "xgboost", "lightgbm") if n in fits.scorers]
    own = {n: fit_calibrator(fits.scores[-2].raw_scores[n], test.labels) for n in members}
    probabilities = tuple(replace(fits.by_fold[-2][n], calibrator=own[n]) for n in members)
    again = fit_spend(
        spend.selected.name, backtest.plan, data, np.concatenate([part.spend for part in parts]),
        trainer=Trainer(backtest.plan, data), probabilities=probabilities, value="paid",
    )  # fmt: skip
    wanted = test.spend.sum() / again.expected(test.table).sum()
    assert spend.selected.factor == pytest.approx(wanted, rel=1e-6)
    assert set(spend.reports[before.cutoff.isoformat()]) == set(spend_methods_of(backtest.plan))


def test_the_last_tests_spend_changes_its_report_and_nothing_else(
    buyers: Buyers, backtest: Backtest, fits: Fits, spend: SpendFits, tmp_path: Path
) -> None:
    end = datetime.combine(LAST, datetime.min.time())

    def tenfold(table: pa.Table) -> pa.Table:
        after = pc.greater_equal(table["event_time"], end)
        values = pc.if_else(after, pc.multiply(table["value"], 10.0), table["value"])
        return table.set_column(table.column_names.index("value"), "value", values)

    other = later(backtest, tmp_path / "published", tenfold)
    found = fit_spend_folds(buyers.spec, other, fits, n_boot=200, level=0.95, log=lambda _: None)
    assert found is not None
    last = LAST.isoformat()
    assert {t: r for t, r in found.reports.items() if t != last} == {
        t: r for t, r in spend.reports.items() if t != last
    }
    assert found.selected.name == spend.selected.name
    assert found.selected.factor == spend.selected.factor
    for name, report in spend.reports[last].items():
        changed = found.reports[last][name]
        assert changed.total_ratio == pytest.approx(report.total_ratio / 10, rel=1e-6)


def test_what_is_loaded_after_a_build_is_built_before_it_is_trained_on(
    buyers: Buyers, tmp_path: Path
) -> None:
    shutil.copytree(buyers.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("fits"))
    warehouse = open_warehouse(f"duckdb:///{tmp_path}/copy/w.duckdb")
    said: list[str] = []
    plan_backtest(buyers.spec, warehouse, log=said.append)
    assert not [line for line in said if "building" in line]
    more = tmp_path / "more.csv"
    day = LAST + timedelta(days=3)
    rows = [f"new,{LAST - timedelta(days=9)}T10:00:00,order,50", f"new,{day}T10:00:00,order,70"]
    more.write_text("\n".join(["user_id,event_time,event_name,value", *rows]), encoding="utf-8")
    ingest(buyers.spec, warehouse, events=more)
    backtest = plan_backtest(buyers.spec, warehouse, log=said.append)
    assert [line for line in said if "building" in line] == [
        "building: the published build is not of all that is loaded"
    ]
    part = read_labelled(buyers.spec, backtest, LAST)
    place = part.table.user_ids.to_pylist().index("new")
    assert (part.labels[place], part.spend[place]) == (True, 70.0)
    said.clear()
    plan_backtest(buyers.spec, warehouse, log=said.append)
    assert not said


def test_fits_are_kept_under_everything_they_depend_on(
    backtest: Backtest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def key(params: Mapping[str, Mapping[str, object]] = MappingProxyType({})) -> str:
        return run_key(backtest, ["logistic", "xgboost"], params)

    known = key()
    assert key() == known
    assert key({"xgboost": {"max_depth": KINDS["xgboost"].defaults["max_depth"]}}) == known
    assert key({"xgboost": {"max_depth": 9}}) != known
    with monkeypatch.context() as patch:
        patch.setitem(KINDS["xgboost"].defaults, "max_depth", 9)
        assert key() != known
    version = metadata.version
    told = versions()
    assert {"scikit-learn", "lightgbm", "imbalanced-learn", "numpy", "scipy"} < set(told)
    with monkeypatch.context() as patch:  # a commit that changes no fit keeps them
        patch.setattr(metadata, "version", lambda n: "9" if n == "whyrank" else version(n))
        assert key() == known
    for name in told:
        with monkeypatch.context() as patch:
            patch.setattr(metadata, "version", lambda n, o=name: "0" if n == o else version(n))
            assert key() != known, name
    sources = fit_key.deciding_sources()
    for name in ("models/kinds/xgboost.py", "models/encoding.py", "training/calibration.py"):
        (source,) = (path for path in sources if path.as_posix().endswith(name))
        copy = tmp_path / name.replace("/", "-")
        for text in ("", "# edited\n"):
            copy.write_text(source.read_text(encoding="utf-8") + text, encoding="utf-8")
            with monkeypatch.context() as patch:
                there = [copy if path == source else path for path in sources]
                patch.setattr(fit_key, "deciding_sources", lambda there=there: there)
                assert (key() == known) == (not text), name
    assert key() == known


def test_whatever_a_fit_imports_counts() -> None:
    """What fitting reaches in the packages that decide a fit's numbers is part of its key."""
    counted = {path.resolve() for path in fit_key.deciding_sources()}
    graph = grimp.build_graph("whyrank", cache_dir=None)
    deciding = {"models", "scoring", "stats", "scorer", "training", "published"}
    # They refuse arguments, find builds on disk and name them.
    without_numbers = {
        "whyrank.training", "whyrank.training.checks", "whyrank.training.cache_key",
        "whyrank.published", "whyrank.published.build", "whyrank.published.sample",
    }  # fmt: skip
    left = {
        name
        for name in graph.find_upstream_modules("whyrank.training.fitting")
        if name.split(".")[1:2] and name.split(".")[1] in deciding
        and Path(str(importlib.import_module(name).__file__)).resolve() not in counted
    }  # fmt: skip
    assert left <= without_numbers


def test_xgboost_counts_under_either_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in {"xgboost-cpu", "lightgbm"}:
            raise metadata.PackageNotFoundError(name)
        return f"of {name}"

    monkeypatch.setattr(metadata, "version", version)
    assert versions()["xgboost"] == "of xgboost"
    assert not {"xgboost-cpu", "lightgbm"} & set(versions())
