"""Which code ran: whyrank's version, and the commit of its checkout."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path


def code_commit() -> str | None:
    """Return the commit of whyrank's checkout, "-dirty" behind it with changes; None outside one.

    A repository that merely surrounds an installed whyrank, as one with a .venv in it does, is not
    its checkout.
    """
    here = Path(__file__).resolve()
    if _git(here, "ls-files", "--error-unmatch", here.name) is None:
        return None
    return _git(here, "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*")


def code_version() -> str:
    """Return whyrank's version, and the commit when it runs from a checkout.

    The version is that of the installation: in an editable one, of the commit that was installed.
    """
    version, commit = metadata.version("whyrank"), code_commit()
    return f"{version}+{commit}" if commit else version


def _git(here: Path, *words: str) -> str | None:
    """Return what git says in the folder of a file; None where it has nothing to say."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", "-C", str(here.parent), *words],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # git is not installed
        return None
    return done.stdout.strip() if done.returncode == 0 else None
