"""How many examples a property test draws: few in `make test`, more in `make test-slow`."""

from __future__ import annotations

import os

FACTOR = int(os.environ.get("WHYRANK_TEST_EXAMPLES", "1"))


def examples(number: int) -> int:
    """Return a number of examples, times what the environment asks for."""
    return number * FACTOR
