"""generate: a world of synthetic events whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

from ..errors import UsageError
from ..events.synthetic.media.world import generate_media
from ..events.synthetic.saas import generate_saas
from ..events.synthetic.world import Generated
from ..spec.model import Spec

GENERATORS = {"media": generate_media, "saas": generate_saas}


def generate(
    spec: Spec,
    out: Path,
    *,
    users: int = 100,
    seed: int = 7,
    start: date = date(2026, 1, 1),
    days: int = 90,
    progress: Callable[[int, int], None] | None = None,
) -> Generated:
    """Write synthetic events, users and truth for a spec that has a generator.

    Raises UsageError for a spec without one, or arguments that make no world.
    """
    if spec.name not in GENERATORS:
        known = ", ".join(sorted(GENERATORS))
        raise UsageError(f"spec {spec.name!r} has no generator of events; these have: {known}")
    return GENERATORS[spec.name](
        out, users=users, seed=seed, start=start, days=days, progress=progress
    )
