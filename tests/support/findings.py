"""What `doctor` finds, as texts."""

from __future__ import annotations

from whyrank.pipeline.doctor import doctor


def found(status: str, spec: str, url: str) -> list[str]:
    """Return the texts of the findings of a status."""
    return [finding.text for finding in doctor(spec, url) if finding.status == status]
