"""Processes that cannot import the libraries of extras, as where they are not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from whyrank.extras import EXTRAS

# shap and numba are of the tests alone; sqlalchemy and py4j come with mlflow and pyspark.
ALWAYS = ("numba", "py4j", "shap", "sqlalchemy")
_BLOCKER = """
import os, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        missing = os.environ["UNINSTALLED"].split(",")
        if any(name == found or name.startswith(found + ".") for found in missing):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def modules_of(extras: Iterable[str]) -> list[str]:
    """Name the modules of some extras."""
    return sorted({module for extra in extras for module in EXTRAS[extra].modules} | {*ALWAYS})


def python(
    *arguments: str, folder: Path, extras: Iterable[str] = EXTRAS, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder without the modules of some extras, of all unless told."""
    blocker = folder / "without"
    blocker.mkdir(exist_ok=True)
    (blocker / "sitecustomize.py").write_text(_BLOCKER)
    paths = [str(blocker), *filter(None, [os.environ.get("PYTHONPATH")])]
    told = {
        **{name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"},
        "PYTHONPATH": os.pathsep.join(paths),
        "UNINSTALLED": ",".join(modules_of(extras)),
        **env,
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env=told, capture_output=True, text=True, check=False,
    )  # fmt: skip
