"""Documentation says what the code does: references, excerpts, links, keys."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.docs.reference import cli_reference, with_operations
from whyrank.spec.analytics import ExperimentsSpec, FunnelSpec, MetricsSpec, OutcomeSpec
from whyrank.spec.model import (
    AttributeSpec,
    EventSpec,
    FeatureSpec,
    PopulationSpec,
    SessionSpec,
    SourceSpec,
    Spec,
    TargetSpec,
    UsersSpec,
)
from whyrank.spec.scorecard import BandsSpec, GroupSpec, TermSpec
from whyrank.spec.training import PurchasesSpec, TrainingSpec

LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
MODELS: list[type[BaseModel]] = [
    AttributeSpec, BandsSpec, EventSpec, FeatureSpec, GroupSpec, PopulationSpec, SessionSpec,
    PurchasesSpec, SourceSpec, Spec, TargetSpec, TermSpec, TrainingSpec, UsersSpec,
    ExperimentsSpec, FunnelSpec, MetricsSpec, OutcomeSpec,
]  # fmt: skip


def pages(root: Path) -> list[Path]:
    folders = ("docs", "data", "experiments", "mlflow", "benchmarks")
    found = [*root.glob("*.md"), *(p for name in folders for p in (root / name).rglob("*.md"))]
    return sorted(found)


def test_the_command_line_reference_is_what_help_prints(root: Path) -> None:
    assert (root / "docs" / "cli.md").read_text() == cli_reference(), (
        "run python -m tests.docs.reference"
    )


def test_the_table_of_operations_is_the_catalogue(root: Path) -> None:
    page = (root / "docs" / "features.md").read_text()
    assert page == with_operations(page), "run python -m tests.docs.reference"


def test_links_lead_somewhere(root: Path) -> None:
    links = [(page, link) for page in pages(root) for link in LINK.findall(page.read_text())]
    assert len(links) > 30
    broken = [(str(page), link) for page, link in links if not (page.parent / link).exists()]
    assert broken == []


def test_the_changelog_keeps_its_form(root: Path) -> None:
    """Unreleased, then versions with dates, the newest first; changes in groups of six kinds."""
    text = (root / "CHANGELOG.md").read_text()
    first, *releases = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert first == "Unreleased"
    dated = [re.fullmatch(r"(\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)", name) for name in releases]
    assert dated
    assert all(dated), releases
    versions = [tuple(map(int, found[1].split("."))) for found in dated if found]
    assert versions == sorted(set(versions), reverse=True)
    groups = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= groups


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_of_a_spec_is_documented(root: Path, model: type[BaseModel]) -> None:
    page = (root / "docs" / "spec.md").read_text()
    missing = [key for key in model.model_fields if not re.search(rf"[`\[.]{key}\b", page)]
    parts = {
        "source",
        "events",
        "users",
        "sessions",
        "target",
        "population",
        "scorecard",
        "bands",
        "training",
        "metrics",
        "funnels",
        "experiments",
    }
    assert set(missing) <= ({*parts, "features"} if model is Spec else set())


def test_every_description_of_the_saas_score_is_its_points(root: Path) -> None:
    """The README's account of the built-in scorecard names each term's points."""
    from whyrank.spec.load import load_spec

    text = (root / "README.md").read_text()
    account = text[text.index("The built-in `saas` scorecard says") :].split("\n\n")[0]
    points = sorted(abs(int(number)) for number in re.findall(r"(?<=[(-])\d+(?=[);])", account))
    spec = load_spec("saas")
    assert points == sorted(abs(int(term.points)) for term in spec.scorecard.terms)
    assert f"Below {spec.bands.medium:g} is low, from {spec.bands.high:g} on high" in account
