"""An installed package with entry points, as `pip install` leaves it, in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(
    folder: Path, package: str, code: str, entries: Mapping[str, Mapping[str, str]]
) -> Path:
    """Write a package of one module; entries: group -> name -> object in it. Return the folder."""
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [
        line
        for group, names in entries.items()
        for line in (f"[{group}]", *(f"{name} = {package}:{of}" for name, of in names.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (folder / f"{package}.py").write_text(code)
    return folder
