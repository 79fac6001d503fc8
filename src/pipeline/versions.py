"""The stamp by which a ranking is traced to its spec."""

from __future__ import annotations

from ..spec.load import spec_digest
from ..spec.model import Spec


def spec_version(spec: Spec) -> str:
    """Return the spec's own version and a hash of its content, such as "1+11a62fdb4133".

    >>> from whyrank.spec.load import load_spec
    >>> spec_version(load_spec("saas")).startswith("1+")
    True
    """
    return f"{spec.version}+{spec_digest(spec)}"
