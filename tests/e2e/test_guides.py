"""The guides are followed to the letter: files written, commands run, outputs compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from .guides import Reader

pytestmark = pytest.mark.commands


@pytest.mark.parametrize(
    ("guide", "kinds"),
    [
        ("your-own-events.md", {"csv", "sh", "text", "diff"}),
        ("from-python.md", {"python", "text"}),
    ],
)
def test_a_guide_can_be_followed(root: Path, tmp_path: Path, guide: str, kinds: set[str]) -> None:
    reader = Reader(tmp_path)
    reader.follow((root / "docs" / "guides" / guide).read_text())
    assert set(reader.done) == kinds
