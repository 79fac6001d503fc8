"""From a spec's revenue, funnels and experiments to what the marts' templates need.

Metrics are sums over days, like features: what a day keeps for them stands in user_days, and a
feature that needs the same shares the column. Funnels look at the order of events, which no sum
over days knows, and have a table of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..spec.analytics import COVARIATE, ExperimentsSpec, FunnelSpec, OutcomeSpec
from ..spec.durations import parse_duration
from ..spec.model import Spec
from .operations import State, count_state, names_in, sum_state

ACTIVE_DAYS = f"{COVARIATE}active_days"

Keep = Callable[[State, str], str]


@dataclass(frozen=True)
class Funnel:
    """A funnel: its steps in order, the seconds they may take, the attributes that divide it.

    entry: the column of user_days with the time of the day's last first step.
    """

    name: str
    entry: str
    steps: tuple[str, ...]
    seconds: int
    segments: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """A metric of experiments: a column of user_days, and which of a unit's days it sums.

    Days are counted from the day of the exposure, 0; those from first_day up to, but not
    including, days are summed.
    """

    name: str
    kind: str
    state: str
    first_day: int
    days: int

    @property
    def covariate(self) -> str:
        """The name of the same over the pre-period."""
        return f"{COVARIATE}{self.name}"

    @property
    def column(self) -> str:
        """A column's name for it that is no word of SQL."""
        return f"y_{self.name}"

    @property
    def grows(self) -> bool:
        """Whether it is a total to date; else it is null until the unit is old enough."""
        return self.kind != "active"

    @property
    def min_age(self) -> int:
        """Days that must be over, the exposure's included, for a unit to have a value."""
        return 0 if self.grows else self.days


@dataclass(frozen=True)
class Experiments:
    """How experiments are measured, the same for each of the log.

    day_states: the columns of user_days that metrics sum, with the SQL that makes each from
    events. strata: attributes that stand beside each unit.
    """

    pre_days: int
    strata: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    day_states: tuple[tuple[str, str], ...]

    @property
    def covariates(self) -> tuple[str, ...]:
        """The names of the covariates."""
        return (*(outcome.covariate for outcome in self.outcomes), ACTIVE_DAYS)

    @property
    def days(self) -> int:
        """The first day on which nothing of a unit counts any more."""
        return max(outcome.days for outcome in self.outcomes)

    @property
    def ages(self) -> tuple[int, ...]:
        """The different minimum ages of metrics; 0, all units, comes first."""
        return tuple(sorted({0, *(outcome.min_age for outcome in self.outcomes)}))


@dataclass(frozen=True)
class Marts:
    """What the marts of a spec are made of.

    revenue: a column of user_days, made from events by revenue_state; both are None without any.
    """

    revenue: str | None
    revenue_state: str | None
    retention_days: int
    funnels: tuple[Funnel, ...]
    experiments: Experiments | None

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that some mart divides users by, in order of first use."""
        used = [name for funnel in self.funnels for name in funnel.segments]
        used += self.experiments.strata if self.experiments else ()
        return tuple(dict.fromkeys(used))


def compile_marts(spec: Spec, keep: Keep) -> Marts:
    """Compile a spec's metrics, funnels and experiments.

    keep: takes a state and a name for it, and returns the column of user_days that holds it.

    >>> from whyrank.spec.load import load_spec
    >>> compile_marts(load_spec("saas"), lambda state, name: name).funnels[0].seconds
    604800
    """
    paid = sum_state("value", names_in(spec.metrics.revenue)) if spec.metrics.revenue else None
    return Marts(
        revenue=keep(paid, "revenue") if paid else None,
        revenue_state=paid.sql if paid else None,
        retention_days=spec.metrics.retention_days,
        funnels=tuple(_funnel(funnel, keep) for funnel in spec.funnels),
        experiments=None if spec.experiments is None else _experiments(spec.experiments, keep),
    )


def _funnel(funnel: FunnelSpec, keep: Keep) -> Funnel:
    last = f"max(event_time) filter (where {names_in(funnel.steps[:1])})"
    return Funnel(
        name=funnel.name,
        entry=keep(State("entry", last, "event", "null"), f"entry_{funnel.name}"),
        steps=funnel.steps,
        seconds=int(parse_duration(funnel.within).total_seconds()),
        segments=funnel.segments,
    )


def _experiments(experiments: ExperimentsSpec, keep: Keep) -> Experiments:
    outcomes, day_states = [], {}
    for metric in experiments.metrics:
        state = _day_state(metric)
        column = keep(state, f"metric_{metric.name}")
        day_states[column] = state.sql
        outcomes.append(Outcome(metric.name, metric.kind, column, metric.first_day, metric.days))
    return Experiments(
        pre_days=experiments.pre_days,
        strata=experiments.strata,
        outcomes=tuple(outcomes),
        day_states=tuple(day_states.items()),
    )


def _day_state(metric: OutcomeSpec) -> State:
    where = names_in(metric.events) if metric.events else "true"
    return sum_state("value", where) if metric.kind == "sum" else count_state(where)
