"""The parts of a spec that the analytics marts are made of: revenue, funnels, experiments."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from .durations import parse_days
from .parts import Days, Duration, Part, Text, named

MAX_STEPS = 8
ALL_USERS = "all"  # the segment that every user is in
COVARIATE = "pre_"  # begins the names of covariates: pre_plays, pre_active_days
UNIT_COLUMNS = frozenset(
    {"experiment_id", "user_id", "variant", "first_exposure", "variants", "is_mixed", "mixed_since"}
)
_Metric = Annotated[str, AfterValidator(named(40))]  # with COVARIATE before it, still a name


class MetricsSpec(Part):
    """What daily metrics and cohorts need to know.

    revenue: events whose value is revenue; without any, revenue is null. retention_days: cohorts
    are followed from day 0 to this day.
    """

    revenue: tuple[Text, ...] = ()
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 90


class FunnelSpec(Part):
    """Steps that users take one after another, within a window of the first one.

    within: the last step comes at most so long after the first one. segments: attributes of users
    by which the funnel is told apart, beside all users together.
    """

    name: _Metric
    steps: Annotated[tuple[Text, ...], Field(min_length=2, max_length=MAX_STEPS)]
    within: Duration
    segments: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        for key, names in (("steps", self.steps), ("segments", self.segments)):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"{key}: {name!r} is there twice: they must be different")
        return self


class OutcomeSpec(Part):
    """One metric of experiments: what a unit did in the days after its first exposure.

    kind: `count` of events, `sum` of their values, `any` is 1 for a unit with such an event and
    else 0, `active` the same but null until the unit's days are over. events: which ones; all
    where left out. Days are counted from 0, the UTC day of the exposure (of which only what comes
    at or after the exposure counts); the metric looks at days `after` to `within` - 1.
    """

    name: _Metric
    kind: Literal["count", "sum", "any", "active"]
    events: tuple[Text, ...] = ()
    after: Days | None = None
    within: Days

    @property
    def first_day(self) -> int:
        """The first day that counts, 0 for the day of the exposure."""
        return parse_days(self.after) if self.after else 0

    @property
    def days(self) -> int:
        """The first day that counts no more."""
        return parse_days(self.within)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.name.startswith(COVARIATE):
            raise ValueError(
                f"name: {self.name!r}: {COVARIATE!r} begins the names of covariates: rename it"
            )
        if self.kind == "sum" and not self.events:
            raise ValueError("events: a sum needs the events whose values are added up")
        if self.kind == "active" and self.after is None:
            raise ValueError(
                "after: kind 'active' needs it, as every unit is active on day 0: write such as "
                'after = "7d"'
            )
        if self.first_day >= self.days:
            raise ValueError(f"within = {self.within!r} must be later than after = {self.after!r}")
        return self


class ExperimentsSpec(Part):
    """How the experiments of the log are measured: the same metrics for each experiment_id.

    pre_period: whole days before the day of the first exposure that covariates look at. strata:
    static attributes of users that stand beside each unit.
    """

    pre_period: Days = "28d"
    strata: tuple[str, ...] = ()
    metrics: Annotated[tuple[OutcomeSpec, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        columns = [*UNIT_COLUMNS, *self.strata, *(metric.name for metric in self.metrics)]
        for name in (*(metric.name for metric in self.metrics), *self.strata):
            if columns.count(name) > 1:
                raise ValueError(
                    f"{name!r} would name two columns of experiment_units (metrics, strata and "
                    f"{', '.join(sorted(UNIT_COLUMNS))}): rename the metric or leave it out"
                )
            if name.startswith(COVARIATE):
                raise ValueError(
                    f"strata: {name!r}: {COVARIATE!r} begins the names of covariates: leave it out"
                )
        return self

    @property
    def pre_days(self) -> int:
        """Days of the pre-period."""
        return parse_days(self.pre_period)
