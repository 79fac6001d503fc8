"""The tables that Spark keeps in a folder per day: what a build replaces of them, and how.

Plain Parquet has no rows to delete. Before a build of what changed, the folders of the days from
the first change on are staged; models then rewrite those days, reading what was staged. A
build that is cut off in between is followed by a full one.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from ...dbt_project.render import models_of

_CONFIG: Final = re.compile(r"^\{\{ config\(\*\*(\{.*\})\) \}\}$", re.MULTILINE)


@dataclass(frozen=True)
class Days:
    """Where the marts of a spec are, and where days that are being replaced are staged.

    folder: of the tables, one each.
    """

    folder: Path

    @property
    def staged(self) -> Path:
        """The folder of what was staged."""
        return self.folder.with_name(f"{self.folder.name}.before")

    def tables(self) -> list[Path]:
        """Return the folders of the tables that stand: those with a file."""
        return sorted(each for each in self._folders() if any(each.rglob("*.parquet")))

    def empty(self) -> list[Path]:
        """Return the folders of tables that were made and have no rows."""
        return sorted(set(self._folders()) - set(self.tables()))

    def _folders(self) -> list[Path]:
        return [each for each in self.folder.glob("*") if each.is_dir()]

    def clear(self, keep: Mapping[str, str] | None = None, *, only: str = "") -> None:
        """Remove tables that are to be rebuilt: all but those to keep, or a single one."""
        shutil.rmtree(self.staged, ignore_errors=True)
        for table in self._folders():
            if table.name not in (keep or {}) and only in {"", table.name}:
                shutil.rmtree(table)

    def stage(self, tables: Mapping[str, str], since: date) -> None:
        """Put the folders of the days from `since` on aside."""
        for name, column in tables.items():
            (self.staged / name).mkdir(parents=True, exist_ok=True)
            for day in sorted((self.folder / name).glob(f"{column}=*")):
                if day.name >= f"{column}={since.isoformat()}":
                    day.rename(self.staged / name / day.name)

    def can_build_incrementally(self, tables: Mapping[str, str], since: date) -> bool:
        """Return whether every table stands and has days before `since`, which give its columns."""
        return all(
            any(
                day.name < f"{column}={since.isoformat()}"
                for day in (self.folder / name).glob(f"{column}=*")
            )
            for name, column in tables.items()
        )


def tables_by_day(files: Mapping[str, str]) -> dict[str, str]:
    """Return the models that a rendered project keeps by day, and the column of that day."""
    found = {}
    for name, text in models_of(files).items():
        config = _CONFIG.search(text)
        told = json.loads(config[1]) if config else {}
        if told.get("materialized") == "incremental":
            found[name] = str(told["partition_by"][0])
    return found
