"""MLflow's tables for a store, made once and copied: MLflow takes two seconds to make them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from whyrank.files import atomic_write
from whyrank.tracking import Store, local

CREATE = local._create  # as whyrank has it


def creator(kept: Path) -> Callable[[Store, Path], None]:
    """Return a stand-in for `tracking.local._create` that keeps the first store in a folder."""
    template = kept / "mlflow.db"

    def create(store: Store, file: Path) -> None:
        if not template.exists():
            CREATE(store, file)
            temporary = kept / f"mlflow.{os.getpid()}"
            shutil.copyfile(file, temporary)
            temporary.rename(template)
            return
        file.with_name(f"{file.name}-journal").unlink(missing_ok=True)
        with atomic_write(file) as temporary:
            shutil.copyfile(template, temporary)
            with closing(sqlite3.connect(temporary)) as con:
                place = f"{store.artifacts.as_uri()}/0"
                con.execute("update experiments set artifact_location = ?", [place])
                con.commit()

    return create
