"""Specs as commands use them: checked whole, and with a version that stands in every output."""

from __future__ import annotations

from pathlib import Path

from ..errors import SpecError
from ..features.compiler import compile_features
from ..spec.load import load_spec
from ..spec.model import Spec


def checked_spec(name_or_path: str | Path) -> Spec:
    """Load a spec and compile its features, so that a fault in either is said with the file.

    Raises SpecError naming the file, the key, the value and what would be right.

    >>> checked_spec("saas").name
    'saas'
    """
    spec = load_spec(name_or_path)
    try:
        compile_features(spec)
    except SpecError as error:
        raise SpecError(f"{name_or_path}: {error}") from None
    return spec
