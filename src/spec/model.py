"""The shape of a spec: frozen pydantic models, one class per table of the TOML file.

Only what a spec says by itself is checked here (types, names, sums of points, references between
its parts). What needs SQL (expressions, column types) is checked when features are compiled.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from .analytics import ExperimentsSpec, FunnelSpec, MetricsSpec
from .parts import Days, Duration, Name, Part, Text
from .references import check_analytics, check_references, check_training
from .scorecard import BandsSpec, ScorecardSpec
from .training import TrainingSpec


class Constant(Part):
    """A value that every row gets, for a file that has no such column."""

    constant: Text


class Expression(Part):
    """A value computed from columns of the same row, such as `price * quantity`."""

    expression: Text


class SourceSpec(Part):
    """Which column of an events file is what, and how its times are written.

    A column that the file does not have is simply null, except for `user_id`, `event_time` and
    `event_name`, which every row needs. decimal "," reads 1.234,50 as 1234.5.
    """

    event_id: Text = "event_id"
    user_id: Text = "user_id"
    event_time: Text = "event_time"
    event_name: Text | Constant = "event_name"
    value: Text | Expression = "value"
    session_id: Text = "session_id"
    experiment_id: Text = "experiment_id"
    variant: Text = "variant"
    platform: Text = "platform"
    device: Text = "device"
    geo: Text = "geo"
    properties: Text | tuple[Text, ...] = "properties"
    time_format: Text = "iso"
    time_zone: Text = "UTC"
    decimal: Literal[".", ","] = "."
    earliest: date = date(2000, 1, 1)
    unknown_events: Literal["quarantine", "keep"] = "quarantine"

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        from zoneinfo import available_timezones

        if zone not in available_timezones():
            raise ValueError(f"{zone!r} is not a time zone: use a name such as Europe/Berlin")
        return zone

    @field_validator("time_format")
    @classmethod
    def _format_known(cls, text: str) -> str:
        if text in {"iso", "epoch_s", "epoch_ms", "epoch_us"} or "%" in text:
            return text
        raise ValueError(
            f"{text!r} is not a time format: use iso, epoch_s, epoch_ms, epoch_us or a pattern "
            "such as %d/%m/%Y %H:%M:%S"
        )


class EventSpec(Part):
    """One kind of event. A label-only event may define the target and nothing else."""

    description: Text
    label_only: bool = False


class AttributeSpec(Part):
    """One attribute of users; static ones are taken as known at any time."""

    type: Literal["text", "number", "boolean"] = "text"
    static: bool = False
    description: str = ""


class UsersSpec(Part):
    """The users file: its key columns, its attributes and what is passed through to exports."""

    user_id: Text = "user_id"
    valid_from: Text = "valid_from"
    attributes: dict[Name, AttributeSpec] = Field(default_factory=dict)
    pass_through: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        both = sorted(set(self.attributes) & set(self.pass_through))
        if both:
            raise ValueError(f"{both[0]!r} is both an attribute and passed through: choose one")
        return self


class SessionSpec(Part):
    """How events become sessions.

    gap: a session ends when the next event comes more than this later (exactly the gap: same
    session). bounce_events: a session of at most so many events is a bounce. A session is a spam
    burst when it has at least spam_events events at `spam_seconds` seconds or less from one to
    the next, on average.
    """

    gap: Duration = "30m"
    bounce_events: Annotated[int, Field(ge=1)] = 1
    spam_events: Annotated[int, Field(ge=2)] = 20
    spam_seconds: Annotated[float, Field(gt=0)] = 2.0
    repeat_within: Duration = "7d"


class TargetSpec(Part):
    """What counts as converted, and within how long after as_of.

    require "any": one event of `events`; "all": every one of them, the last one's time counts.
    """

    name: Name = "converted"
    events: Annotated[tuple[Text, ...], Field(min_length=1)]
    require: Literal["any", "all"] = "any"
    horizon: Days
    description: Text


EVERYONE = "every user with an event before as_of"


class PopulationSpec(Part):
    """Who is ranked: an SQL condition over features."""

    where: Text = "true"
    description: Text = EVERYONE

    @property
    def in_words(self) -> str:
        """The description; without one, the condition itself.

        >>> PopulationSpec(where="orders > 0").in_words
        'users where orders > 0'
        """
        undescribed = self.description == EVERYONE and self.where != "true"
        return f"users where {self.where}" if undescribed else self.description


class FeatureSpec(Part):
    """One feature; docs/features.md lists the operations and what each needs."""

    name: Name
    op: Text
    description: Text
    unit: Text = "count"
    events: tuple[Text, ...] = ()
    where: Text | None = None
    column: Text | None = None
    of: Text | None = None
    window: Days | None = None
    min_gap: Duration | None = None
    null: float | str | None = None
    sql: Text | None = None
    type: Literal["number", "text", "boolean"] = "number"
    outcome: tuple[Text, ...] = ()
    within: Days | None = None
    smoothing: Annotated[float, Field(gt=0)] = 50.0


class Spec(Part):
    """Everything about one scoring problem."""

    name: Name
    version: Text
    description: Text
    trust_until: date | None = None
    source: SourceSpec = SourceSpec()
    events: dict[Text, EventSpec] = Field(default_factory=dict)
    users: UsersSpec = UsersSpec()
    sessions: SessionSpec = SessionSpec()
    target: TargetSpec
    population: PopulationSpec = PopulationSpec()
    features: Annotated[tuple[FeatureSpec, ...], Field(min_length=1)]
    scorecard: ScorecardSpec
    bands: BandsSpec
    training: TrainingSpec = TrainingSpec()
    metrics: MetricsSpec = MetricsSpec()
    funnels: tuple[FunnelSpec, ...] = ()
    experiments: ExperimentsSpec | None = None

    @field_validator("trust_until", mode="before")
    @classmethod
    def _a_day(cls, value: object) -> object:
        if isinstance(value, datetime):
            # pydantic turns a ValueError, and only that, into a message about the key.
            raise ValueError("is a time: write a date, such as 2018-09-01")  # noqa: TRY004
        return value

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        check_references(
            events={name: event.label_only for name, event in self.events.items()},
            target=self.target.events,
            features=[(f.name, f.events, f.outcome) for f in self.features],
            scorecard=self.scorecard,
            reserved={*self.users.pass_through},
        )
        check_training(self.training, [f.name for f in self.features])
        check_analytics(
            events={name: event.label_only for name, event in self.events.items()},
            attributes={
                name: (attribute.static, attribute.type)
                for name, attribute in self.users.attributes.items()
            },
            revenue=self.metrics.revenue,
            funnels=self.funnels,
            experiments=self.experiments,
        )
        return self

    @property
    def landing_schema(self) -> str:
        """The schema of the landing tables, such as "saas_landing"."""
        return f"{self.name}_landing"

    @property
    def marts_schema(self) -> str:
        """The schema in which dbt builds the models, such as "saas_marts"."""
        return f"{self.name}_marts"

    def feature(self, name: str) -> FeatureSpec:
        """Return the feature of that name; raises KeyError when there is none."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)
