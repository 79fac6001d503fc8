"""Checks between a spec's parts: every name that one part uses must exist in another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from .analytics import ALL_USERS

if TYPE_CHECKING:
    from .analytics import ExperimentsSpec, FunnelSpec
    from .scorecard import ScorecardSpec
    from .training import TrainingSpec

RESERVED = frozenset({"user_id", "as_of", "in_population", "rank", "score", "label"})


def suggest(word: str, known: Collection[str]) -> str:
    """Return a hint for a misspelt word: the nearest known one, else the list.

    >>> suggest("pricing_veiws", ["page_views", "pricing_views"])
    "did you mean 'pricing_views'?"
    """
    close = get_close_matches(word, sorted(known), n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + ", ".join(sorted(known)) if known else "none are declared"


def check_references(
    *,
    events: Mapping[str, bool],
    target: Sequence[str],
    features: Sequence[tuple[str, Sequence[str], Sequence[str]]],
    scorecard: ScorecardSpec,
    reserved: Collection[str],
) -> None:
    """Raise ValueError for a name used that is not declared, or declared twice.

    `events` maps an event to whether it is label-only; `features` holds (name, events used,
    outcome events used). An empty `events` means any event name is accepted.
    """
    names = [name for name, _, _ in features]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"features: {name!r} is declared twice")
        if name in RESERVED or name in reserved:
            raise ValueError(f"features: {name!r} is taken by a column of the output: rename it")
    _check_events(events, target, features)
    _check_terms(names, scorecard)


def _check_events(
    events: Mapping[str, bool],
    target: Sequence[str],
    features: Sequence[tuple[str, Sequence[str], Sequence[str]]],
) -> None:
    if not events:
        return
    for event in target:
        if event not in events:
            raise ValueError(
                f"target.events: {event!r} is not in [events]; {suggest(event, events)}"
            )
    for name, used, outcome in features:
        for event in (*used, *outcome):
            _check_seen(f"features.{name}", event, events)


def _check_terms(names: Sequence[str], scorecard: ScorecardSpec) -> None:
    for term in scorecard.terms:
        if term.feature not in names:
            raise ValueError(
                f"scorecard.terms.{term.name}: {term.feature!r} is not a feature; "
                f"{suggest(term.feature, names)}"
            )


def check_training(training: TrainingSpec, features: Sequence[str]) -> None:
    """Raise ValueError for a feature that training names and the spec does not declare."""
    for key, names in training.names().items():
        for name in names:
            if name not in features:
                raise ValueError(
                    f"training.{key}: {name!r} is not a feature; {suggest(name, features)}"
                )
    both = sorted(set(training.monotone_increasing) & set(training.monotone_decreasing))
    if both:
        raise ValueError(
            f"training: {both[0]!r} is monotone_increasing and monotone_decreasing: choose one"
        )
    grouped = [name for members in training.groups.values() for name in members]
    for name in grouped:
        if grouped.count(name) > 1:
            raise ValueError(f"training.groups: {name!r} is in two groups, or twice in one")
    for name in training.groups:
        if name in features:
            raise ValueError(f"training.groups: {name!r} is a feature: give the group another name")


def check_analytics(
    *,
    events: Mapping[str, bool],
    attributes: Mapping[str, tuple[bool, str]],
    revenue: Sequence[str],
    funnels: Sequence[FunnelSpec],
    experiments: ExperimentsSpec | None,
) -> None:
    """Raise ValueError for an event or attribute that a mart names and cannot use.

    `events` maps an event to whether it is label-only, `attributes` an attribute to whether it is
    static and its type. Empty `events` mean that any event name is accepted.
    """
    used = [("metrics.revenue", revenue)]
    used += [(f"funnels.{funnel.name}.steps", funnel.steps) for funnel in funnels]
    if experiments is not None:
        used += [(f"experiments.metrics.{m.name}.events", m.events) for m in experiments.metrics]
    for where, names in used:
        for name in names:
            _check_seen(where, name, events)
    named = [funnel.name for funnel in funnels]
    for funnel in funnels:
        if named.count(funnel.name) > 1:
            raise ValueError(f"funnels: {funnel.name!r} is declared twice")
        for name in funnel.segments:
            _check_static(f"funnels.{funnel.name}.segments", name, attributes)
            if name == ALL_USERS:
                raise ValueError(
                    f"funnels.{funnel.name}.segments: {name!r} is the segment of all users: "
                    "rename the attribute"
                )
    for name in () if experiments is None else experiments.strata:
        _check_static("experiments.strata", name, attributes)


def _check_seen(where: str, event: str, events: Mapping[str, bool]) -> None:
    if events and event not in events:
        raise ValueError(f"{where}: event {event!r} is not in [events]; {suggest(event, events)}")
    if events.get(event):
        raise ValueError(
            f"{where}: event {event!r} is label_only: it knows the future, so only [target] may "
            "use it"
        )


def _check_static(where: str, name: str, attributes: Mapping[str, tuple[bool, str]]) -> None:
    if name not in attributes:
        raise ValueError(
            f"{where}: {name!r} is not in users.attributes; {suggest(name, attributes)}"
        )
    static, kind = attributes[name]
    if not static or kind != "text":
        raise ValueError(
            f"{where}: {name!r} must be a static attribute of type text, one that holds at any "
            f"time: set users.attributes.{name}.static = true if it does, or leave it out"
        )
