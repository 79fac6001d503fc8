"""The marts by brute force: the definitions once more, person by person, in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from tests.support.marts_log import Event, Row, World
from whyrank.spec.analytics import FunnelSpec, OutcomeSpec
from whyrank.spec.durations import parse_duration
from whyrank.spec.model import Spec

DAY = timedelta(days=1)
GAP = timedelta(minutes=30)


def owner_of(raw: str, when: datetime, links: Sequence[tuple[str, str, datetime]]) -> str:
    """Whose an event of this id at this time is: of the last link made by then, or the first."""
    mine = sorted((at, user) for anonymous, user, at in links if anonymous == raw)
    made = [user for at, user in mine if at <= when]
    return made[-1] if made else mine[0][1] if mine else raw


class People:
    """The log by person, as links known today have it; label-only events left out."""

    def __init__(self, world: World) -> None:
        self.events: dict[str, list[Event]] = {}
        for event in sorted(world.log, key=lambda e: e.event_time):
            if event.event_name != "secret":
                person = owner_of(event.user_id, event.event_time, world.links)
                self.events.setdefault(person, []).append(event)
        own = dict(world.plans)
        # Of an id that is linked, a plan without a time is the first person's, under whose own.
        linked = {owner_of(raw, datetime(1, 1, 1), world.links): plan for raw, plan in world.plans}
        self.plans = {**linked, **own}
        days = [e.day for events in self.events.values() for e in events]
        self.first, self.last = (min(days), max(days)) if days else (date.max, date.min)

    def active(self, person: str) -> set[date]:
        """The days with an event."""
        return {e.day for e in self.events[person]}

    @property
    def calendar(self) -> list[date]:
        """Every day of the log."""
        return [self.first + DAY * n for n in range((self.last - self.first).days + 1)]


def sessions_of(events: Sequence[Event]) -> list[list[Event]]:
    """Split a person's events at silences of more than half an hour."""
    runs: list[list[Event]] = []
    for event in events:
        if runs and event.event_time - runs[-1][-1].event_time <= GAP:
            runs[-1].append(event)
        else:
            runs.append([event])
    return runs


def total(events: Sequence[Event], names: Sequence[str]) -> Decimal:
    """Add up the values of these events."""
    return sum(
        (Decimal(str(e.value)) for e in events if e.event_name in names and e.value is not None),
        Decimal(0),
    )


def daily_user_metrics(people: People, spec: Spec) -> dict[date, Row]:
    rows = {}
    for day in people.calendar:
        active = {p: people.active(p) for p in people.events}
        today = [e for events in people.events.values() for e in events if e.day == day]
        closed = [
            run
            for events in people.events.values()
            for run in sessions_of(events)
            if (run[-1].event_time + GAP).date() == day
        ]
        rows[day] = {
            "dau": sum(day in days for days in active.values()),
            "wau": sum(any(day - DAY * 6 <= d <= day for d in days) for days in active.values()),
            "mau": sum(any(day - DAY * 29 <= d <= day for d in days) for days in active.values()),
            "new_users": sum(min(days) == day for days in active.values()),
            "sessions": len(closed),
            "revenue": total(today, spec.metrics.revenue) if spec.metrics.revenue else None,
            "events": len(today),
        }
    return rows


def retention_cohorts(people: People, spec: Spec) -> dict[tuple[date, int], Row]:
    rows = {}
    active = [people.active(p) for p in people.events]
    for cohort in {min(days) for days in active}:
        members = [days for days in active if min(days) == cohort]
        for n in range(spec.metrics.retention_days + 1):
            day, over = cohort + DAY * n, cohort + DAY * n <= people.last
            rows[cohort, n] = {
                "users": len(members),
                "retained_bounded": sum(day in days for days in members) if over else None,
                "retained_unbounded": sum(max(days) >= day for days in members) if over else None,
            }
    return rows


def _ordered(steps: list[tuple[datetime, int]], within: timedelta) -> int:
    """From each first step on, take the earliest next step as long as there is one in time."""
    deepest = 0
    for begun, step in steps:
        if step == 1:
            reached, now = 1, begun
            while True:
                later = [t for t, s in steps if s == reached + 1 and now <= t <= begun + within]
                if not later:
                    break
                reached, now = reached + 1, min(later)
            deepest = max(deepest, reached)
    return deepest


def _strict(steps: list[tuple[datetime, int]], within: timedelta) -> int:
    """From each first step on, walk until a step comes that is neither the same nor the next."""
    deepest = 0
    for start, (begun, step) in enumerate(steps):
        if step == 1:
            reached = 1
            for now, following in steps[start + 1 :]:
                if following not in {reached, reached + 1} or now > begun + within:
                    break
                reached = following
            deepest = max(deepest, reached)
    return deepest


def _any_order(steps: list[tuple[datetime, int]], count: int, within: timedelta) -> int:
    """Look back one window from every event: which first steps are all in it."""
    entered = any(step == 1 for _, step in steps)
    deepest = 1 if entered else 0
    for end, _ in steps:
        seen = {step for t, step in steps if end - within <= t <= end}
        for k in range(1, count + 1):
            if set(range(1, k + 1)) <= seen:
                deepest = max(deepest, k)
    return deepest


def depths(events: Sequence[Event], funnel: FunnelSpec) -> dict[str, int]:
    """The deepest step of a person, by mode."""
    within = parse_duration(funnel.within)
    numbers = {name: number for number, name in enumerate(funnel.steps, start=1)}
    steps = sorted((e.event_time, numbers[e.event_name]) for e in events if e.event_name in numbers)
    return {
        "ordered": _ordered(steps, within),
        "strict": _strict(steps, within),
        "any_order": _any_order(steps, len(funnel.steps), within),
    }


def funnel_metrics(people: People, spec: Spec) -> dict[tuple[Any, ...], Row]:
    rows: dict[tuple[Any, ...], Row] = {}
    end = datetime.combine(people.last, datetime.min.time()) + DAY
    for funnel in spec.funnels:
        for person, events in people.events.items():
            entries = [e.event_time for e in events if e.event_name == funnel.steps[0]]
            if not entries:
                continue
            is_open = max(entries) + parse_duration(funnel.within) >= end
            segments = [("all", "all"), *((s, people.plans.get(person)) for s in funnel.segments)]
            for mode, deepest in depths(events, funnel).items():
                for segment in segments:
                    for k, name in enumerate(funnel.steps, start=1):
                        new = {"entered_users": 0, "reached_users": 0, "open_users": 0}
                        row = rows.setdefault((funnel.name, mode, *segment, k, name), new)
                        row["entered_users"] += 1
                        row["reached_users"] += deepest >= k
                        row["open_users"] += deepest < k and is_open
    return rows


def intents(people: People, spec: Spec) -> dict[tuple[str, datetime], str | None]:
    """The deepest step of the first funnel in each session, by person and start."""
    steps = spec.funnels[0].steps
    found = {}
    for person, events in people.events.items():
        for run in sessions_of(events):
            reached = [steps.index(e.event_name) for e in run if e.event_name in steps]
            found[person, run[0].event_time] = steps[max(reached)] if reached else None
    return found


class Unit:
    """A person in an experiment: when exposed to what, and outcomes as of the end of a day."""

    def __init__(self, events: Sequence[Event], experiment: str, spec: Spec) -> None:
        assert spec.experiments is not None
        self.events, self.spec = events, spec.experiments
        seen: dict[str, datetime] = {}
        for e in events:
            if e.experiment_id == experiment and e.variant is not None:
                seen[e.variant] = min(e.event_time, seen.get(e.variant, e.event_time))
        self.seen = sorted((when, variant) for variant, when in seen.items())
        self.first, self.variant = self.seen[0]
        self.day = self.first.date()
        self.mixed_since = self.seen[1][0] if len(self.seen) > 1 else None

    def outcome(self, metric: OutcomeSpec, at_end_of: date) -> Any:
        """The metric as known when that day is over."""
        counted = [
            e
            for e in self.events
            if e.event_time >= self.first
            and e.day <= at_end_of
            and metric.first_day <= (e.day - self.day).days < metric.days
        ]
        if metric.kind == "active" and (at_end_of - self.day).days < metric.days - 1:
            return None
        return self._measured(metric, counted)

    def covariates(self) -> Row:
        """The metrics over the pre-period, and its active days."""
        before = [e for e in self.events if 0 < (self.day - e.day).days <= self.spec.pre_days]
        found = {f"pre_{m.name}": self._measured(m, before) for m in self.spec.metrics}
        return {**found, "pre_active_days": len({e.day for e in before})}

    @staticmethod
    def _measured(metric: OutcomeSpec, events: list[Event]) -> Any:
        if metric.kind == "sum":
            return total(events, metric.events)
        count = sum(e.event_name in metric.events or not metric.events for e in events)
        return count if metric.kind == "count" else int(count > 0)


def units_of(people: People, spec: Spec) -> dict[tuple[str, str], Unit]:
    return {
        (experiment, person): Unit(events, experiment, spec)
        for person, events in people.events.items()
        for experiment in {e.experiment_id for e in events if e.variant is not None} - {None}
    }


def experiment_units(people: People, spec: Spec) -> dict[tuple[str, str], Row]:
    assert spec.experiments is not None
    return {
        (experiment, person): {
            "variant": unit.variant,
            "first_exposure": unit.first,
            "variants": len(unit.seen),
            "is_mixed": len(unit.seen) > 1,
            "mixed_since": unit.mixed_since,
            "plan": people.plans.get(person),
            **{m.name: unit.outcome(m, people.last) for m in spec.experiments.metrics},
            **unit.covariates(),
        }
        for (experiment, person), unit in units_of(people, spec).items()
    }


def experiment_daily_metrics(people: People, spec: Spec) -> dict[tuple[Any, ...], Row]:
    """Moments of every day, from that day's units by NumPy."""
    assert spec.experiments is not None
    rows = {}
    units = units_of(people, spec)
    ages = {0, *(m.days for m in spec.experiments.metrics if m.kind == "active")}
    for day in people.calendar:
        for experiment, variant in {(e, unit.variant) for (e, _), unit in units.items()}:
            here = [
                unit
                for (e, _), unit in units.items()
                if (e, unit.variant) == (experiment, variant)
                and unit.day <= day
                and not (unit.mixed_since and unit.mixed_since.date() <= day)
            ]
            for age in ages:
                old = [u for u in here if (day - u.day).days + 1 >= age]
                metrics = [
                    m
                    for m in spec.experiments.metrics
                    if (m.days if m.kind == "active" else 0) == age
                ]
                if old:
                    x = [u.covariates() for u in old]
                    values = {m.name: [u.outcome(m, day) for u in old] for m in metrics}
                    values |= {name: [row[name] for row in x] for name in x[0]}
                    for name, numbers in values.items():
                        rows[experiment, variant, day, name, age] = _moments(numbers, x)
    return rows


def _moments(numbers: list[Any], covariates: list[Row]) -> Row:
    y = np.array([float(n) for n in numbers])
    crosses = {
        f"cross_{name}": float((y - y.mean()) @ (x - x.mean()))
        for name in covariates[0]
        for x in [np.array([float(row[name]) for row in covariates])]
    }
    return {"units": len(y), "mean": y.mean(), "m2": ((y - y.mean()) ** 2).sum(), **crosses}
