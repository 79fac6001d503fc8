"""What a list says that was written as CSV."""

from __future__ import annotations

import csv
from pathlib import Path


def csv_rows(path: Path) -> list[dict[str, str]]:
    """Return a file's rows, each cell a text by its column's name."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
