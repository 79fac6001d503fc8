"""The commands of the learned scorers as a user types them, and what they refuse."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.support.csv_rows import csv_rows
from tests.support.homes import Home, killed, start

from .guides import Reader

pytestmark = [pytest.mark.training, pytest.mark.xdist_group("learned")]


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The small world of the guide, which is followed to its end."""
    home = Home(tmp_path_factory.mktemp("learned"))
    reader = Reader(home.folder)
    reader.follow((root / "docs" / "guides" / "learned-scorers.md").read_text())
    assert set(reader.done) == {"sh", "text"}
    home.write("train.txt", reader.commands["train"])
    return home


def test_all_candidates_named_are_compared(trained: Home) -> None:
    text = (trained.folder / "train.txt").read_text(encoding="utf-8")
    table = text.split("minus scorecard")[1].split("\n\n")[0]
    rows = {line.split()[0] for line in table.splitlines() if line.strip()}
    assert rows == {"scorecard", "recency", "logistic", "xgboost", "rank_average"}
    assert "the only fold" in text
    assert text.count("passed  ") == 6


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's
def test_from_comparison_to_champion_to_a_list_with_both_accounts(trained: Home) -> None:
    compared = trained.run("compare", "--promote", "xgboost")
    assert compared.returncode == 0, compared.stderr
    assert "champion of saas: xgboost (version " in compared.stdout
    scored = trained.run("score", "--top", 15)
    assert scored.returncode == 0, scored.stderr
    data = trained.folder / "data"
    top = csv_rows(data / "top_users.csv")
    assert len(top) == 15
    assert all(row["model_reasons"] and row["scorecard_reasons"] for row in top)
    everyone = csv_rows(data / "user_propensity_scores.csv")
    assert {row["user_id"] for row in top} < {row["user_id"] for row in everyone}
    assert (data / "model_plots.png").read_bytes().startswith(b"\x89PNG")
    for name in ("reasons.csv", "disagreements.csv"):
        assert (data / name).stat().st_size > 0
    client = MlflowClient(f"sqlite:///{trained.folder}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("whyrank saas")
    assert experiment is not None
    listed, *_ = client.search_runs([experiment.experiment_id], "tags.kind = 'scoring'")
    assert listed.data.params["scorer"] == top[0]["scorer"]
    assert listed.data.metrics["listed"] == 15
    user = top[0]["user_id"]
    told = trained.run("explain", user, "--plot", "why.png")
    assert told.returncode == 0, told.stderr
    assert "log-odds" in told.stdout
    assert "points" in told.stdout
    assert (trained.folder / "why.png").read_bytes().startswith(b"\x89PNG")
    by_points = trained.run("explain", user, "--scorer", "scorecard")
    assert "points in all" in by_points.stdout


def test_a_comparison_is_one_json_document_whatever_else_is_said(trained: Home) -> None:
    def promote(name: str) -> dict[str, Any]:
        done = trained.run("compare", "--promote", name, "--json", "--quiet")
        assert (done.returncode, done.stderr) == (0, "")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    first = promote("logistic")
    text = trained.run("compare").stdout
    assert first["verdict"] in text
    assert set(first["comparison"]["pooled"]) >= {"scorecard", "logistic", "xgboost"}
    # What was champion is said, by the document and in words.
    second = promote("scorecard")
    assert first["promoted"] == second["champion_before"]
    assert second["promoted"]["scorer"] == "scorecard"
    done = trained.run("compare", "--promote", "xgboost")
    version = second["promoted"]["version"]
    assert done.stdout.splitlines()[-1] == f"before: scorecard (version {version})"
    again = trained.run("compare", "--promote", "xgboost")
    assert again.stdout.splitlines()[-1] == "before: the same"


def test_a_killed_training_resumes_and_ends_the_same(trained: Home, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(trained.folder / "data", home.folder / "data")
    fits = home.folder / "data" / "whyrank" / "saas" / "training"
    shutil.rmtree(fits)
    words = ("train", "--folds", 1, "--candidates", "recency", "--candidates", "logistic, xgboost")
    # Killed, with all that it started, once two of six fits are kept.
    assert killed(start(home, *words), lambda: len(list(fits.glob("*/test-*/[a-z]*"))) > 1)
    done = {f"{fit.parent.name} {fit.name}" for fit in fits.glob("*/test-*/[a-z]*")}
    assert len(done) >= 2
    assert not list(fits.glob("*/result/comparison.json"))
    again = home.run(*words)
    assert again.returncode == 0, again.stderr
    # A slow fit is told again, with how far it is.
    said = re.findall(r"^fold (\S+): fitting (\w+)", again.stderr, flags=re.MULTILINE)
    fitted = {f"test-{day} {name}" for day, name in said}
    assert fitted.isdisjoint(done)
    assert len(fitted | done) == 6
    (ended,) = fits.glob("*/result/comparison.json")
    (whole,) = trained.folder.glob(f"data/whyrank/saas/training/{ended.parent.parent.name}/result")
    read = [json.loads(path.read_text("utf-8")) for path in (ended, whole / "comparison.json")]
    assert read[0] == read[1]


def test_a_calibration_proposes_and_applies_only_when_told(trained: Home) -> None:
    done = trained.run("calibrate", "--against", "outcome", "--n-boot", 60, "--level", 0.8)
    assert done.returncode == 0, done.stderr
    assert "with intervals of 80% for all terms together" in done.stdout
    assert "intervals 80%, bootstrap over users, 60 times" in done.stdout
    assert not (trained.folder / "mine.toml").exists()
    done = trained.run("calibrate", "--against", "outcome", "--apply", "mine.toml")
    assert done.returncode == 0, done.stderr
    scored = trained.run("score", "--spec", "mine.toml", "--scorer", "scorecard", "--out", "m.csv")
    assert scored.returncode == 0, scored.stderr


def test_a_shaped_scorecard_is_a_diff_that_ranks_when_applied(trained: Home) -> None:
    done = trained.run("calibrate", "--shape", "--pin", "spam,device", "--apply", "shaped.toml")
    assert done.returncode == 0, done.stderr
    card = tomllib.loads((trained.folder / "shaped.toml").read_text("utf-8"))
    said = done.stdout.splitlines()
    for term in card["scorecard"]["terms"]:
        assert any(line.split()[:2] == [term["name"], term["feature"]] for line in said)
    medium, high = card["bands"]["medium"], card["bands"]["high"]
    assert f"medium from 30 to {medium:g}, high from 55 to {high:g}" in done.stdout
    words = ("--spec", "shaped.toml", "--scorer", "scorecard", "--out", "shaped.csv")
    scored = trained.run("score", *words)
    assert scored.returncode == 0, scored.stderr


REFUSED: list[tuple[tuple[str, ...], int, str]] = [
    (("train", "--candidates", "nobody", "--candidates", "logistic"), 2, "'nobody' is not known"),
    (("train", "--candidates", "xgbost"), 2, "did you mean 'xgboost'"),
    (("train", "--candidates", "bg_nbd"), 2, "needs training.purchases"),
    (("train", "--candidates", "logistic,scorecard"), 2, "'scorecard' is compared in every"),
    (("train", "--level", "1"), 2, "level = 1: must lie between 0 and 1"),
    (("evaluate", "--level", "0.99", "--n-boot", "199"), 2, "n-boot = 199: 0.99 intervals need"),
    (("train", "--demo"), 2, "are not the demo's: leave --demo out to train on them"),
    (("train", "--horizon", "5x"), 2, "--horizon: '5x' is not a duration"),
    (("train", "--as-of", "2019-01-01"), 1, "load older events, or shorten the horizon"),
    (("train", "--as-of", "2026-05-20"), 1, "choose --as-of 2026-05-01 or earlier"),
    (("evaluate", "--horizon", "12h"), 2, "--horizon: '12h' is not a whole number of days"),
    (("calibrate", "--against", "nothing"), 2, "write outcome or importance"),
    (("calibrate", "--apply", "train.txt"), 2, "exists already"),
    (("calibrate", "--shape", "--apply", "train.txt"), 2, "exists already"),
    (("calibrate", "--shape", "--pin", "spm"), 2, "did you mean 'spam'"),
    (("calibrate", "--shape", "--against", "importance"), 2, "fitted to outcome only"),
    (("calibrate", "--max-terms", "9"), 2, "--max-terms needs --shape"),
    (("compare", "--run", "nope"), 1, "run 'nope' holds no comparison"),
    (("compare", "--promote", "nobody"), 2, "'nobody' is not in this training"),
    (("compare", "--promote", "recency"), 2, "cannot say why"),
    (("score", "--scorer", "lightgbm"), 2, "no scorer 'lightgbm' is registered"),
    (("score", "--scorer", "models:/nothing/1"), 1, "no such model version"),
    (("explain", "nobody"), 1, "no user 'nobody'"),
    (("explain", "u0000001", "--scorer", "scorecard", "--plot", "x.png"), 2, "leave it out"),
]


@pytest.mark.parametrize(("words", "code", "said"), REFUSED, ids=[" ".join(r[0]) for r in REFUSED])
def test_what_cannot_be_done_is_one_line(
    trained: Home, words: tuple[str, ...], code: int, said: str
) -> None:
    assert said in trained.refused(*words, code=code)


def test_without_a_training_every_command_says_what_to_do(trained: Home, tmp_path: Path) -> None:
    home = Home(tmp_path / "fresh")
    shutil.copytree(trained.folder / "data", home.folder / "data")
    shutil.rmtree(home.folder / "data" / "saas" / "training", ignore_errors=True)
    for words, code in ((("compare",), 1), (("ui",), 2), (("score", "--scorer", "xgboost"), 2)):
        assert "run `whyrank train`" in home.refused(*words, code=code)
    # The scorecard needs none.
    assert home.run("score").returncode == 0


def test_a_server_out_of_reach_is_said_and_the_work_is_kept_here(trained: Home) -> None:
    done = trained.run(
        "train", "--folds", 1, "--candidates", "logistic", "--tracking", "http://127.0.0.1:9",
        "--level", 0.8, "--n-boot", 100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cannot be reached" in done.stderr
    assert "note: " in done.stderr
    assert "intervals 80%, bootstrap over users, 100 times" in done.stdout


def test_intervals_are_of_the_level_that_is_asked_for(trained: Home) -> None:
    def auc(*words: object) -> tuple[str, list[float]]:
        done = trained.run("evaluate", "--as-of", "2026-05-01", "--n-boot", 400, *words)
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stdout.splitlines() if "roc_auc" in line]
        return done.stdout, [float(number) for number in re.findall(r"[0-9]\.[0-9]+", line)]

    narrow, wide = auc("--level", 0.5), auc("--level", 0.995)
    assert "50% intervals, bootstrap over users, 400 times" in narrow[0]
    assert "99.5% intervals, bootstrap over users, 400 times" in wide[0]
    assert narrow[1][0] == wide[1][0]
    assert wide[1][1] < narrow[1][1] < narrow[1][2] < wide[1][2]
