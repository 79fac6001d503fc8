"""The dbt project's layout: models in layers, each with a .yml beside it that says its grain."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path, PurePath

import pytest
import yaml

from tests.support.marts_log import HEAD, MARTS
from tests.support.tiny_log import tiny_spec
from whyrank.features.compiler import compile_features
from whyrank.spec.load import parse_spec
from whyrank.spec.model import Spec
from whyrank.warehouse.dbt_project.render import models_of, render_project, write_project
from whyrank.warehouse.dialects import INCREMENTAL

AREAS = ("features", "analytics", "funnels", "experiments")
LAYERS = {
    "staging",
    *(f"intermediate/{area}" for area in ("users", *AREAS)),
    *(f"marts/{area}" for area in AREAS),
}
SPECS = (tiny_spec(), parse_spec(HEAD + MARTS, "tiny.toml"))
MATERIALISED = re.compile(r"materialized='(\w+)'")


def rendered(spec: Spec) -> dict[str, str]:
    return render_project(spec, compile_features(spec), [date(2026, 3, 9)])


@pytest.fixture(scope="module")
def project(root: Path) -> Path:
    return root / "src" / "warehouse" / "dbt"


@pytest.mark.parametrize("kind", ["models", "tests"])
def test_every_folder_is_a_layer(project: Path, kind: str) -> None:
    """Data tests stand in the folder of the models that they test."""
    root = project / kind
    found = {path.parent.relative_to(root).as_posix() for path in root.rglob("*.sql")}
    assert found <= LAYERS
    if kind == "models":
        assert found == LAYERS
    loose = {path.name for path in root.iterdir() if path.is_file()}
    assert loose == ({"sources.yml"} if kind == "models" else set())


def test_every_model_has_a_yml_beside_it(project: Path) -> None:
    models = {path.with_suffix("") for path in (project / "models").rglob("*.sql")}
    described = {path.with_suffix("") for path in (project / "models").rglob("*.yml")}
    assert models == described - {project / "models" / "sources"}
    assert len({path.name for path in models}) == len(models) > 25


def test_every_model_is_described_with_its_grain_and_columns(project: Path) -> None:
    """In the project of some spec, whose optional models have their .yml with them."""
    seen = set()
    for files in map(rendered, SPECS):
        names = models_of(files)
        for path, text in files.items():
            if not (path.startswith("models/") and path.endswith(".yml")):
                continue
            found = yaml.safe_load(text).get("models", [])
            if path == "models/sources.yml":
                assert not found
                continue
            (model,) = found
            assert model["name"] == PurePath(path).stem
            assert model["description"].startswith("One row per "), path
            assert model["columns"], path
            assert all(column["description"] for column in model["columns"]), path
            assert "-- Grain: one row per " in names[model["name"]], path
            seen.add(model["name"])
        assert names.keys() <= seen
    assert seen == {path.stem for path in (project / "models").rglob("*.sql")}


def test_models_are_views_tables_or_deleted_and_inserted(project: Path) -> None:
    """Our materialisation has a name of its own, and no macro takes the place of one of dbt's.

    But for is_incremental, which is dbt's own and knows ours as well.
    """
    named = set()
    for path in (project / "models").rglob("*.sql"):
        named |= set(MATERIALISED.findall(path.read_text()))
    assert named == {"view", INCREMENTAL}
    macros = "\n".join(path.read_text() for path in (project / "macros").glob("*.sql"))
    assert set(re.findall(r"{% materialization (\w+),", macros)) == {INCREMENTAL}
    assert set(re.findall(r"{% macro (\w+)\(", macros)) == {
        f"whyrank_{INCREMENTAL}",
        "is_incremental",
        "changed",
    }


def test_files_that_are_gone_leave_a_rendered_project(tmp_path: Path) -> None:
    """Macros too: an earlier version's would still take the place of dbt's own."""
    old = {
        "models/staging/touched_users.sql": "select 1",
        "tests/sessions_are_apart.sql": "select 1",
        "macros/incremental.sql": "",
        "dbt_project.yml": "",
    }
    files = rendered(SPECS[0])
    write_project(old, tmp_path)
    write_project(files, tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(files)
