"""What several folders of tests share is in `tests/support`, and no test imports another."""

from __future__ import annotations

import ast
from pathlib import Path

SHARED = {"support", "mutations", "planted_faults", "sql_lint"}  # the last three are programs


def test_tests_import_helpers_from_support_or_their_own_folder_alone(root: Path) -> None:
    tests = root / "tests"
    wrong = []
    for path in sorted(tests.rglob("*.py")):
        own = path.relative_to(tests).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            parts = node.module.split(".")
            of_tests = parts[0] == "tests" and not node.level
            folder = parts[1] if of_tests and len(parts) > 1 else own
            a_test = (of_tests or node.level) and parts[-1].startswith("test_")
            if folder not in {*SHARED, own} or a_test:
                wrong.append(f"{path.relative_to(root)}: {node.module}")
    assert wrong == []
