"""The workflow file: it runs .ci/run and the coverage job, with few rights and nothing secret."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PINNED = re.compile(r"[\w.-]+/[\w.-]+(/[\w.-]+)*@(v\d+|[0-9a-f]{40})")


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / ".github" / "workflows" / "ci.yml").read_text()


@pytest.fixture(scope="module")
def workflow(text: str) -> dict[str, Any]:
    # As GitHub reads it: YAML 1.1 would take the key `on` for true.
    read: dict[str, Any] = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - texts alone
    return read


def steps(job: dict[str, Any], key: str) -> list[str]:
    return [step[key] for step in job["steps"] if key in step]


def test_it_runs_what_a_clean_checkout_runs(root: Path, workflow: dict[str, Any]) -> None:
    assert ".ci/run" in steps(workflow["jobs"]["checks"], "run")
    assert os.access(root / ".ci" / "run", os.X_OK)
    assert "make coverage" in steps(workflow["jobs"]["coverage"], "run")
    assert {"push", "pull_request"} <= workflow["on"].keys()


def test_its_system_packages_are_those_of_the_script(root: Path, workflow: dict[str, Any]) -> None:
    wanted = set(re.findall(r"missing\+=\((.*)\)", (root / ".ci" / "run").read_text()))
    named = {name for group in wanted for name in group.split() if not name.startswith("python")}
    (installed,) = (run for run in steps(workflow["jobs"]["checks"], "run") if "apt-get" in run)
    assert named <= set(installed.split())


def test_it_has_few_rights_and_ends(text: str, workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in text
    assert workflow["concurrency"]["cancel-in-progress"] == "true"
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert 0 < int(job["timeout-minutes"]) <= 120
        for action in steps(job, "uses"):
            assert PINNED.fullmatch(action), action
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/setup-python"):
                assert step["with"]["python-version"] == "3.11"
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] == "false"


def test_the_floor_of_coverage_is_the_documented_one(root: Path) -> None:
    floor = re.search(r"^FLOOR := (\d+)$", (root / "Makefile").read_text(), re.MULTILINE)
    page = " ".join((root / "CONTRIBUTING.md").read_text().split())
    told = re.search(r"ran (\d+)\.\d+% of `src`, and the floor is (\d+)%", page)
    assert floor
    assert told
    assert floor[1] == told[1] == told[2]
