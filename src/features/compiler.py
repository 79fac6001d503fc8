"""From a spec's features to the SQL columns of the warehouse's models.

The compiler is pure: a spec in, texts out. The models' own SQL (joins, grains, keys) is written
by hand in warehouse/dbt; what differs from spec to spec, the columns, comes from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ..errors import SpecError
from ..spec.defined import finite
from ..spec.durations import parse_days, parse_duration
from ..spec.expressions import ExpressionSql, quote_text, text_as
from ..spec.model import FeatureSpec, Spec
from ..spec.references import suggest
from .marts import Marts, compile_marts
from .operations import (
    ENTITY_OPERATIONS,
    OPERATIONS,
    OTHER_OPERATIONS,
    Operand,
    Operation,
    Source,
    State,
    exact,
    given_keys,
    names_in,
)

EVENT_COLUMNS = (
    "event_name",
    "value",
    "experiment_id",
    "variant",
    "platform",
    "device",
    "geo",
    "properties",
)
SESSION_COLUMNS = ("events", "seconds", "is_bounce", "is_spam", "is_repeat")
SQL_TYPES = {"number": "double", "text": "varchar", "boolean": "boolean"}


@dataclass(frozen=True)
class Column:
    """A generated column: its name, its SQL and the sentence that describes it."""

    name: str
    sql: str
    description: str
    empty: str = "null"


@dataclass(frozen=True)
class Gap:
    """A generated column of user_events: the time of the previous event that meets `where`."""

    name: str
    where: str


@dataclass(frozen=True)
class Distinct:
    """Values of `sql` over the events that meet `where`, in the window: how many, or which most."""

    feature: str
    where: str
    sql: str
    window: str
    most_frequent: bool


@dataclass(frozen=True)
class Entity:
    """What all users' occurrences of a user's latest entity say: how many, and a mean over them.

    outcome: what has to follow within `days` days for a rate; amount: what to average for a mean;
    both None for a mere count. Only a rate has a window to wait for (else days = 0).
    """

    feature: str
    where: str
    entity: str
    outcome: str | None
    amount: str | None
    days: int
    after_microseconds: int
    smoothing: float


@dataclass(frozen=True)
class Attribute:
    """An attribute of users, taken as known at as_of (or at any time, when static)."""

    feature: str
    column: str
    type: str
    static: bool


@dataclass(frozen=True)
class Partial:
    """A feature without a finite value for some users, though all that it reads is known.

    sql: the expression as the spec has it. columns: the features that it reads.
    """

    feature: str
    sql: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Compiled:
    """Every generated column of the warehouse's models for one spec."""

    event_states: tuple[Column, ...]
    session_states: tuple[Column, ...]
    merged: tuple[Column, ...]
    features: tuple[Column, ...]
    gaps: tuple[Gap, ...]
    distincts: tuple[Distinct, ...]
    entities: tuple[Entity, ...]
    attributes: tuple[Attribute, ...]
    partial: tuple[Partial, ...]
    population: str
    marts: Marts


def compile_features(spec: Spec) -> Compiled:
    """Compile a spec's features, population included.

    Raises SpecError naming the feature, the key, the value and what would be right.

    >>> from whyrank.spec.load import load_spec
    >>> compiled = compile_features(load_spec("saas"))
    >>> [column.name for column in compiled.features][:2]
    ['events', 'page_views']
    """
    return _Compiler(spec).compiled()


class _Compiler:
    """Collects the generated columns of one spec, feature by feature."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        # Every user_days has these two, so that tests can account for each event and session.
        self._states: dict[tuple[str, str], tuple[str, State]] = {
            ("event", "count(*)"): ("all_events", State("n", "count(*)", "event", "0")),
            ("session", "count(*)"): ("all_sessions", State("n", "count(*)", "session", "0")),
        }
        self._merged: list[Column] = []
        self._gaps: dict[str, Gap] = {}
        self._distincts: list[Distinct] = []
        self._entities: list[Entity] = []
        self._attributes: list[Attribute] = []
        self._partial: list[Partial] = []
        self._values: dict[str, str] = {}
        self._names = [feature.name for feature in spec.features]
        self._pending: list[str] = []

    def compiled(self) -> Compiled:
        """Compile every feature of the spec, and its population."""
        for feature in self._spec.features:
            self._value(feature.name)
        columns = [self._feature_column(f) for f in self._spec.features]
        where = ExpressionSql(self._spec.population.where, self._names, "population.where")
        marts = compile_marts(self._spec, self._state)
        return Compiled(
            event_states=self._columns_of("event"),
            session_states=self._columns_of("session"),
            merged=tuple(self._merged),
            features=tuple(columns),
            gaps=tuple(self._gaps.values()),
            distincts=tuple(self._distincts),
            entities=tuple(self._entities),
            attributes=tuple(self._attributes),
            partial=tuple(self._partial),
            population=where.sql(lambda name: f"f.{name}"),
            marts=marts,
        )

    def _value(self, name: str) -> str:
        """Return a feature's SQL over the joined parts, compiling it when first asked for."""
        if name in self._values:
            return self._values[name]
        if name in self._pending:
            circle = " -> ".join([*self._pending[self._pending.index(name) :], name])
            raise SpecError(f"features.{name}: expressions go round in a circle: {circle}")
        self._pending.append(name)
        feature = self._spec.feature(name)
        self._check_keys(feature)
        value = self._compile(feature)
        if feature.null is not None:
            value = f"coalesce({value}, {_literal(feature)})"
        self._values[name] = value
        self._pending.pop()
        return value

    def _compile(self, feature: FeatureSpec) -> str:
        if feature.op == "expression":
            text = feature.sql or ""
            others = [name for name in self._names if name != feature.name]
            expression = ExpressionSql(text, others, f"features.{feature.name}.sql")
            sql = expression.sql(lambda name: f"({self._value(name)})", self._names_a_text)
            if feature.type != "number":
                return f"({sql})"
            if expression.partial:
                self._partial.append(Partial(feature.name, text, expression.columns))
            return finite(f"({sql})") if expression.partial or expression.multiplies else f"({sql})"
        if feature.op == "attribute":
            return self._attribute(feature)
        if feature.op in {"distinct", "most_frequent"}:
            return self._distinct(feature, most_frequent=feature.op == "most_frequent")
        if feature.op in ENTITY_OPERATIONS:
            self._entity(feature)
            known = f"e_{feature.name}.value"
            # An entity never seen before leaves nothing but the overall mean to lean on.
            return (
                known
                if feature.op == "entity_count"
                else f"coalesce({known}, o_{feature.name}.mean)"
            )
        self._merge(feature, OPERATIONS[feature.op])
        return f"m.{feature.name}"

    def _merge(self, feature: FeatureSpec, operation: Operation) -> None:
        operand = self._operand(feature, operation.source)
        kinds: dict[str, str] = {}
        for state in operation.states(operand):
            kinds[state.kind] = self._kept(state, f"{state.kind}_{feature.name}")
        sql = operation.finish(kinds, _window(feature))
        self._merged.append(Column(feature.name, sql, feature.description))

    def _kept(self, state: State, name: str) -> str:
        return f"d.{self._state(state, name)}"

    def _state(self, state: State, name: str) -> str:
        """Return the column of user_days that holds a state; equal states share one."""
        name, _ = self._states.setdefault((state.source, state.sql), (name, state))
        return name

    def _attribute(self, feature: FeatureSpec) -> str:
        column = feature.column or ""
        known = self._spec.users.attributes
        if column not in known:
            raise SpecError(
                f"features.{feature.name}.column: {column!r} is not in users.attributes; "
                f"{suggest(column, known)}"
            )
        attribute = known[column]
        kind = SQL_TYPES[attribute.type]
        self._attributes.append(Attribute(feature.name, column, kind, attribute.static))
        return f"u.{feature.name}"

    def _distinct(self, feature: FeatureSpec, *, most_frequent: bool) -> str:
        if most_frequent and feature.type != "text":
            raise SpecError(
                f"features.{feature.name}.type: {feature.type!r}: operation 'most_frequent' gives "
                'a text; write type = "text"'
            )
        on = self._operand(feature, "event")
        window = _window(feature)
        self._distincts.append(Distinct(feature.name, on.where, on.column, window, most_frequent))
        return f"v.{feature.name}" if most_frequent else f"coalesce(v.{feature.name}, 0)"

    def _entity(self, feature: FeatureSpec) -> None:
        operand = self._operand(feature, "event", with_gap=False)
        after = parse_duration(feature.min_gap) if feature.min_gap else timedelta(0)
        self._entities.append(
            Entity(
                feature=feature.name,
                where=operand.where,
                entity=operand.column,
                outcome=names_in(feature.outcome) if feature.outcome else None,
                amount=self._amount(feature),
                days=parse_days(feature.within) if feature.within else 0,
                after_microseconds=max(1, int(after.total_seconds() * 1_000_000)),
                smoothing=feature.smoothing,
            )
        )
        latest = OPERATIONS["latest"]
        state = self._kept(latest.states(operand)[0], f"latest_{feature.name}")
        sql = latest.finish({"latest": state}, "true")
        name = f"entity_of_{feature.name}"
        self._merged.append(Column(name, sql, f"Latest entity for {feature.name}."))

    def _amount(self, feature: FeatureSpec) -> str | None:
        if feature.of is None:
            return None
        what = f"features.{feature.name}.of"
        expression = ExpressionSql(feature.of, EVENT_COLUMNS, what)
        sql = expression.sql(_event_text, _is_text)
        return exact(text_as(sql, "double") if expression.is_text(_is_text) else sql)

    def _operand(self, feature: FeatureSpec, source: Source, *, with_gap: bool = True) -> Operand:
        where = self._where(feature, source)
        if with_gap and feature.min_gap is not None:
            seconds = int(parse_duration(feature.min_gap).total_seconds())
            gap = self._gaps.setdefault(where, Gap(f"previous_{len(self._gaps) + 1}", where))
            apart = f"event_time - {gap.name} >= interval '{seconds}' second"
            where = f"{where} and ({gap.name} is null or {apart})"
        return Operand(where=where, column=self._column(feature, source))

    def _names_a_text(self, name: str) -> bool:
        return any(f.name == name and f.type == "text" for f in self._spec.features)

    def _where(self, feature: FeatureSpec, source: Source) -> str:
        conditions = []
        if feature.events:
            conditions.append(names_in(feature.events))
        if feature.where is not None:
            columns = SESSION_COLUMNS if source == "session" else EVENT_COLUMNS
            what = f"features.{feature.name}.where"
            expression = ExpressionSql(feature.where, columns, what)
            conditions.append(f"({expression.sql(_event_text, _is_text)})")
        return " and ".join(conditions) or "true"

    def _column(self, feature: FeatureSpec, source: Source) -> str:
        if feature.column is None:
            return ""
        columns = SESSION_COLUMNS if source == "session" else EVENT_COLUMNS
        what = f"features.{feature.name}.column"
        expression = ExpressionSql(feature.column, columns, what)
        sql = expression.sql(_event_text, _is_text)
        if source == "session" or sql == "value":
            return sql
        as_text = {"distinct", "most_frequent", *ENTITY_OPERATIONS}
        kind = "text" if feature.op in as_text else feature.type
        if kind == "text":
            return sql
        if expression.is_text(_is_text):
            return text_as(sql, SQL_TYPES[kind])
        return f"try_cast({sql} as {SQL_TYPES[kind]})"

    def _check_keys(self, feature: FeatureSpec) -> None:
        known = {**OPERATIONS, **OTHER_OPERATIONS}
        if feature.op not in known:
            raise SpecError(
                f"features.{feature.name}.op: {feature.op!r} is not an operation; "
                f"{suggest(feature.op, known)}"
            )
        if feature.op in OPERATIONS:
            needs, takes = OPERATIONS[feature.op].needs, OPERATIONS[feature.op].takes
        else:
            _, needs, takes = OTHER_OPERATIONS[feature.op]
        given = given_keys(feature)
        for key in sorted(needs - given):
            raise SpecError(f"features.{feature.name}: operation {feature.op!r} needs {key!r}")
        for key in sorted(given - needs - takes):
            raise SpecError(f"features.{feature.name}: operation {feature.op!r} takes no {key!r}")

    def _feature_column(self, feature: FeatureSpec) -> Column:
        description = f"{feature.description} Unit: {feature.unit}."
        return Column(feature.name, self._values[feature.name], description)

    def _columns_of(self, source: Source) -> tuple[Column, ...]:
        rows = "sessions that closed" if source == "session" else "events"
        return tuple(
            Column(name, state.sql, f"Of the day's {rows}: {state.sql}.", state.empty)
            for name, state in self._states.values()
            if state.source == source
        )


def _is_text(name: str) -> bool:
    return name != "value" and name not in SESSION_COLUMNS


def _event_text(name: str) -> str:
    head, _, rest = name.partition(".")
    if not rest:
        return head
    path = '$."' + rest.replace('"', "") + '"'
    return f"json_extract_string(properties, {quote_text(path)})"


def _window(feature: FeatureSpec) -> str:
    if feature.window is None:
        return "true"
    return f"d.day >= a.as_of - {parse_days(feature.window)}"


def _literal(feature: FeatureSpec) -> str:
    null = feature.null
    if feature.type == "number" and isinstance(null, (int, float)):
        return repr(float(null))
    if feature.type == "text" and isinstance(null, str):
        return quote_text(null)
    raise SpecError(
        f"features.{feature.name}.null: {null!r} does not fit a feature of type {feature.type!r}"
    )
