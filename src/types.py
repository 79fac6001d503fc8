"""Types that every package uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    RawScores = NDArray[Any]  # float64, or int64 where they are hundredths of points
else:
    # They stand in annotations alone: a command that ends early need not load numpy.
    Floats = Integers = Bools = RawScores = Any

# Takes a message for a person.
Log = Callable[[str], None]
# Takes how much is done, and of how much.
Progress = Callable[[int, int], None]
# Takes how many models or tests are done, of how many, and the seconds left where they are known.
BuildProgress = Callable[[int, int, float | None], None]
