"""The linter of the SQL (`make lint`) finds faults of style, and SQL that cannot be parsed."""

from __future__ import annotations

import pytest

from tests.sql_lint.__main__ import faults_of, plain_spec, sql_files

CLEAN = "select a\nfrom b\nwhere a > 1\n"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (CLEAN, None),
        (CLEAN.replace("from", "FROM"), "CP01"),
        (CLEAN.replace("where a", "  where a"), "LT02"),
        (CLEAN.replace("a > 1", "a > 1)"), "PRS"),
        ("with c as (\n    select 1 as n\n)\n\nselect a from b\n", "ST03"),
    ],
)
def test_faults_are_found(text: str, rule: str | None) -> None:
    found = {line.split(": ", 1)[1].split()[0] for line in faults_of(("models/b.sql", text))}
    assert found == ({rule} if rule else set())


def test_every_form_of_a_model_is_linted() -> None:
    files = dict(sql_files(plain_spec()))
    kinds = {path.split("sessions", 1)[1] for path in files if "/sessions." in path}
    assert kinds == {".sql", ".hook.sql", ".incremental.sql"}
    assert any(path.startswith("tests/") for path in files)
    for text in files.values():
        assert "{{" not in text
        assert "<<" not in text
