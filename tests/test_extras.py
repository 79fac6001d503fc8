"""What an installation without extras can do, and the one line that names what is missing."""

from __future__ import annotations

import re
import subprocess
import tomllib
from datetime import date
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.uninstalled import commands, python
from whyrank.extras import EXTRAS
from whyrank.pipeline.build import build
from whyrank.pipeline.generate import generate
from whyrank.pipeline.ingest import ingest
from whyrank.spec.load import load_spec
from whyrank.warehouse.open import open_warehouse

pytestmark = pytest.mark.commands
RANK = """
import pandas as pd, whyrank
events = pd.DataFrame({
    "user_id": ["ana", "ana", "bo"],
    "event_time": pd.to_datetime(["2026-03-01", "2026-03-02", "2026-03-02"]),
    "event_name": ["demo_request", "pricing_view", "page_view"],
})
print(whyrank.rank_events(events)["user_id"].tolist())
"""
WAREHOUSE, MODELS = r"dbt-core and dbt-duckdb, which are", r"imbalanced-learn, .*xgboost, which are"
REFUSED = {
    "build": (r"`whyrank build`", WAREHOUSE, "warehouse"),
    "demo": (r"`whyrank build`", WAREHOUSE, "warehouse"),
    "train": (r"`whyrank train`", MODELS, "models"),
    "train --demo": (r"`whyrank train`", MODELS, "models"),
    "compare": (r"`whyrank compare`", MODELS, "models"),
    "calibrate": (r"`whyrank calibrate`", MODELS, "models"),
    "calibrate --shape": (r"`whyrank calibrate`", MODELS, "models"),
    "mlflow": (r"`whyrank mlflow`", MODELS, "models"),
    "explain u1 --plot why.png": (r"`whyrank explain`", MODELS, "models"),
    "score --warehouse postgresql://ana@127.0.0.1/db": (
        "a postgresql:// warehouse",
        r"adbc-driver-postgresql, dbt-core, dbt-postgres and psycopg, which are",
        "postgres",
    ),
    "build --warehouse spark://127.0.0.1:7077": (
        "a spark:// warehouse", r"dbt-core, dbt-spark and pyspark, which are", "spark",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def refused(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, subprocess.CompletedProcess[str]]:
    """What ended how in a folder with events that were loaded without any extra."""
    folder = tmp_path_factory.mktemp("core")
    first = ("generate --users 5 --out e.csv", "ingest e.csv", "init e.csv", "doctor")
    done = commands([*first, *REFUSED], folder)
    for one in done[: len(first)]:
        assert one.returncode == 0, one.stdout + one.stderr
    doctor = done[len(first) - 1].stdout
    assert "broken" not in doctor
    for extra in EXTRAS:
        assert f"`pip install 'whyrank[{extra}]'`" in doctor
    return dict(zip(REFUSED, done[len(first) :], strict=True))


def test_a_frame_is_ranked_without_any_extra(tmp_path: Path) -> None:
    done = python("-c", RANK, folder=tmp_path)
    assert done.stdout.strip() == "['ana', 'bo']", done.stderr


def test_a_build_that_is_there_is_ranked_explained_and_measured(tmp_path: Path) -> None:
    """The same list and the same intervals as with everything installed."""
    spec = load_spec("saas")
    store = open_warehouse(f"duckdb:///{tmp_path}/data/whyrank.duckdb")
    made = generate(spec, tmp_path / "e.csv", users=150, seed=3)
    ingest(spec, store, events=made.events, users=made.users)
    build(spec, store, as_of=[date(2026, 2, 15)])
    lines = (
        "score --top 3 --out l.csv",
        "explain u0000101",
        "evaluate --horizon 30d --n-boot 50",
    )
    bare = commands(lines, tmp_path)
    whole = commands(lines, tmp_path, UNINSTALLED="nothing")
    for one, other in zip(bare, whole, strict=True):
        assert one.returncode == 0, one.stderr
        assert one.stdout == other.stdout
    assert "roc_auc" in bare[-1].stdout
    assert len((tmp_path / "l.csv").read_text().splitlines()) == 4


@pytest.mark.xdist_group("extras")
@pytest.mark.parametrize("command", REFUSED)
def test_a_command_without_its_extra_says_what_to_install(
    refused: dict[str, subprocess.CompletedProcess[str]], command: str
) -> None:
    what, libraries, extra = REFUSED[command]
    done = refused[command]
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if not line.endswith("…")]
    said = rf"error: {what} needs {libraries} not installed: run `pip install 'whyrank\[{extra}\]'`"
    assert re.fullmatch(said, line), line


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("whyrank.train", r"whyrank\.train needs imbalanced-learn, .*\[models\]"),
        ("whyrank.build(whyrank.load_spec('saas'), whyrank.open_warehouse('duckdb:///w.duckdb'))",
         r"`whyrank build` needs dbt-core and dbt-duckdb, .*\[warehouse\]"),
        ("whyrank.rank_events(None, scorer='champion', tracking='postgresql://h/db')",
         r"MLflow tracking needs imbalanced-learn, .*\[models\]"),
    ],
)  # fmt: skip
def test_a_function_without_its_extra_raises_an_install_error(
    tmp_path: Path, code: str, said: str
) -> None:
    tried = (
        "import whyrank\nfrom whyrank.errors import InstallError\n"
        f"try:\n    {code}\nexcept InstallError as error:\n    print(error)\n"
    )
    done = python("-c", tried, folder=tmp_path)
    assert re.match(said, done.stdout), done.stdout + done.stderr
    assert not (tmp_path / "w.duckdb").exists()


def test_a_module_of_no_extra_stays_a_bug(tmp_path: Path) -> None:
    """What whyrank itself needs is not told as an extra."""
    done = python(
        "-m", "whyrank.cli", "generate", "--users", "2", folder=tmp_path, UNINSTALLED="pyarrow"
    )
    assert done.returncode == 1
    assert "unexpected ModuleNotFoundError" in done.stderr


def test_extras_are_those_of_the_project(root: Path) -> None:
    """The packages of `extras.py` are what pyproject.toml asks for, and each has its module."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    asked = {
        name: {Requirement(text).name for text in texts}
        for name, texts in project["optional-dependencies"].items()
    }
    assert asked.keys() == {*EXTRAS, "all", "dev"}
    known = {name: set(extra.modules.values()) for name, extra in EXTRAS.items()}
    assert known == {name: asked[name] - {"xgboost-cpu"} for name in EXTRAS}
    (everything,) = (Requirement(text) for text in project["optional-dependencies"]["all"])
    assert everything.extras == set(EXTRAS)
    core = {Requirement(text).name for text in project["dependencies"]}
    assert not core & {package for packages in known.values() for package in packages}
    providers = metadata.packages_distributions()
    for extra in EXTRAS.values():
        for module, package in extra.modules.items():
            found = {name.lower() for name in providers.get(module.split(".")[0], [package])}
            assert package in found or f"{package}-cpu" in found, module
