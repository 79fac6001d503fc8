"""What dbt made of a project, kept for the next project of the same warehouse and spec.

dbt reads its own macros and every model before it runs any: half the time of a build of 60 users.
By `partial_parse.msgpack` it reads only files that differ. It takes that of its own project alone;
here another project's is put in its place, which is of the same database, schema and settings, so
that all that was read of an equal file is the same. The folder of the warehouse, which no model
names, may differ.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

_FILE = Path("target", "partial_parse.msgpack")


@contextmanager
def kept_parse(project: Path, kept: Path) -> Iterator[None]:
    """Give dbt what an earlier run in this process's server read; keep what this one reads.

    kept: a folder of the server's. A project that has a parse of its own keeps to it.
    """
    from dbt.contracts.files import FileHash
    from dbt.parser.manifest import ManifestLoader

    try:
        key = _key(project)
    except (OSError, TypeError, KeyError, yaml.YAMLError):  # dbt says what is wrong with it
        yield
        return
    mine, shared = project / _FILE, kept / f"{key}.msgpack"
    check = ManifestLoader.build_manifest_state_check

    def check_but_for_folders(self: ManifestLoader) -> Any:
        state = check(self)
        state.profile_hash = FileHash.from_contents(key)
        return state

    ManifestLoader.build_manifest_state_check = check_but_for_folders
    if shared.exists() and not mine.exists():
        mine.parent.mkdir(exist_ok=True)
        shutil.copyfile(shared, mine)
    yield
    if mine.exists() and not shared.exists():
        temporary = kept / f"{key}.{os.getpid()}"
        shutil.copyfile(mine, temporary)
        temporary.rename(shared)


def _key(project: Path) -> str:
    """Return a digest of the project's settings and its profile, but for folders."""
    profile = yaml.safe_load((project / "profiles.yml").read_text("utf-8"))
    target = profile["whyrank"]["outputs"]["warehouse"]
    database = Path(str(target.get("path", ""))).name
    rest = {k: v for k, v in target.items() if k not in {"path", "config_options", "settings"}}
    text = f"{database} {sorted(rest.items())} {(project / 'dbt_project.yml').read_text('utf-8')}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
