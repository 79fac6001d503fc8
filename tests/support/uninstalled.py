"""Processes that cannot import the libraries of extras, as where they are not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
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

# Imports the command line once, and forks for each command; prints how each ended, as JSON.
_COMMANDS = """
import json, os, sys, tempfile
from whyrank.cli import main

ended = []
for words in json.loads(sys.argv[1]):
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    child = os.fork()
    if not child:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.argv, code = ["whyrank", *words], 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    texts = [os.pread(file.fileno(), 1 << 20, 0).decode() for file in (out, err)]
    ended.append([code, *texts])
print(json.dumps(ended))
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


def commands(
    lines: Sequence[str], folder: Path, **env: str
) -> list[subprocess.CompletedProcess[str]]:
    """Run whyrank's command lines in a folder without the modules of any extra."""
    done = python(
        "-c", _COMMANDS, json.dumps([line.split() for line in lines]), folder=folder, **env
    )
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout)
    return [subprocess.CompletedProcess(line, *one) for line, one in zip(lines, ended, strict=True)]
