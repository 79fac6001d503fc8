"""Several models of log-odds as one: the mean of their margins, and of their contributions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ..scorer import Floats
from .encoding import Matrix
from .fitted import Model


@dataclass(frozen=True)
class BlendModel:
    """The mean of models that read the same matrix.

    Each member's contributions add up to its margin, so their means add up to the mean margin: a
    blend says why as exactly as its members do, which a mean of ranks cannot.
    """

    members: tuple[Model, ...]

    def margin(self, matrix: Matrix) -> Floats:
        """Return log-odds, shape (n,)."""
        found: Floats = np.mean([member.margin(matrix) for member in self.members], axis=0)
        return found

    def contributions(self, matrix: Matrix) -> tuple[Floats, float] | None:
        """Return what each column added, (n, k), and the base; None where a member has none."""
        found = [member.contributions(matrix) for member in self.members]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return None
        values: Floats = np.mean([values for values, _ in known], axis=0)
        return values, float(np.mean([base for _, base in known]))

    def save(self, folder: Path) -> None:
        """Write each member to a numbered folder of its own."""
        from .storage import save_model

        for place, member in enumerate(self.members):
            inside = folder / f"member-{place}"
            inside.mkdir()
            save_model(member, inside)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read every member, in order."""
        from .storage import load_model

        return cls(tuple(load_model(inside) for inside in sorted(folder.glob("member-*"))))
