"""generate: a synthetic dataset with a known ground truth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

from ..errors import UsageError
from ..events.synthetic import manifest
from ..events.synthetic.media.world import files_of_media, generate_media
from ..events.synthetic.saas import files_of_saas, generate_saas
from ..events.synthetic.world import Generated
from ..events.synthetic.write import manifest_of
from ..spec.model import Spec

GENERATORS = {"media": generate_media, "saas": generate_saas}
_FILES = {"media": files_of_media, "saas": files_of_saas}


def generate(
    spec: Spec,
    out: Path,
    *,
    users: int = 100,
    seed: int = 7,
    start: date = date(2026, 1, 1),
    days: int = 90,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Generated:
    """Write synthetic events, users and truth for a spec that has a generator.

    Files of these names are replaced where they were generated and are as they were; force: others
    too.

    Raises UsageError for a spec without a generator, arguments that make no dataset, or a file that
    would be replaced and is not a generated one.
    """
    if spec.name not in GENERATORS:
        known = ", ".join(sorted(GENERATORS))
        raise UsageError(f"spec {spec.name!r} has no generator of events; these have: {known}")
    if not force:
        refuse_others(spec, out)
    return GENERATORS[spec.name](
        out, users=users, seed=seed, start=start, days=days, progress=progress
    )


def refuse_others(spec: Spec, out: Path) -> None:
    """Raise UsageError for a file that would be replaced and is not as it was generated."""
    if spec.name in _FILES:
        manifest.refuse_others(_FILES[spec.name](out).values(), manifest_of(out))
