"""The scorecard's part of a spec: terms with points, groups with caps, bands."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .parts import Part

HUNDREDTHS = 100
FULL_SCORE = 100.0
_ROUNDING = 1e-6  # of a hundredth: what writing a decimal as a double may cost
TRANSFORMS: dict[str, tuple[str, ...]] = {
    "linear": ("cap",),
    "log": ("cap",),
    "half_life": ("half_life",),
    "flag": (),
    "map": ("map",),
}


class TermSpec(Part):
    """One named term: a feature, a transform into 0..1 and the points that 1 is worth.

    transform: linear min(x, cap)/cap · log log(1+min(x, cap))/log(1+cap) · half_life
    2^(-x/half_life) · flag 1 when true or above zero · map the share given for the category
    (else `other`). Values below zero count as zero; a null counts as no points.

    reason: the contribution in words. {value} is the user's number, {name_of_a_feature} another
    feature of the same user, [one|many] chooses by whether the value is 1.
    """

    name: str
    feature: str
    points: float
    transform: Literal["linear", "log", "half_life", "flag", "map"]
    cap: Annotated[float, Field(gt=0)] | None = None
    half_life: Annotated[float, Field(gt=0)] | None = None
    map: dict[str, Annotated[float, Field(ge=0, le=1)]] | None = None
    other: Annotated[float, Field(ge=0, le=1)] = 0.0
    group: str | None = None
    reason: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_transform(self) -> Self:
        needed = TRANSFORMS[self.transform]
        for key in ("cap", "half_life", "map"):
            given = getattr(self, key) is not None
            if key in needed and not given:
                raise ValueError(f"{self.name}: transform {self.transform!r} needs {key!r}")
            if given and key not in needed:
                raise ValueError(f"{self.name}: transform {self.transform!r} takes no {key!r}")
        exact = self.points * HUNDREDTHS
        if self.points == 0 or abs(round(exact) - exact) > _ROUNDING:
            raise ValueError(
                f"{self.name}: points = {self.points} must be whole hundredths and not zero"
            )
        return self


class GroupSpec(Part):
    """Terms that together may give at most `cap` points."""

    cap: Annotated[float, Field(gt=0)]
    reason: Annotated[str, Field(min_length=1)]


class ScorecardSpec(Part):
    """A sum of terms, clipped to 0..100; positive points within reach total exactly 100."""

    terms: Annotated[tuple[TermSpec, ...], Field(min_length=1)]
    groups: dict[str, GroupSpec] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        names = [term.name for term in self.terms]
        taken = {*self.groups, "clipping"}
        for name in names:
            if names.count(name) > 1 or name in taken:
                raise ValueError(f"term {name!r} is declared twice, or names a group")
        for term in self.terms:
            if term.group is not None and term.group not in self.groups:
                raise ValueError(f"{term.name}: group {term.group!r} is not in scorecard.groups")
        total = self.reachable()
        if round(total * HUNDREDTHS) != round(FULL_SCORE * HUNDREDTHS):
            raise ValueError(
                f"positive points total {total:g} (a group counts at most its cap): they must "
                "total 100, so that a score reads as points out of 100"
            )
        return self

    def reachable(self) -> float:
        """Return the most points that a user can gather, groups counted at their caps."""
        alone = sum(t.points for t in self.terms if t.group is None and t.points > 0)
        grouped = sum(
            min(
                group.cap,
                sum(t.points for t in self.terms if t.group == name and t.points > 0),
            )
            for name, group in self.groups.items()
        )
        return alone + grouped


class BandsSpec(Part):
    """Where a score turns from low to medium, and from medium to high (inclusive, in points)."""

    medium: Annotated[float, Field(gt=0, lt=100)]
    high: Annotated[float, Field(gt=0, le=100)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.medium >= self.high:
            raise ValueError(f"medium = {self.medium:g} must be below high = {self.high:g}")
        return self
