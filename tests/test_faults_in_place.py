"""What plants faults and mutants names places in the source: each is there, with its tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations.__main__ import ALIKE, CODE
from tests.planted_faults.faults import FAULTS, Fault


def missing_test(root: Path, node: str) -> str:
    """Return what of a test's id is not there; empty where all is."""
    path, *names = node.split("::")
    if not (root / path).exists():
        return path
    text = (root / path).read_text(encoding="utf-8") if names else ""
    wanted = [name.partition("[")[0] for name in names]
    return "".join(name for name in wanted if f"def {name}(" not in text)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
def test_a_fault_can_be_planted_and_its_tests_run(root: Path, fault: Fault) -> None:
    text = (root / fault.path).read_text(encoding="utf-8")
    assert text.count(fault.old) == 1
    assert fault.old != fault.new
    assert [missing_test(root, node) for node in fault.tests] == [""] * len(fault.tests)


@pytest.mark.parametrize("path", sorted(CODE))
def test_code_that_is_mutated_has_its_tests(root: Path, path: str) -> None:
    text = (root / path).read_text(encoding="utf-8")
    assert [missing_test(root, test) for test in CODE[path]] == [""] * len(CODE[path])
    assert [line for line, _ in ALIKE.get(path, {}) if line not in text] == []


def test_what_is_excused_is_mutated() -> None:
    assert set(ALIKE) <= set(CODE)
